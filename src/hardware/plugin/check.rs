//! Whether a plugin keeps the protocol: for vendors, before a server does it.

use std::path::Path;
use std::time::Duration;

use farrier_plugin::protocol::{Introduction, METHOD_NOT_FOUND, METHODS, device_from_wire};
use farrier_plugin::{
    BootInfo, Cpu, ErrorKind, Inventory, LldpData, Memory, NetworkInterface, SilentContext, Step,
    SystemVendor,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::connection::{Connection, Deadline, NoCallbacks};
use super::keeper::greet;
use super::{Found, PluginError};
use crate::sys::log::chain;

const LIMIT: Deadline = Deadline(Duration::from_secs(120));

/// How long a plugin may go on after its stdin has ended.
const END_LIMIT: Duration = Duration::from_secs(5);

/// A disk that no machine has, so that a plugin which erases what it is given finds nothing.
const SAMPLE_DISK: &str = "/dev/farrier-sample";

/// A step that no manager has.
const SAMPLE_STEP: &str = "farrier_sample_step";

/// One thing that was looked at.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize)]
pub struct Finding {
    /// What.
    pub what: String,
    /// What is wrong with it; `None` where it is as it should be.
    pub fault: Option<String>,
}

/// Start the plugin at this path and call every method that it declares, with a sample of a node, a
/// step that nobody has, and a disk that is not there. Its `initialize` runs; its steps do not.
pub fn check(path: &Path) -> Vec<Finding> {
    let mut check = Check::default();
    let name = path
        .file_stem()
        .map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let found = Found::at(path, name);
    let Some(found) = check.note("it may be started", found) else {
        return check.findings;
    };
    let Some((connection, introduction)) = check.note("it introduces itself", greet(&found)) else {
        return check.findings;
    };
    for method in &introduction.methods {
        if METHODS.contains(&method.as_str()) {
            check.method(&connection, method);
        } else {
            check.tell(
                &format!("the method {method}"),
                Some("there is no such method in the protocol".to_owned()),
            );
        }
    }
    check.unknown_method(&connection);
    let ended = connection.ends_with_its_input(END_LIMIT);
    check.tell(
        "it ends with its stdin",
        (!ended).then(|| format!("it ran on for {} s", END_LIMIT.as_secs())),
    );
    check.second_start(&found, &introduction);
    check.findings
}

#[derive(Default)]
struct Check {
    findings: Vec<Finding>,
}

impl Check {
    fn method(&mut self, connection: &Connection, method: &str) {
        let params = json!({
            "node": { "uuid": "00000000-0000-4000-8000-000000000000", "properties": {} },
            "ports": [], "include_partitions": false, "step": SAMPLE_STEP, "arguments": {},
            "block_device": { "name": SAMPLE_DISK, "size": 1 << 30, "vendor": "farrier" },
            "a member of a later version": true,
        });
        let what = format!("the method {method}");
        match connection.call(method, params, LIMIT, &SilentContext, &mut NoCallbacks) {
            Ok(_) if method == "execute_step" => self.tell(
                &what,
                Some(format!(
                    "it ran the step {SAMPLE_STEP}, which it does not offer, instead of answering \
                     {METHOD_NOT_FOUND}"
                )),
            ),
            Ok(result) => {
                let fault = fits(method, &result).err();
                self.tell(&what, fault);
            }
            // An error that the protocol has a form for is an answer.
            Err(PluginError::Failed { failure, .. }) => {
                let declines = failure
                    .into_error(method, ErrorKind::CommandExecution)
                    .declines();
                let must_decline = method == "execute_step" && !declines;
                self.tell(
                    &what,
                    must_decline.then(|| {
                        format!(
                            "it does not decline a step that it does not have ({METHOD_NOT_FOUND})"
                        )
                    }),
                );
            }
            Err(error) => self.tell(&what, Some(chain(&error))),
        }
    }

    fn unknown_method(&mut self, connection: &Connection) {
        let answer = connection.call(
            "of_a_later_version",
            json!({}),
            LIMIT,
            &SilentContext,
            &mut NoCallbacks,
        );
        let fault = match answer {
            Err(PluginError::Failed { failure, .. }) if failure.code == METHOD_NOT_FOUND => None,
            Err(PluginError::Failed { failure, .. }) => Some(format!(
                "the code is {} instead of {METHOD_NOT_FOUND}",
                failure.code
            )),
            Err(error) => Some(chain(&error)),
            Ok(_) => Some("it gave a result".to_owned()),
        };
        self.tell("an unknown method is declined", fault);
    }

    fn second_start(&mut self, found: &Found, first: &Introduction) {
        let what = "it introduces itself as the same after a restart";
        if let Some((_, second)) = self.note(what, greet(found))
            && second != *first
        {
            self.findings.pop();
            self.tell(
                what,
                Some("name, version, methods or capabilities differ".to_owned()),
            );
        }
    }

    fn note<T>(&mut self, what: &str, result: Result<T, PluginError>) -> Option<T> {
        match result {
            Ok(value) => {
                self.tell(what, None);
                Some(value)
            }
            Err(error) => {
                self.tell(what, Some(chain(&error)));
                None
            }
        }
    }

    fn tell(&mut self, what: &str, fault: Option<String>) {
        self.findings.push(Finding {
            what: what.to_owned(),
            fault,
        });
    }
}

/// Whether a result is what the method gives.
fn fits(method: &str, result: &Value) -> Result<(), String> {
    match method {
        "evaluate_hardware_support" => typed::<u32>(result),
        "list_network_interfaces" => typed::<Vec<NetworkInterface>>(result),
        "collect_lldp_data" => typed::<LldpData>(result),
        "get_cpus" => typed::<Cpu>(result),
        "get_memory" => typed::<Memory>(result),
        "get_boot_info" => typed::<BootInfo>(result),
        "get_system_vendor_info" => typed::<SystemVendor>(result),
        "list_hardware_info" => typed::<Inventory>(result),
        "get_bmc_address" | "get_bmc_v6address" | "get_bmc_mac" => typed::<Option<String>>(result),
        "get_clean_steps" | "get_deploy_steps" | "get_service_steps" => typed::<Vec<Step>>(result),
        "get_os_install_device" => device(result),
        "list_block_devices" | "list_block_devices_check_skip_list" => match result {
            Value::Array(devices) => devices.iter().try_for_each(device),
            _ => Err("the result is not a list".to_owned()),
        },
        _ => Ok(()),
    }
}

fn typed<T: DeserializeOwned>(result: &Value) -> Result<(), String> {
    match serde_json::from_value::<T>(result.clone()) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("the result is not what the method gives: {error}")),
    }
}

fn device(result: &Value) -> Result<(), String> {
    device_from_wire(result)
        .map(|_| ())
        .map_err(|error| format!("a block device cannot be read: {error}"))
}
