//! Whether a plugin keeps the protocol: for vendors, before a server does it.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use farrier_plugin::protocol::{
    FAILED, Introduction, METHOD_NOT_FOUND, Message, Method, Notification, device_from_wire,
};
use farrier_plugin::{
    ErrorKind, ManagerError, NetworkInterface, SilentContext, Step, TlsCertificate, UsbDevice,
    chain,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::callbacks::NoCallbacks;
use super::connection::Connection;
use super::keeper::greet;
use super::{Found, Limits, PluginError};
use crate::config::Options;
use crate::net::certificate::Identity;

/// As in the agent, but for steps: the sample step does nothing.
const LIMITS: Limits = Limits::new(Duration::from_secs(120));

/// How long a plugin may go on after its stdin has ended.
const END_LIMIT: Duration = Duration::from_secs(5);

/// A disk that no machine has, so that a plugin which erases what it is given finds nothing.
const SAMPLE_DISK: &str = "/dev/farrier-sample";

/// A step that no manager has.
const SAMPLE_STEP: &str = "farrier_sample_step";

/// An interface that no machine has.
const SAMPLE_INTERFACE: &str = "farrier0";

/// Bytes of a member that a plugin ignores: more than a pipe holds, and than most buffers do.
const LARGE: usize = 1 << 20;

/// Methods that a manager has for some devices or steps, and not for the samples.
const DECLINING: [Method; 4] = [
    Method::ExecuteStep,
    Method::EraseBlockDevice,
    Method::FilterDevice,
    Method::GetInterfaceInfo,
];

/// The interfaces that own steps (contract/control-plane 7.2).
const INTERFACES: [&str; 8] = [
    "vendor",
    "power",
    "management",
    "firmware",
    "deploy",
    "bios",
    "raid",
    "network",
];

/// One thing that was looked at.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize)]
pub(crate) struct Finding {
    /// What.
    pub what: String,
    /// How long the plugin took to answer, where it was asked something.
    pub milliseconds: Option<u64>,
    /// What is wrong with it; `None` where it is as it should be.
    pub fault: Option<String>,
}

/// Start the plugin at this path and call every method that it declares, with a sample of a node, a
/// step that nobody has, and a disk that is not there. Its `initialize` runs; its steps do not.
pub(crate) fn check(path: &Path) -> Vec<Finding> {
    let mut check = Check::default();
    let name = path
        .file_stem()
        .map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let found = Found::at(path, name);
    let Some(found) = check.note("it may be started", found) else {
        return check.findings;
    };
    let Some((connection, introduction)) =
        check.note("it introduces itself", greet(&found, LIMITS))
    else {
        return check.findings;
    };
    let mut seen = BTreeSet::new();
    for method in &introduction.methods {
        if !seen.insert(method) {
            check.tell(
                &format!("the method {method}"),
                Some("it is declared twice".to_owned()),
            );
        } else if let Ok(method) = method.parse() {
            check.method(&connection, method);
        } else {
            check.tell(
                &format!("the method {method}"),
                Some("there is no such method in the protocol".to_owned()),
            );
        }
    }
    check.large_request(&connection);
    check.unknown_news(&connection);
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
    /// When the question was asked that is told of next.
    asked: Option<Instant>,
}

impl Check {
    fn method(&mut self, connection: &Connection, method: Method) {
        let what = format!("the method {method}");
        if method == Method::EraseDevices {
            // It takes no sample: it would erase what this machine has.
            self.tell(&format!("{what} is left to a real erase"), None);
            return;
        }
        let devices = match method {
            Method::FilterDevice => vec![
                ("block_device", sample_disk()),
                ("network_interface", sample_interface()),
                (
                    "usb_device",
                    json!({ "product": "", "vendor": "", "handle": "USB:0:0" }),
                ),
            ],
            _ => vec![("block_device", sample_disk())],
        };
        for (kind, device) in devices {
            let what = match method {
                Method::FilterDevice => format!("{what} with a {kind}"),
                _ => what.clone(),
            };
            let params = sample(kind, &device);
            self.asked = Some(Instant::now());
            let answer = connection.call(
                method.as_str(),
                params,
                LIMITS.of(method),
                &SilentContext,
                &mut NoCallbacks,
            );
            let fault = match answer {
                Ok(_) if method == Method::ExecuteStep => Some(format!(
                    "it ran the step {SAMPLE_STEP}, which it does not offer, instead of answering \
                     {METHOD_NOT_FOUND}"
                )),
                Ok(Value::Null) if method == Method::FilterDevice => None,
                Ok(result) if method == Method::FilterDevice => {
                    (result.get("name").or(result.get("handle"))
                        != device.get("name").or(device.get("handle")))
                    .then(|| "it gave the device another name".to_owned())
                    .or_else(|| filtered(kind, &result).err())
                }
                Ok(result) => fits(method, &result).err(),
                // An error that the protocol has a form for is an answer.
                Err(PluginError::Failed { failure, .. }) => {
                    let error = failure.into_error(method.as_str(), ErrorKind::CommandExecution);
                    let must_decline = method == Method::ExecuteStep && !error.declines();
                    let lacks = !DECLINING.contains(&method)
                        && error.to_string() == ManagerError::unsupported(method).to_string();
                    must_decline
                        .then(|| {
                            format!(
                                "it does not decline a step that it does not have \
                                 ({METHOD_NOT_FOUND})"
                            )
                        })
                        .or_else(|| {
                            lacks.then(|| {
                                format!(
                                    "it declares the method and answers as if it had none; a \
                                     refusal is {FAILED} with the type \
                                     IncompatibleHardwareMethodError and a reason"
                                )
                            })
                        })
                        .or_else(|| error.is_unexpected().then(|| error.to_string()))
                }
                Err(error) => Some(chain(&error)),
            };
            self.tell(&what, fault);
        }
    }

    /// What a conductor sends can be long, and must not be read in one gulp.
    fn large_request(&mut self, connection: &Connection) {
        self.asked = Some(Instant::now());
        let fault = connection
            .call(
                Method::EvaluateHardwareSupport.as_str(),
                json!({ "a member of a later version": "x".repeat(LARGE) }),
                LIMITS.question,
                &SilentContext,
                &mut NoCallbacks,
            )
            .err();
        self.tell(
            "a request of 1 MiB is read",
            fault.map(|error| chain(&error)),
        );
    }

    /// A cancel of a call that has just ended, and news of a later version.
    fn unknown_news(&mut self, connection: &Connection) {
        let news = [
            (
                Notification::Cancel.as_str(),
                json!({ "id": 1, "deadline_seconds": 10 }),
            ),
            ("of_a_later_version", json!({})),
        ];
        let sent = news.into_iter().try_for_each(|(method, params)| {
            connection.send(
                method,
                &Message::Notification {
                    method: method.to_owned(),
                    params,
                },
            )
        });
        let answered = sent.and_then(|()| {
            connection.call(
                Method::EvaluateHardwareSupport.as_str(),
                json!({}),
                LIMITS.question,
                &SilentContext,
                &mut NoCallbacks,
            )
        });
        self.tell(
            "notifications are not answered, and unknown ones ignored",
            answered.err().map(|error| chain(&error)),
        );
    }

    fn unknown_method(&mut self, connection: &Connection) {
        let answer = connection.call(
            "of_a_later_version",
            json!({}),
            LIMITS.question,
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
        if let Some((_, second)) = self.note(what, greet(found, LIMITS))
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
            milliseconds: self
                .asked
                .take()
                .map(|asked| u64::try_from(asked.elapsed().as_millis()).unwrap_or(u64::MAX)),
            fault,
        });
    }
}

fn sample_disk() -> Value {
    json!({ "name": SAMPLE_DISK, "size": 1 << 30, "vendor": "farrier" })
}

fn sample_interface() -> Value {
    json!({ "name": SAMPLE_INTERFACE, "mac_address": "02:00:00:00:00:01", "has_carrier": false })
}

/// Parameters for every method, more than any has.
fn sample(kind: &str, device: &Value) -> Value {
    json!({
        "node": { "uuid": "00000000-0000-4000-8000-000000000000", "properties": {} },
        "ports": [], "include_partitions": false, "step": SAMPLE_STEP, "arguments": {},
        "block_device": sample_disk(), "block_devices": [sample_disk()],
        "kind": kind, "device": device,
        "interface_name": SAMPLE_INTERFACE, "interface_names": [SAMPLE_INTERFACE],
        "permit_refresh": false, "ip_address": "192.0.2.1", "now": 1_800_000_000,
        "a member of a later version": true,
    })
}

fn filtered(kind: &str, result: &Value) -> Result<(), String> {
    match kind {
        "block_device" => device(result),
        "network_interface" => typed::<NetworkInterface>(result),
        _ => typed::<UsbDevice>(result),
    }
}

/// Whether a result is what the method gives.
fn fits(method: Method, result: &Value) -> Result<(), String> {
    match method {
        Method::GetCleanSteps | Method::GetDeploySteps | Method::GetServiceSteps => steps(result),
        Method::GenerateTlsCertificate => certificate(result),
        _ => method
            .check_answer(result)
            .map_err(|error| format!("the result is not what the method gives: {error}")),
    }
}

/// What the conductor would not understand, or not as it is meant.
fn steps(result: &Value) -> Result<(), String> {
    typed::<Vec<Step>>(result)?;
    let steps: Vec<Step> = serde_json::from_value(result.clone()).unwrap_or_default();
    let mut names = BTreeSet::new();
    for step in &steps {
        let name = &step.step;
        if !names.insert(name) {
            return Err(format!("the step {name} is offered twice"));
        }
        if step.priority < 0 {
            return Err(format!("the step {name} has a priority below 0"));
        }
        if !INTERFACES.contains(&step.interface.as_str()) {
            return Err(format!(
                "the step {name} is of the interface {:?}; the conductor knows {}",
                step.interface,
                INTERFACES.join(", ")
            ));
        }
    }
    Ok(())
}

fn certificate(result: &Value) -> Result<(), String> {
    typed::<TlsCertificate>(result)?;
    let text = |name: &str| result[name].as_str().unwrap_or_default().to_owned();
    let identity = Identity {
        certificate: text("text"),
        key: text("private_key"),
    };
    identity
        .server_config(&Options::default())
        .map(|_| ())
        .map_err(|error| format!("the API cannot be served with it: {}", chain(&error)))
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
