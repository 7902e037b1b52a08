use std::time::{Duration, Instant};

use farrier_plugin::SilentContext;
use serde_json::json;

use super::*;
use crate::config::Options;
use crate::hardware::fake::{Answer, FakeManager};
use crate::sys::recording::Recording;

fn managers(fakes: Vec<Arc<FakeManager>>) -> Managers {
    let options = Options {
        disk_wait_attempts: 3,
        disk_wait_delay: 0,
        ..Options::default()
    };
    Managers::from_managers(
        Live::new(options),
        fakes
            .into_iter()
            .map(|fake| fake as Arc<dyn HardwareManager>)
            .collect(),
        &SilentContext,
    )
    .unwrap()
}

fn node(uuid: &str) -> Node {
    serde_json::from_value(json!({"uuid": uuid})).unwrap()
}

fn execute(managers: &Managers, step: &str) -> Result<Value, ManagerError> {
    managers.execute_step(
        &SilentContext,
        StepKind::Clean,
        &StepCall {
            name: step,
            node: &node("1"),
            ports: &[],
            arguments: &StepArguments::default(),
            image: None,
        },
    )
}

#[test]
fn steps_are_reported_by_class_name_with_all_versions() {
    let managers = managers(vec![
        Arc::new(
            FakeManager::new("Generic", 1)
                .offering("erase_devices", 10)
                .offering("erase_devices_metadata", 99),
        ),
        Arc::new(FakeManager::new("Vendor", 2).offering("erase_devices", 5)),
        Arc::new(FakeManager::new("Silent", 2)),
    ]);
    let steps = managers.steps(StepKind::Clean, &node("1"), &[]).unwrap();
    let names: BTreeMap<&str, Vec<&str>> = steps
        .iter()
        .map(|(class, steps)| {
            (
                class.as_str(),
                steps.iter().map(|step| step.step.as_str()).collect(),
            )
        })
        .collect();
    assert_eq!(
        names,
        BTreeMap::from([
            ("Generic", vec!["erase_devices_metadata"]),
            ("Vendor", vec!["erase_devices"])
        ])
    );
    assert_eq!(
        managers.versions().into_keys().collect::<Vec<_>>(),
        ["generic", "silent", "vendor"]
    );
}

#[test]
fn a_null_result_stays_null_and_an_unknown_step_is_named() {
    let managers = managers(vec![Arc::new(
        FakeManager::new("Vendor", 2).answering(Answer::Null),
    )]);
    assert_eq!(execute(&managers, "update_firmware").unwrap(), Value::Null);

    let managers = self::managers(vec![Arc::new(FakeManager::new("Vendor", 2))]);
    let error = execute(&managers, "update_firmware").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HardwareManagerMethodNotFound);
    assert_eq!(error.to_string(), "Could not find method: update_firmware");
}

#[test]
fn this_machine_has_an_inventory_and_logs() {
    let options = Options {
        disk_wait_attempts: 0,
        ..Options::default()
    };
    // Not allowed to destroy, whatever this machine runs from.
    let managers =
        Managers::discover_at(Live::new(options), Root::system(), false, &SilentContext).unwrap();
    assert_eq!(
        managers.versions(),
        BTreeMap::from([("generic_hardware_manager".to_owned(), "1.2".to_owned())])
    );
    let inventory = managers.inventory().unwrap();
    assert!(inventory.cpu.count > 0);
    assert!(Arc::ptr_eq(&inventory, &managers.inventory().unwrap()));
    let members = logs::unpack(&managers.collect_logs().unwrap());
    assert!(members.contains_key("lsblk") && members.contains_key("ps"));
    let steps = managers
        .steps(StepKind::Clean, &Node::default(), &[])
        .unwrap();
    assert_eq!(
        steps["GenericHardwareManager"]
            .iter()
            .map(|step| (step.step.as_str(), step.priority))
            .collect::<Vec<_>>(),
        [
            ("erase_devices", 10),
            ("erase_devices_express", 0),
            ("erase_devices_metadata", 99),
            ("erase_pstore", 0),
            ("clean_uefi_nvram", 0),
            ("delete_configuration", 0),
            ("create_configuration", 0)
        ]
    );
}

#[test]
fn what_switches_announce_is_in_the_inventory_where_it_is_asked_for() {
    let recording = Recording::unpack(
        "/sys/block/\n/sys/class/net/eno1/address = 52:54:00:aa:bb:01\n/sys/class/net/eno1/device/\n\
         /sys/class/net/eno2/address = 52:54:00:aa:bb:02\n/sys/class/net/eno2/device/\n\
         /recorded/lldp.json = {\"eno1\": [\"0180c200000e52540000000188cc\
         020704001b21aabbcc04020731060200780000\"]}",
    );
    let managers = |collect_lldp| {
        let options = Options {
            disk_wait_attempts: 0,
            collect_lldp,
            // Never made outside of the ramdisk.
            enable_vlan_interfaces: "eno1.5".to_owned(),
            ..Options::default()
        };
        Managers::discover_at(Live::new(options), recording.root(), false, &SilentContext).unwrap()
    };
    let expected = json!([[1, "04001b21aabbcc"], [2, "0731"], [3, "0078"], [0, ""]]);
    let with = managers(true).inventory().unwrap();
    assert_eq!(json!(with.interfaces[0].lldp), expected);
    assert_eq!(json!(with.interfaces[1].lldp), Value::Null);
    let without = managers(false);
    assert_eq!(without.inventory().unwrap().interfaces[0].lldp, None);
    let raw = without.collect_lldp_data().unwrap();
    assert_eq!(json!(raw), json!({"eno1": expected}));
}

#[test]
fn a_controller_that_the_conductor_knows_better_is_left_out() {
    let options = Live::new(Options {
        disk_wait_attempts: 0,
        ..Options::default()
    });
    let fake = FakeManager::new("Vendor", 1).answering(Answer::Text("192.0.2.1"));
    let managers =
        Managers::from_managers(options.clone(), vec![Arc::new(fake)], &SilentContext).unwrap();
    let address = |managers: &Managers| managers.inventory_uncached().unwrap().bmc_address;
    assert_eq!(address(&managers).as_deref(), Some("192.0.2.1"));
    let kept = |managers: &Managers| managers.inventory().unwrap().bmc_address.clone();
    assert_eq!(kept(&managers).as_deref(), Some("192.0.2.1"));
    options.change(|options| options.skip_bmc_detect = true);
    managers.set_node(node("1"));
    assert_eq!(address(&managers), None);
    // The one that was gathered before stays until it is to be forgotten.
    assert_eq!(kept(&managers).as_deref(), Some("192.0.2.1"));
    managers.forget_inventory();
    assert_eq!(kept(&managers), None);
}

#[test]
fn logs_of_a_broken_manager_are_an_entry_and_no_failure() {
    let managers = managers(vec![
        Arc::new(FakeManager::new("Broken", 2).answering(Answer::Fail(
            ErrorKind::CommandExecution,
            "the controller does not answer",
        ))),
        Arc::new(FakeManager::new("Vendor", 1).answering(Answer::Text("firmware 1.2"))),
    ]);
    let members = logs::unpack(&managers.collect_logs().unwrap());
    assert_eq!(members["vendor.log"], b"firmware 1.2");
    assert_eq!(
        members["errors"],
        b"Broken: the controller does not answer\n"
    );
    assert!(members.contains_key("journal"));
    let plugins = String::from_utf8(members["plugins"].clone()).unwrap();
    assert!(plugins.starts_with("Broken "), "{plugins}");
    assert!(members["options"].starts_with(b"Options {"));
}

#[test]
fn no_secret_of_the_options_is_in_any_member() {
    let planted = [
        "planted-token-Zx41",
        "https://poster:planted-pass-Zx42@records.example/planted-path-Zx43?sig=planted-sig-Zx44",
        "planted-word-Zx45",
    ];
    let options = Options {
        agent_token: Some(planted[0].into()),
        erase_record_url: Some(planted[1].into()),
        image_server_password: Some(planted[2].into()),
        disk_wait_attempts: 0,
        ..Options::default()
    };
    for secret in planted {
        log::hide(secret);
    }
    // As the kernel's line shows them, under names that say nothing, and in what a vendor's tool
    // made of them.
    let line = planted.join(" x=");
    let recording = Recording::unpack(&format!(
        "/proc/cmdline = quiet ipa-erase-record-url={} x={line}\n\
         /dev/kmsg = 6,1,1,-;Kernel command line: quiet x={line}\n\
         /sys/block/\n/proc/7/stat = 7 (x) S 1\n/proc/7/cmdline = farrier --agent_token {}\n\
         /run/farrier/parameters.txt = x={line}\n/run/farrier/log/dhcpcd.log = {line}\n",
        planted[1], planted[0]
    ));
    let managers =
        Managers::discover_at(Live::new(options), recording.root(), false, &SilentContext).unwrap();
    let members = logs::unpack(&managers.collect_logs().unwrap());
    for name in [
        "cmdline",
        "dmesg",
        "ps",
        "options",
        "parameters.txt",
        "log/dhcpcd.log",
    ] {
        assert!(
            members[name].windows(3).any(|part| part == b"***"),
            "{name}"
        );
    }
    for (name, content) in members {
        let text = String::from_utf8_lossy(&content).into_owned();
        assert!(!text.contains("-Zx4"), "{name}: {text}");
    }
}

#[test]
fn a_new_node_waits_for_its_disk_and_the_same_node_does_not() {
    let fake = Arc::new(FakeManager::new("Generic", 1));
    let missing = || Err(ManagerError::new(ErrorKind::DeviceNotFound, "no disk"));
    let disk = || Ok(BlockDevice::default());
    *fake.root_disks.lock().unwrap() = vec![missing(), disk(), missing()];
    let managers = managers(vec![Arc::clone(&fake)]);
    assert_eq!(managers.node(), None);

    managers.set_node(node("1"));
    assert_eq!(fake.root_disks.lock().unwrap().len(), 1);
    managers.set_node(node("1"));
    assert_eq!(fake.root_disks.lock().unwrap().len(), 1);
    assert_eq!(managers.node(), Some(node("1")));

    managers.set_node(node("2"));
    assert_eq!(fake.root_disks.lock().unwrap().len(), 0);
    assert_eq!(managers.node(), Some(node("2")));

    // The disk of new hints can be late.
    let hinted = json!({"uuid": "2", "instance_info": {"root_device": {"serial": "s"}}});
    let hinted: Node = serde_json::from_value(hinted).unwrap();
    *fake.root_disks.lock().unwrap() = vec![missing(), disk()];
    managers.set_node(hinted.clone());
    assert_eq!(fake.root_disks.lock().unwrap().len(), 0);
    assert_eq!(managers.node(), Some(hinted));
}

#[test]
fn a_missing_disk_does_not_keep_the_node_out() {
    let fake = Arc::new(FakeManager::new("Generic", 1));
    *fake.root_disks.lock().unwrap() = (0..20)
        .map(|_| Err(ManagerError::new(ErrorKind::DeviceNotFound, "no disk")))
        .collect();
    let managers = managers(vec![Arc::clone(&fake)]);
    let started = Instant::now();
    managers.set_node(node("1"));
    assert!(started.elapsed() < Duration::from_secs(40));
    assert_eq!(fake.root_disks.lock().unwrap().len(), 17);
    assert_eq!(managers.node(), Some(node("1")));
}
