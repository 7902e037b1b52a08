//! Inspection in the life of an agent: before the lookup, beside it, and without one.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn inspection_comes_first_and_its_node_is_looked_up() {
    let conductor = Conductor::friendly().await;
    let mut boot = Boot::new(&conductor);
    boot.options.inspection_callback_url =
        vec![format!("{}/v1/continue_inspection", conductor.url())];
    let agent = boot.start();
    conductor.wait_for("/v1/heartbeat", 1).await;
    let data = conductor.asked_for("/v1/continue_inspection").remove(0);
    assert_eq!(data.body["error"], Value::Null);
    assert_eq!(data.body["inventory"]["interfaces"][0]["mac_address"], MAC);
    assert_eq!(
        data.body["configuration"],
        json!({
            "collectors": ["default", "logs"],
            "managers": [{"name": "generic_hardware_manager", "version": "1.2"}]
        })
    );
    assert!(data.body["logs"].is_string());
    assert!(data.body.get("root_disk").is_none());
    let looked_up = conductor.asked_for("/v1/lookup").remove(0);
    assert!(looked_up.at > data.at);
    assert!(looked_up.query.ends_with(&format!("&node_uuid={NODE}")));
    agent.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_fails_is_named_and_stops_neither_the_next_one_nor_the_lookup() {
    let conductor = Conductor::friendly().await;
    let mut boot = Boot::new(&conductor);
    boot.options.inspection_collectors =
        Some("pci-devices,usb-devices,numa-topology,dmi-decode,default".to_owned());
    let agent = boot.start();
    conductor.wait_for("/v1/heartbeat", 1).await;
    let body = conductor
        .asked_for("/v1/continue_inspection")
        .remove(0)
        .body;
    let error = body["error"].as_str().unwrap();
    assert!(
        error.starts_with(
            "The following errors were encountered:\n* collector pci-devices failed: Cannot list"
        ),
        "{error}"
    );
    assert_eq!(error.lines().count(), 2, "{error}");
    assert!(body["inventory"].is_object());
    assert_eq!(body["usb_devices"], json!([]));
    assert_eq!(body["dmi"]["cpu"], json!([]));
    for missing in ["pci_devices", "numa_topology", "logs"] {
        assert_eq!(body.get(missing), None);
    }
    let looked_up = conductor.asked_for("/v1/lookup").remove(0);
    assert!(!looked_up.query.contains("node_uuid"));
    agent.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_nobody_knows_ends_the_collection() {
    let conductor = Conductor::friendly().await;
    let mut boot = Boot::new(&conductor);
    boot.options.inspection_collectors = Some("default, no-such,logs".to_owned());
    let agent = boot.start();
    conductor.wait_for("/v1/heartbeat", 1).await;
    let data = conductor.asked_for("/v1/continue_inspection").remove(0);
    assert_eq!(
        data.body,
        json!({
            "error": "The following errors were encountered:\n\
                      * Failed to load collector [\"no-such\"]"
        })
    );
    agent.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inspection_only_agent_serves_without_a_token() {
    let conductor = Conductor::friendly().await;
    let mut boot = Boot::new(&conductor);
    boot.options.api_url.clear();
    boot.options.inspection_callback_url =
        vec![format!("{}/v1/continue_inspection", conductor.url())];
    let agent = boot.start();
    conductor.wait_for("/v1/continue_inspection", 1).await;
    let base = format!("http://127.0.0.1:{}", boot.options.listen_port);
    install_provider();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let status = loop {
        match http.get(format!("{base}/v1/status")).send().await {
            Ok(answer) => break answer,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(status.status(), 200);
    let commands = http
        .get(format!("{base}/v1/commands/?agent_token="))
        .send()
        .await
        .unwrap();
    assert_eq!(commands.status(), 401);
    let asked = conductor.asked();
    assert_eq!(asked.len(), 1, "{asked:#?}");
    agent.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_becomes_known_later_is_inspected_then() {
    let conductor = Conductor::start(|asked, before| match asked.path.as_str() {
        "/v1/continue_inspection" if before == 0 => Answer::Text(404, "not known"),
        // Nobody finds it by its addresses.
        "/v1/lookup" if !asked.query.contains("node_uuid") => Answer::Text(404, "not found"),
        _ => friendly(asked),
    })
    .await;
    let mut boot = Boot::new(&conductor);
    boot.options.inspection_callback_url =
        vec![format!("{}/v1/continue_inspection", conductor.url())];
    let agent = boot.start();
    conductor.wait_for("/v1/heartbeat", 1).await;
    let data = conductor.asked_for("/v1/continue_inspection");
    assert_eq!(data.len(), 2);
    let pause = (data[1].at - data[0].at).as_secs_f64();
    assert!((4.9..40.0).contains(&pause), "{pause}");
    assert_eq!(data[1].body["inventory"], data[0].body["inventory"]);
    let lookups = conductor.asked_for("/v1/lookup");
    assert!(lookups.len() > 1, "the lookup goes on meanwhile");
    assert!(lookups[lookups.len() - 2].at < data[1].at);
    // It is over, for an agent after this one, too.
    agent.abort();
    let _ = agent.await;
    let agent = boot.start();
    conductor.wait_for("/v1/lookup", lookups.len() + 1).await;
    assert_eq!(conductor.asked_for("/v1/continue_inspection").len(), 2);
    agent.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_looks_nothing_up_hands_in_its_data_while_it_serves() {
    let conductor = Conductor::start(|asked, before| match before {
        0 => Answer::Text(404, "not known"),
        _ => friendly(asked),
    })
    .await;
    let mut boot = Boot::new(&conductor);
    boot.options.api_url.clear();
    boot.options.inspection_callback_url =
        vec![format!("{}/v1/continue_inspection", conductor.url())];
    let agent = boot.start();
    conductor.wait_for("/v1/continue_inspection", 1).await;
    let port = ("127.0.0.1", boot.options.listen_port);
    while std::net::TcpStream::connect(port).is_err() {
        assert_eq!(conductor.asked().len(), 1, "it does not serve meanwhile");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(conductor.asked().len(), 1);
    conductor.wait_for("/v1/continue_inspection", 2).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!agent.is_finished(), "it goes on serving");
    assert!(std::net::TcpStream::connect(port).is_ok());
    agent.abort();
}
