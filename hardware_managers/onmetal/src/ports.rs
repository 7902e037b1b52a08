//! The step that compares the cabling with what Ironic knows of it (contract/onmetal 9).

mod announcement;

use farrier_plugin::{
    Context, ErrorKind, Inventory, ManagerError, NetworkInterface, Node, Port, ProgramRequest,
};
use serde_json::{Value, json};

use self::announcement::Place;
use crate::configuration::{Configuration, SwitchIdentity};
use crate::failures::{excerpt, failed, together};
use crate::tool::{status, told};

/// Longer than any wait for announcements that the agent's options allow to be sensible.
const LISTENING_S: u64 = 600;

/// The node's `extra` keys of the 2015 servers.
const EXTRA: &str = "hardware/interfaces/";

/// Compare every port that Ironic has a switch port for; without any, the pairs in the node's
/// `extra`. Every mismatch is told.
pub(crate) fn verify(
    configuration: &Configuration,
    context: &dyn Context,
    node: &Node,
    ports: &[Port],
) -> Result<Value, ManagerError> {
    let identity = configuration.switch_identity;
    let by_port: Vec<(String, Place)> = ports
        .iter()
        .filter_map(|port| expected_of(port, identity).transpose())
        .collect::<Result<_, _>>()?;
    let by_extra = if by_port.is_empty() {
        expected_of_extra(node)?
    } else {
        Vec::new()
    };
    if by_port.is_empty() && by_extra.is_empty() {
        return Ok(json!({
            "checked": "nothing",
            "reason": "no port has a local_link_connection, and the node's extra names no \
                       switch ports",
        }));
    }
    let interfaces = listen(configuration, context)?;
    let mut failures = Vec::new();
    let mut seen = Vec::new();
    for interface in &interfaces {
        match Place::announced(interface, identity) {
            Ok(Some(place)) => seen.push((interface, place)),
            Ok(None) => {}
            Err(why) => failures.push(format!("{}: {why}", interface.name)),
        }
    }
    let report = if by_port.is_empty() {
        against_extra(&by_extra, &seen, &mut failures)
    } else {
        against_ports(&by_port, &interfaces, &seen, &mut failures)
    };
    match together(ErrorKind::Cleaning, "Detected port mismatches", &failures) {
        Some(error) => Err(error),
        None => Ok(report),
    }
}

/// The interfaces with what their switches announce. The agent listens: its program knows where and
/// for how long. Without the plugins, which would start a second time.
fn listen(
    configuration: &Configuration,
    context: &dyn Context,
) -> Result<Vec<NetworkInterface>, ManagerError> {
    let program = ProgramRequest {
        timeout_seconds: LISTENING_S,
        ..ProgramRequest::new(configuration.agent().display().to_string())
    }
    .arg("inventory")
    .arg("--json")
    .arg("--lldp")
    .arg("--without-plugins");
    let output = told(context, "listening for LLDP", || {
        context.run_program(&program)
    })?;
    if output.exit_code != Some(0) {
        return Err(failed(
            ErrorKind::Cleaning,
            format!(
                "LLDP could not be listened for: the agent's inventory ended with {} and said: {}",
                status(output.exit_code),
                excerpt(&output.stderr)
            ),
        ));
    }
    let inventory: Inventory = serde_json::from_str(&output.stdout).map_err(|error| {
        failed(ErrorKind::Cleaning, "The agent's inventory cannot be read").with_source(error)
    })?;
    Ok(inventory.interfaces)
}

/// Where Ironic says that this port is plugged in, by its MAC; `None` where it does not say.
fn expected_of(
    port: &Port,
    identity: SwitchIdentity,
) -> Result<Option<(String, Place)>, ManagerError> {
    let mac = port
        .get("address")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let Some(link) = port
        .get("local_link_connection")
        .and_then(Value::as_object)
        .filter(|link| !link.is_empty())
    else {
        return Ok(None);
    };
    let key = match identity {
        SwitchIdentity::ChassisId => "switch_id",
        SwitchIdentity::SystemName => "switch_info",
    };
    let text = |key: &str| {
        link.get(key)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
            .map(str::to_ascii_lowercase)
    };
    match (text(key), text("port_id")) {
        (Some(switch), Some(port)) => Ok(Some((mac.to_ascii_lowercase(), Place { switch, port }))),
        _ => Err(failed(
            ErrorKind::Cleaning,
            format!("The local_link_connection of port {mac} needs \"{key}\" and \"port_id\""),
        )),
    }
}

/// The pairs of the 2015 servers, in the order of their numbers.
fn expected_of_extra(node: &Node) -> Result<Vec<Place>, ManagerError> {
    let mut numbers: Vec<u32> = node
        .0
        .get("extra")
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(|extra| extra.keys())
        .filter_map(|key| key.strip_prefix(EXTRA)?.split_once('/')?.0.parse().ok())
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
        .into_iter()
        .map(|number| {
            let text = |what: &str| {
                node.field("extra", &format!("{EXTRA}{number}/{what}"))
                    .and_then(Value::as_str)
                    .map(str::to_ascii_lowercase)
            };
            match (text("switch_chassis_id"), text("switch_port_id")) {
                (Some(switch), Some(port)) => Ok(Place { switch, port }),
                _ => Err(failed(
                    ErrorKind::Cleaning,
                    format!(
                        "Node has malformed extra data, could not find chassis and port: \
                         \"{EXTRA}{number}/switch_chassis_id\" and \"…/switch_port_id\""
                    ),
                )),
            }
        })
        .collect()
}

fn against_ports(
    expected: &[(String, Place)],
    interfaces: &[NetworkInterface],
    seen: &[(&NetworkInterface, Place)],
    failures: &mut Vec<String>,
) -> Value {
    let mut report = Vec::new();
    for (mac, place) in expected {
        let is_it = |interface: &NetworkInterface| {
            interface
                .mac_address
                .as_deref()
                .is_some_and(|own| own.eq_ignore_ascii_case(mac))
        };
        let Some(interface) = interfaces.iter().find(|interface| is_it(interface)) else {
            failures.push(format!("no interface has the address {mac} of a port"));
            continue;
        };
        let name = &interface.name;
        let announced = seen.iter().find(|(other, _)| other.name == *name);
        match announced {
            None => failures.push(format!(
                "{name} ({mac}) should see {place}, and hears no switch"
            )),
            Some((_, announced)) if announced.is_at(place) => report.push(json!({
                "interface": name, "address": mac, "switch": announced.switch,
                "port": announced.port, "source": "local_link_connection",
            })),
            Some((_, announced)) => failures.push(format!(
                "{name} ({mac}) should see {place}, and sees {announced}"
            )),
        }
    }
    json!({ "checked": report, "others": others(&report, seen) })
}

fn against_extra(
    expected: &[Place],
    seen: &[(&NetworkInterface, Place)],
    failures: &mut Vec<String>,
) -> Value {
    let mut report = Vec::new();
    for place in expected {
        match seen.iter().find(|(_, announced)| announced.is_at(place)) {
            Some((interface, announced)) => report.push(json!({
                "interface": interface.name, "address": interface.mac_address,
                "switch": announced.switch, "port": announced.port, "source": "extra",
            })),
            None => {
                let all: Vec<String> = seen
                    .iter()
                    .map(|(interface, announced)| format!("{} {announced}", interface.name))
                    .collect();
                failures.push(format!(
                    "some interface should see {place}; they see: {}",
                    if all.is_empty() {
                        "nothing".to_owned()
                    } else {
                        all.join(", ")
                    }
                ));
            }
        }
    }
    json!({ "checked": report, "others": others(&report, seen) })
}

/// What further interfaces see: told, and no mistake. The 2015 module failed for a third card.
fn others(report: &[Value], seen: &[(&NetworkInterface, Place)]) -> Vec<Value> {
    seen.iter()
        .filter(|(interface, _)| {
            !report
                .iter()
                .any(|checked| checked["interface"] == json!(interface.name))
        })
        .map(|(interface, announced)| {
            json!({
                "interface": interface.name, "address": interface.mac_address,
                "switch": announced.switch, "port": announced.port,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use farrier_plugin::{HardwareManager, LldpTlvs};

    use super::*;
    use crate::stand_in::{Agent, Tree, node};
    use crate::steps::VERIFY_PORTS;

    fn text(subtype: &str, text: &str) -> String {
        let digits: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
        format!("{subtype}{digits}")
    }

    /// What a switch of 2015 says: chassis by MAC, port by name, system name.
    fn tlvs(switch: u8, port: &str) -> LldpTlvs {
        vec![
            (1, format!("04001c7300000{switch}")),
            (2, text("05", port)),
            (3, "0078".to_owned()),
            (5, text("", &format!("Switch{switch}"))),
        ]
    }

    fn interface(name: &str, lldp: LldpTlvs) -> NetworkInterface {
        NetworkInterface {
            name: name.to_owned(),
            mac_address: Some(format!("52:54:00:00:00:0{}", &name[3..])),
            lldp: Some(lldp),
            ..NetworkInterface::default()
        }
    }

    fn both() -> Vec<NetworkInterface> {
        vec![
            interface("eno1", tlvs(1, "Ethernet1/17")),
            interface("eno2", tlvs(2, "Ethernet1/17")),
        ]
    }

    fn port(number: u8, link: Value) -> Port {
        json!({ "address": format!("52:54:00:00:00:0{number}"), "local_link_connection": link })
    }

    fn ports() -> Vec<Port> {
        (1..=2)
            .map(|number| {
                port(
                    number,
                    json!({
                        "switch_id": format!("00:1C:73:00:00:0{number}"), "port_id": "Ethernet1/17",
                        "switch_info": format!("switch{number}"),
                    }),
                )
            })
            .collect()
    }

    fn extra() -> Value {
        json!({ "extra": {
            "hardware/interfaces/0/switch_chassis_id": "Switch1",
            "hardware/interfaces/0/switch_port_id": "Eth1/17",
            "hardware/interfaces/1/switch_chassis_id": "Switch2",
            "hardware/interfaces/1/switch_port_id": "Eth1/17",
            "other": 1,
        }})
    }

    fn verify(
        more: &str,
        interfaces: &[NetworkInterface],
        members: Value,
        ports: &[Port],
    ) -> Result<Value, ManagerError> {
        let tree = Tree::new();
        tree.configure(&format!("agent = 'farrier'\n{more}"));
        let inventory = Inventory {
            interfaces: interfaces.to_vec(),
            ..Inventory::default()
        };
        let script = format!(
            "[ \"$*\" = 'inventory --json --lldp --without-plugins' ] || exit 9\n\
             cat <<'END'\n{}\nEND",
            serde_json::to_string(&inventory).unwrap()
        );
        tree.add_program("farrier", &script);
        let arguments = Default::default();
        tree.manager().execute_step(
            &Agent::default(),
            VERIFY_PORTS,
            &node(members),
            ports,
            &arguments,
        )
    }

    fn fails(result: Result<Value, ManagerError>, words: &[&str]) {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cleaning);
        for word in words {
            assert!(
                error.chain().contains(word),
                "no {word:?}: {}",
                error.chain()
            );
        }
    }

    #[test]
    fn cabling_as_ironic_knows_it_passes() {
        let result = verify("", &both(), json!({}), &ports()).unwrap();
        assert_eq!(result["checked"].as_array().unwrap().len(), 2);
        assert_eq!(result["checked"][1]["interface"], "eno2");
        assert_eq!(result["checked"][1]["switch"], "00:1c:73:00:00:02");
        verify(
            "switch_identity = 'system_name'",
            &both(),
            json!({}),
            &ports(),
        )
        .unwrap();
    }

    #[test]
    fn every_wrong_cable_is_told() {
        let crossed = vec![
            interface("eno1", tlvs(2, "Ethernet1/17")),
            interface("eno2", tlvs(2, "Ethernet1/18")),
        ];
        fails(
            verify("", &crossed, json!({}), &ports()),
            &[
                "Detected port mismatches",
                "eno1 (52:54:00:00:00:01) should see port ethernet1/17 of 00:1c:73:00:00:01",
                "sees port ethernet1/17 of 00:1c:73:00:00:02",
                "eno2",
                "ethernet1/18",
            ],
        );
        let silent = vec![both().remove(0), interface("eno2", Vec::new())];
        fails(
            verify("", &silent, json!({}), &ports()),
            &["eno2", "hears no switch"],
        );
        fails(
            verify("", &both()[..1], json!({}), &ports()),
            &["no interface has the address 52:54:00:00:00:02"],
        );
    }

    #[test]
    fn malformed_announcements_and_ports_fail() {
        for tlvs in [
            vec![(2, text("05", "Ethernet1/17"))],
            vec![(1, "04001c73000001".to_owned())],
            [tlvs(1, "Ethernet1/17"), tlvs(1, "Ethernet1/17")].concat(),
            vec![(1, "zz".to_owned()), (2, text("05", "Ethernet1/17"))],
            vec![(1, String::new()), (2, text("05", "Ethernet1/17"))],
        ] {
            let malformed = vec![interface("eno1", tlvs), both().remove(1)];
            fails(
                verify("", &malformed, json!({}), &ports()),
                &["eno1: malformed LLDP"],
            );
        }
        let half = [port(1, json!({ "switch_id": "00:1c:73:00:00:01" }))];
        fails(verify("", &both(), json!({}), &half), &["port_id"]);
    }

    #[test]
    fn without_switch_ports_the_extra_counts() {
        let option = "switch_identity = 'system_name'";
        let result = verify(option, &both(), extra(), &[port(1, json!({}))]).unwrap();
        assert_eq!(result["checked"][0]["source"], "extra");
        // A third card is no mistake.
        let mut three = both();
        three.push(interface("eno3", tlvs(3, "Ethernet1/1")));
        let result = verify(option, &three, extra(), &[]).unwrap();
        assert_eq!(result["others"][0]["interface"], "eno3");

        let moved = vec![both().remove(0), interface("eno2", tlvs(2, "Ethernet1/18"))];
        fails(
            verify(option, &moved, extra(), &[]),
            &[
                "should see port eth1/17 of switch2",
                "eno2 port ethernet1/18 of switch2",
            ],
        );
        fails(verify(option, &both()[..1], extra(), &[]), &["of switch2"]);
        let mut lacking = extra();
        lacking["extra"]
            .as_object_mut()
            .unwrap()
            .remove("hardware/interfaces/1/switch_port_id");
        fails(
            verify(option, &both(), lacking, &[]),
            &["malformed extra data", "hardware/interfaces/1/"],
        );
    }

    #[test]
    fn without_anything_to_compare_nothing_is_listened_for() {
        let tree = Tree::new();
        let agent = Agent::default();
        let result = tree
            .manager()
            .execute_step(
                &agent,
                VERIFY_PORTS,
                &node(json!({})),
                &[],
                &Default::default(),
            )
            .unwrap();
        assert_eq!(result["checked"], "nothing");
    }

    #[test]
    fn an_agent_that_does_not_answer_is_told() {
        let tree = Tree::new();
        tree.configure("agent = 'farrier'");
        for (script, word) in [
            ("echo broken >&2; exit 1", "broken"),
            ("echo '{'", "inventory"),
        ] {
            tree.add_program("farrier", script);
            let result = tree.manager().execute_step(
                &Agent::default(),
                VERIFY_PORTS,
                &node(json!({})),
                &ports(),
                &Default::default(),
            );
            fails(result, &[word]);
        }
    }
}
