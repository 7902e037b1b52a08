//! Bodies as they were recorded from the reference.

use serde_json::{Value, json};

use super::*;

/// The bodies of GET / and GET /v1/ (contract/control-plane 5.2).
#[test]
fn the_descriptions_are_the_references() {
    let served = Served::new();
    let version = json!({"id": "v1", "links": [
        {"href": "http://agent.test:9999/v1", "rel": "self"},
        {"href": "https://docs.openstack.org/ironic-python-agent/", "rel": "describedby",
         "type": "text/html"}]});
    let root = served.get("/");
    assert_eq!(root.status, 200);
    assert_eq!(root.header("server"), Some("ironic-python-agent"));
    assert_eq!(root.header("content-type"), Some("application/json"));
    assert_eq!(
        root.json(),
        json!({"name": "OpenStack Ironic Python Agent API",
               "description": "Ironic Python Agent is a provisioning agent for OpenStack Ironic",
               "versions": [version], "default_version": version})
    );
    assert_eq!(
        served.get("/v1/").json(),
        json!({"commands": [{"href": "http://agent.test:9999/v1/commands", "rel": "self"},
                            {"href": "http://agent.test:9999/commands", "rel": "bookmark"}],
               "status": [{"href": "http://agent.test:9999/v1/status", "rel": "self"},
                          {"href": "http://agent.test:9999/status", "rel": "bookmark"}],
               "media_types": [{"base": "application/json",
                   "type": "application/vnd.openstack.ironic-python-agent.v1+json"}],
               "id": "v1", "links": version["links"]})
    );
    for path in ["/v1/status", "/status"] {
        assert_eq!(
            served.get(path).json(),
            json!({"started_at": 1_795_328_604.506_673_8, "version": "13.0.0"})
        );
    }
}

/// The command bodies of tests/fixtures/transcripts: clean-after-undeploy.jsonl and deploy-raw.jsonl.
#[test]
fn a_cleaning_reads_as_it_was_recorded() {
    let mut served = Served::new();
    let got = served.post(
        true,
        &json!({"name": "clean.get_clean_steps",
                "params": {"node": {"uuid": "15dbb633-7edf-5817-8edd-6f8a30ac92a7"},
                           "ports": [{"address": "52:54:00:1a:b0:03"}]}}),
    );
    let step = json!({"step": "erase_devices_metadata", "priority": 99, "interface": "deploy",
                      "reboot_requested": false, "abortable": true});
    let mut expected = json!({"id": got.json()["id"], "command_name": "get_clean_steps",
        "command_status": "SUCCEEDED", "command_error": null,
        "command_result": {"clean_steps": {"GenericHardwareManager": [
                {"step": "erase_devices", "priority": 10, "interface": "deploy",
                 "reboot_requested": false, "abortable": true}, step]},
            "hardware_manager_version": {"generic_hardware_manager": "1.2"}}});
    assert_eq!(got.json(), expected);
    assert_eq!(served.list(), [expected.take()]);

    let mut sent = step;
    sent["requires_ramdisk"] = json!(true);
    let mut body = execute("clean", &sent);
    body["params"]["clean_version"] = json!({"generic_hardware_manager": "1.2"});
    let id = served.post(false, &body).json()["id"].clone();
    let wanted = format!(
        "/v1/commands/{}?wait=TRUE&agent_token={TOKEN}",
        id.as_str().unwrap()
    );
    assert_eq!(
        served.get(&wanted).json(),
        json!({"id": id, "command_name": "execute_clean_step", "command_status": "SUCCEEDED",
               "command_error": null,
               "command_result": {"clean_result": null, "clean_step": sent}})
    );
    let names: Vec<Value> = served
        .list()
        .into_iter()
        .map(|command| command["command_name"].clone())
        .collect();
    assert_eq!(names, ["get_clean_steps", "execute_clean_step"]);
    assert_eq!(served.signals.blocking_recv(), Some(Signal::HeartbeatNow));
}

/// tests/fixtures/transcripts/deploy-raw.jsonl: write_image, get_partition_uuids, collect_system_logs, power_off.
#[test]
fn a_deployment_reads_as_it_was_recorded() {
    let served = Served::new();
    let step = json!({"interface": "deploy", "step": "write_image", "args": {
        "image_info": {"id": "one.raw", "urls": ["http://10.77.0.1:8080/images/one.raw"],
            "disk_format": "raw", "os_hash_algo": "sha512", "os_hash_value": "06dd",
            "configdrive": "H4sI"},
        "configdrive": "H4sI"}});
    let written = served.post(true, &execute("deploy", &step)).json();
    // The one difference: a config drive is a secret, and nobody reads the step.
    let mut echo = step.clone();
    echo["args"]["configdrive"] = json!("***");
    echo["args"]["image_info"]["configdrive"] = json!("***");
    assert_eq!(
        written["command_result"],
        json!({"deploy_result": {"result":
                   "prepare_image: image (one.raw) written to device /dev/vda root_uuid=0x00000000"},
               "deploy_step": echo})
    );
    let call = served.manager.calls.lock().unwrap().pop().unwrap();
    assert_eq!(call.arguments.text("configdrive").as_deref(), Some("H4sI"));

    let plain = |name: &str| json!({"name": name, "params": {}});
    assert_eq!(
        served
            .post(true, &plain("standby.get_partition_uuids"))
            .json()["command_result"],
        json!({"root uuid": "0x00000000"})
    );
    let logs = served.post(true, &plain("log.collect_system_logs")).json();
    assert!(logs["command_result"]["system_logs"].is_string(), "{logs}");

    let ended = served.post(false, &plain("standby.power_off"));
    let id = ended.json()["id"].clone();
    assert_eq!(ended.header("content-type"), Some("application/json"));
    assert_eq!(
        ended.body,
        format!(
            r#"{{"id":{id},"command_name":"power_off","command_status":"RUNNING","command_error":null,"command_result":null}}"#
        )
    );
}

/// The example of contract/control-plane 5.6 and the 5.4 status of a version mismatch.
#[test]
fn failures_read_as_in_the_contract() {
    let served = Served::new();
    let run = |body: &Value| served.post(true, body).json();

    let mut mismatch = execute("clean", &json!({"step": "erase_devices"}));
    mismatch["params"]["clean_version"] = json!({"generic_hardware_manager": "1.1"});
    let answer = run(&mismatch);
    assert_eq!(answer["command_status"], "CLEAN_VERSION_MISMATCH");
    assert_eq!(answer["command_result"], Value::Null);
    assert_eq!(
        answer["command_error"],
        json!({"type": "VersionMismatch", "code": 409,
               "message": "Hardware managers version mismatch, reload agent with correct version",
               "details": "Current versions: {\"generic_hardware_manager\":\"1.2\"}, versions used \
                           by ironic: {\"generic_hardware_manager\":\"1.1\"}"})
    );
    assert!(served.manager.calls.lock().unwrap().is_empty());

    for (kind, step, type_name, details) in [
        (
            "clean",
            json!({"step": "fail"}),
            "BlockDeviceEraseError",
            "/dev/sda: 3 sectors could not be written",
        ),
        (
            "clean",
            json!({"step": "panic"}),
            "CleaningError",
            "Unexpected exception performing clean step panic. Panic: index out of bounds",
        ),
        (
            "service",
            json!({"step": "panic"}),
            "ServicingError",
            "Unexpected exception performing service step panic. Panic: index out of bounds",
        ),
        (
            "deploy",
            json!({"step": "burnin_disk"}),
            "HardwareManagerMethodNotFound",
            "Could not find method: burnin_disk",
        ),
        (
            "deploy",
            json!({"interface": "deploy"}),
            "CommandExecutionError",
            "Malformed deploy_step, no \"step\" key: {\"interface\":\"deploy\"}",
        ),
        (
            "deploy",
            json!({"step": "write_image", "args": {"image_info": {"id": "i"}}}),
            "InvalidCommandParamsError",
            "Image is missing 'urls' field.",
        ),
    ] {
        let answer = run(&execute(kind, &step));
        assert_eq!(answer["command_status"], "FAILED", "{answer}");
        assert_eq!(answer["command_error"]["type"], type_name, "{answer}");
        assert_eq!(answer["command_error"]["details"], details);
        assert_eq!(answer["command_name"], format!("execute_{kind}_step"));
    }
}
