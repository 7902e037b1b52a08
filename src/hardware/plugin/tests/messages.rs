//! What is really said, against the published schemas.

use std::collections::BTreeMap;

use farrier_plugin::Device;

use super::*;
use crate::sys::json_schema::JsonSchemas;

/// `docs/plugin-protocol.schema.json`.
struct Schemas(JsonSchemas);

impl Schemas {
    fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/plugin-protocol.schema.json");
        Self(JsonSchemas(
            serde_json::from_slice(&fs::read(path).unwrap()).unwrap(),
        ))
    }

    fn check(&self, schema: &Value, value: &Value, place: &str) -> Result<(), String> {
        self.0.check(schema, value, place)
    }

    /// The schema of one side of a method.
    fn of(&self, group: &str, method: &str, side: &str) -> &Value {
        &self.0.0[group][method][side]
    }
}

/// Calls every method, each with an answer.
fn ask_everything(manager: &PluginManager) {
    let node: Node = serde_json::from_value(json!({ "uuid": "1", "properties": {} })).unwrap();
    let (context, node) = (&SilentContext, &node);
    let disk = &devices()(false).unwrap()[0];
    manager.initialize(context).unwrap();
    manager.filter_device(&Device::Block(disk.clone())).unwrap();
    let other = BlockDevice {
        name: "/dev/sdb".to_owned(),
        ..disk.clone()
    };
    manager.filter_device(&Device::Block(other)).unwrap();
    let interfaces = manager.list_network_interfaces().unwrap();
    let declined = manager.filter_device(&Device::Network(interfaces[0].clone()));
    assert!(declined.unwrap_err().declines());
    let usb = manager.usb_devices().unwrap().remove(0);
    manager.filter_device(&Device::Usb(usb)).unwrap();
    assert_eq!(manager.interface_info("eno7").unwrap().name, "eno7");
    let names = ["eno1".to_owned()];
    assert_eq!(manager.collect_lldp_data(Some(&names)).unwrap().len(), 1);
    manager.collect_lldp_data(None).unwrap();
    manager.cpus().unwrap();
    manager.memory().unwrap();
    manager.list_block_devices(true).unwrap();
    manager
        .list_block_devices_check_skip_list(node, false)
        .unwrap();
    let skipped = manager.skip_list_for_disks(node, Some(std::slice::from_ref(disk)));
    assert_eq!(skipped.unwrap().unwrap().len(), 1);
    assert_eq!(manager.skip_list_for_raids(node).unwrap(), None);
    // The script gives its name, and the agent knows the rest.
    let root = manager.os_install_device(Some(node), true).unwrap();
    assert_eq!(root.serial.as_deref(), Some("S1"));
    manager.wait_for_disks(None).unwrap();
    manager.bmc_address().unwrap();
    manager.bmc_v6address().unwrap();
    manager.bmc_mac().unwrap();
    manager.boot_info().unwrap();
    manager.system_vendor_info().unwrap();
    manager.list_hardware_info().unwrap();
    let now = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let made = manager.generate_tls_certificate("192.0.2.1".parse().unwrap(), now);
    assert_eq!(made.unwrap().private_key, "KEY");
    manager.erase_block_device(context, node, disk).unwrap_err();
    // As a step it is the method, not a step of this name.
    let erased = execute(manager, "erase_devices").unwrap();
    assert_eq!(erased["/dev/sda"]["erased_by"], "faulty");
    for kind in [StepKind::Clean, StepKind::Deploy, StepKind::Service] {
        manager.steps(kind, node, &[]).unwrap();
    }
    for step in ["polish", "progress", "disks", "program"] {
        execute(manager, step).unwrap();
    }
    execute(manager, "vendor_error").unwrap_err();
    let arguments = StepArguments::default();
    manager
        .install_bootloader(context, node, &arguments)
        .unwrap();
    let logs = manager.collect_system_logs().unwrap();
    assert_eq!(logs[0].0, "faulty-.._card.log");
    manager.full_sync().unwrap();
}

#[test]
fn what_both_sides_say_fits_the_published_schemas() {
    let site = Site::new("everything");
    ask_everything(&site.manager());
    let schemas = Schemas::read();
    let answered = conversation(&schemas, &site.folder.path().join("faulty"));
    for method in schemas.0.0["methods"].as_object().unwrap().keys() {
        let declined = method == "erase_block_device";
        assert!(
            declined || answered.contains(method),
            "{method} was not answered"
        );
    }
}

/// The script that vendors copy, with somebody listening at both of its pipes.
#[test]
fn the_example_keeps_to_the_published_schemas() {
    let folder = tempfile::tempdir().unwrap();
    let example =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("hardware_managers/example/example.py");
    let program = folder.path().join("plugin");
    let script = format!(
        "#!/bin/sh\ntee -a received | python3 {} | tee -a sent\n",
        example.display()
    );
    test_program::write(&script, &program);
    let faults: Vec<_> = check(folder.path())
        .into_iter()
        .filter(|finding| finding.fault.is_some())
        .collect();
    assert!(faults.is_empty(), "{faults:?}");
    let answered = conversation(&Schemas::read(), folder.path());
    for method in ["handshake", "evaluate_hardware_support", "get_clean_steps"] {
        assert!(answered.contains(&method.to_owned()), "{answered:?}");
    }
}

/// Checks what was said in the files `received` and `sent`; the methods that were answered.
fn conversation(schemas: &Schemas, folder: &Path) -> Vec<String> {
    let message = &schemas.0.0["$defs"]["Message"];
    let read = |file: &str| -> Vec<Value> {
        let text = fs::read_to_string(folder.join(file)).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let (received, sent) = (read("received"), read("sent"));
    for line in received.iter().chain(&sent) {
        schemas.check(message, line, "message").unwrap();
    }

    let mut methods = BTreeMap::new();
    for line in &received {
        if let Some(method) = line["method"].as_str() {
            // What is of a later version is in no schema of this one.
            if let Some(method_schemas) = schemas.0.0["methods"].get(method) {
                let (params, schema) = (&line["params"], &method_schemas["params"]);
                schemas.check(schema, params, method).unwrap();
                methods.insert(line["id"].to_string(), method);
            }
        } else if line["id"] == "callback" && line.get("error").is_none() {
            let result = &line["result"];
            let callbacks = schemas.0.0["callbacks"].as_object().unwrap();
            let fits = |callback: &Value| schemas.check(&callback["result"], result, "").is_ok();
            assert!(callbacks.values().any(fits), "{line}");
        }
    }
    let mut answered: Vec<String> = Vec::new();
    for line in &sent {
        if let Some(method) = line["method"].as_str() {
            let news = &schemas.0.0["notifications"]["to the agent"][method];
            match schemas.0.0["callbacks"].get(method) {
                Some(callback) => schemas
                    .check(&callback["params"], &line["params"], method)
                    .unwrap(),
                None if method == "of_the_future" => {}
                None => schemas.check(news, &line["params"], method).unwrap(),
            }
        } else if let Some(result) = line.get("result") {
            // A second start counts anew, and answers the greeting again.
            let method = methods[&line["id"].to_string()];
            let schema = schemas.of("methods", method, "result");
            schemas.check(schema, result, method).unwrap();
            answered.push(method.to_owned());
        }
    }
    answered
}

#[test]
fn the_schemas_refuse_what_the_agent_refuses() {
    let schemas = Schemas::read();
    let refused = |schema: &Value, value: Value| schemas.check(schema, &value, "").is_err();
    let steps = schemas.of("methods", "get_clean_steps", "result");
    let step = json!({ "step": "a", "priority": 1, "interface": "deploy",
                       "reboot_requested": false });
    schemas.check(steps, &json!([step]), "").unwrap();
    let mut without = step.clone();
    without.as_object_mut().unwrap().remove("priority");
    assert!(refused(steps, json!([without])));
    assert!(refused(steps, Value::Null));
    let level = schemas.of("methods", "evaluate_hardware_support", "result");
    assert!(refused(level, json!(-1)) && refused(level, json!("3")));
    let devices = schemas.of("methods", "list_block_devices", "result");
    schemas
        .check(devices, &json!([{"name": "/dev/x", "size": 1}]), "")
        .unwrap();
    assert!(refused(devices, json!([{"name": "/dev/x"}])));
    let lldp = schemas.of("methods", "collect_lldp_data", "result");
    assert!(refused(lldp, json!({"eno1": [[1]]})) && refused(lldp, json!({"eno1": [[300, ""]]})));
    let message = &schemas.0.0["$defs"]["Message"];
    assert!(refused(message, json!({"jsonrpc": "2.0", "id": 1})));
    assert!(refused(
        message,
        json!({"jsonrpc": "1.0", "id": 1, "result": 1})
    ));
}
