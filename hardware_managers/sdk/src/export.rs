//! A manager as a shared library: what [`export_hardware_manager!`](crate::export_hardware_manager)
//! puts behind the functions of the C ABI.
#![allow(
    unsafe_code,
    reason = "the functions of a C ABI take the other side's pointers"
)]

use std::ffi::CString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use serde_json::Value;

use crate::HardwareManager;
use crate::abi::{self, Text};
use crate::protocol::{self, Capabilities, Failure, INTERNAL_ERROR, INVALID_PARAMS};
use crate::serve::{self, Agent, Remote, introduce, panicked};

/// Make this crate, a `cdylib`, a hardware manager that farrier loads: a file `NAME.so` in its
/// plugin directory, or `plugin.so` in a folder there.
///
/// Its parameters are those of [`serve`](crate::serve): an expression that makes the manager, its
/// methods as a slice of [`Method`](crate::protocol::Method) or of their names, and its capabilities. A panic in the manager is an error
/// of the call in which it happens, unless the crate is compiled with `panic = "abort"`.
///
/// ```
/// use farrier_plugin::protocol::{Capabilities, Method};
/// use farrier_plugin::{HardwareManager, ManagerError, ManagerVersion, export_hardware_manager};
///
/// struct Cards;
///
/// impl HardwareManager for Cards {
///     fn class_name(&self) -> &str {
///         "CardsHardwareManager"
///     }
///
///     fn version(&self) -> ManagerVersion {
///         ManagerVersion { name: "cards".to_owned(), version: "1.0".to_owned() }
///     }
///
///     fn evaluate_hardware_support(&self) -> Result<u32, ManagerError> {
///         Ok(0)
///     }
/// }
///
/// export_hardware_manager!(
///     Cards,
///     &[Method::EvaluateHardwareSupport],
///     Capabilities::default(),
/// );
/// ```
#[macro_export]
macro_rules! export_hardware_manager {
    ($manager:expr, $methods:expr, $capabilities:expr $(,)?) => {
        #[allow(unsafe_code, reason = "the host calls these functions by C's rules")]
        const _: () = {
            static EXPORTED: $crate::export::Exported = $crate::export::Exported::new(
                || ::std::boxed::Box::new($manager),
                || $crate::export::names($methods),
                || $capabilities,
            );

            unsafe extern "C" fn introduce(answer: *mut $crate::abi::Text) -> i32 {
                // SAFETY: the host keeps what farrier_plugin.h says.
                unsafe { EXPORTED.introduce(answer) }
            }

            unsafe extern "C" fn call(
                agent: *const $crate::abi::Agent,
                method: $crate::abi::Text,
                params: $crate::abi::Text,
                answer: *mut $crate::abi::Text,
            ) -> i32 {
                // SAFETY: the host keeps what farrier_plugin.h says.
                unsafe { EXPORTED.call(agent, method, params, answer) }
            }

            unsafe extern "C" fn release(answer: $crate::abi::Text) {
                // SAFETY: the host hands back what it was given here, once.
                unsafe { answer.take_back() }
            }

            #[unsafe(export_name = "farrier_plugin")]
            static PLUGIN: $crate::abi::Plugin = $crate::abi::Plugin {
                abi_version: $crate::abi::VERSION,
                size: ::std::mem::size_of::<$crate::abi::Plugin>() as u32,
                introduce: ::std::option::Option::Some(introduce),
                call: ::std::option::Option::Some(call),
                release: ::std::option::Option::Some(release),
            };
        };
    };
}

/// The names of methods.
pub fn names(methods: &[impl AsRef<str>]) -> Vec<String> {
    serve::names(methods)
}

/// The manager of a library, made when it is asked to introduce itself.
pub struct Exported {
    manager: OnceLock<Box<dyn HardwareManager>>,
    make: fn() -> Box<dyn HardwareManager>,
    methods: fn() -> Vec<String>,
    capabilities: fn() -> Capabilities,
}

impl Exported {
    /// A manager that is not made yet.
    pub const fn new(
        make: fn() -> Box<dyn HardwareManager>,
        methods: fn() -> Vec<String>,
        capabilities: fn() -> Capabilities,
    ) -> Self {
        Self {
            manager: OnceLock::new(),
            make,
            methods,
            capabilities,
        }
    }

    /// `introduce` of the ABI.
    ///
    /// # Safety
    /// A text can be written to `answer`.
    pub unsafe fn introduce(&self, answer: *mut Text) -> i32 {
        let result = answered("introduce", || {
            let manager = self.manager.get_or_init(self.make);
            let introduction = introduce(manager.as_ref(), (self.methods)(), (self.capabilities)());
            serde_json::to_value(introduction)
                .map_err(|error| Failure::new(INTERNAL_ERROR, error.to_string()))
        });
        // SAFETY: the caller's promise.
        unsafe { give(result, answer) }
    }

    /// `call` of the ABI.
    ///
    /// # Safety
    /// The agent and the texts are valid for the time of the call, and a text can be written to
    /// `answer`.
    pub unsafe fn call(
        &self,
        agent: *const abi::Agent,
        method: Text,
        params: Text,
        answer: *mut Text,
    ) -> i32 {
        // SAFETY: the caller's promise.
        let (agent, method, params) = unsafe { (&*agent, method.bytes(), params.bytes()) };
        let method = String::from_utf8_lossy(method);
        let result = answered(&method, || {
            let params = read(params).map_err(|error| {
                Failure::new(
                    INVALID_PARAMS,
                    format!("The parameters of {method} are not JSON: {error}"),
                )
            })?;
            let manager = self.manager.get_or_init(self.make);
            let agent = Host { agent };
            protocol::call(manager.as_ref(), &Remote { agent: &agent }, &method, params)
        });
        // SAFETY: the caller's promise.
        unsafe { give(result, answer) }
    }
}

/// Nothing that happens in the manager unwinds into the host.
fn answered(method: &str, work: impl FnOnce() -> Result<Value, Failure>) -> Result<Value, Failure> {
    // The manager is not used to be left half-changed by a panic any more than by an error.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(panicked(method, &*panic)))
}

unsafe fn give(result: Result<Value, Failure>, answer: *mut Text) -> i32 {
    let (status, value) = match result {
        Ok(value) => (abi::OK, value),
        Err(failure) => (abi::FAILED, failure.to_value()),
    };
    // SAFETY: the caller of the ABI gives room for a text.
    unsafe { answer.write(Text::give(value.to_string())) };
    status
}

/// No text is null.
fn read(text: &[u8]) -> serde_json::Result<Value> {
    if text.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(text)
}

/// The agent behind the functions that the host gave along with a call.
struct Host<'a> {
    agent: &'a abi::Agent,
}

// SAFETY: the ABI lets every thread of the library use the agent during the call, and the borrow
// lives no longer.
unsafe impl Send for Host<'_> {}
// SAFETY: as above.
unsafe impl Sync for Host<'_> {}

impl Agent for Host<'_> {
    fn request(&self, method: &str, params: Value) -> Result<Value, Failure> {
        let (method, params) = (c_text(method), c_text(&params.to_string()));
        let mut answer = Text::EMPTY;
        // SAFETY: the texts live until the end of this function, and the host writes one text.
        let status = unsafe {
            (self.agent.request)(
                self.agent,
                Text::lend(&method),
                Text::lend(&params),
                &raw mut answer,
            )
        };
        // SAFETY: the host's answer is valid until it is released, which happens below.
        let value = read(unsafe { answer.bytes() });
        // SAFETY: it is released once, and `value` borrows nothing of it.
        unsafe { (self.agent.release)(answer) };
        let value = value.map_err(|error| Failure::new(INTERNAL_ERROR, error.to_string()))?;
        if status == abi::OK {
            return Ok(value);
        }
        Err(Failure::read(&value)
            .unwrap_or_else(|error| Failure::new(INTERNAL_ERROR, error.to_string())))
    }

    fn notify(&self, method: &str, params: Value) {
        let (method, params) = (c_text(method), c_text(&params.to_string()));
        // SAFETY: the texts live until the end of this function.
        unsafe { (self.agent.notify)(self.agent, Text::lend(&method), Text::lend(&params)) };
    }

    fn is_cancelled(&self) -> bool {
        // SAFETY: the agent lives for the time of the call.
        unsafe { (self.agent.is_cancelled)(self.agent) != 0 }
    }
}

/// JSON and the names of methods have no byte 0; a name that has one is empty, which is no method.
fn c_text(text: &str) -> CString {
    CString::new(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::protocol::METHOD_NOT_FOUND;
    use crate::{Context, ManagerError, ManagerVersion, Node, Port, Progress, StepArguments};

    struct Manager;

    impl HardwareManager for Manager {
        fn class_name(&self) -> &str {
            "LibraryHardwareManager"
        }

        fn version(&self) -> ManagerVersion {
            ManagerVersion {
                name: "library".to_owned(),
                version: "1".to_owned(),
            }
        }

        fn evaluate_hardware_support(&self) -> Result<u32, ManagerError> {
            Ok(3)
        }

        fn execute_step(
            &self,
            context: &dyn Context,
            step: &str,
            _node: &Node,
            _ports: &[Port],
            _arguments: &StepArguments,
        ) -> Result<Value, ManagerError> {
            match step {
                "panic" => panic!("the card is on fire"),
                "disks" => {
                    context.report_progress(Progress::default());
                    assert!(context.is_cancelled());
                    Ok(json!(context.block_devices(true)?.len()))
                }
                "program" => {
                    let program = crate::ProgramRequest::new("/bin/true");
                    Ok(json!(context.run_program(&program)?.exit_code))
                }
                _ => Err(ManagerError::unsupported(step)),
            }
        }
    }

    static EXPORTED: Exported = Exported::new(
        || Box::new(Manager),
        || names(&["evaluate_hardware_support", "execute_step"]),
        Capabilities::default,
    );

    unsafe extern "C" fn request(
        _agent: *const abi::Agent,
        method: Text,
        _params: Text,
        answer: *mut Text,
    ) -> i32 {
        // SAFETY: the library's texts live, and it gives room for an answer.
        unsafe {
            if method.bytes() == b"list_block_devices" {
                answer.write(Text::give(r#"[{"name": "/dev/sda", "size": 1}]"#));
                return abi::OK;
            }
            answer.write(Text::give(r#"{"code": -32000, "message": "not today"}"#));
        }
        abi::FAILED
    }

    unsafe extern "C" fn notify(_agent: *const abi::Agent, method: Text, params: Text) {
        // SAFETY: the library's texts live.
        let (method, params) = unsafe { (method.bytes(), params.bytes()) };
        assert_eq!(method, b"progress");
        assert!(serde_json::from_slice::<Value>(params).unwrap().is_object());
    }

    unsafe extern "C" fn is_cancelled(_agent: *const abi::Agent) -> i32 {
        1
    }

    unsafe extern "C" fn release(answer: Text) {
        // SAFETY: every answer above was given.
        unsafe { answer.take_back() }
    }

    fn call(method: &str, params: &str) -> (i32, Value) {
        let agent = abi::Agent {
            size: size_of::<abi::Agent>(),
            call: std::ptr::null(),
            request,
            notify,
            is_cancelled,
            release,
        };
        let (method, params) = (c_text(method), c_text(params));
        let mut answer = Text::EMPTY;
        // SAFETY: agent and texts live until the end of this function.
        unsafe {
            let status = EXPORTED.call(
                &raw const agent,
                Text::lend(&method),
                Text::lend(&params),
                &raw mut answer,
            );
            let value = read(answer.bytes()).unwrap();
            answer.take_back();
            (status, value)
        }
    }

    #[test]
    fn it_introduces_itself_by_the_abi() {
        let mut answer = Text::EMPTY;
        // SAFETY: there is room for an answer, which is taken back once.
        let introduction = unsafe {
            assert_eq!(EXPORTED.introduce(&raw mut answer), abi::OK);
            let introduction = read(answer.bytes()).unwrap();
            answer.take_back();
            introduction
        };
        assert_eq!(introduction["class_name"], "LibraryHardwareManager");
        assert_eq!(introduction["methods"][1], "execute_step");
        assert_eq!(introduction["capabilities"]["concurrent_calls"], 1);
    }

    #[test]
    fn results_failures_and_panics_come_out_as_json() {
        assert_eq!(call("evaluate_hardware_support", ""), (abi::OK, json!(3)));
        assert_eq!(
            call("execute_step", r#"{"step": "disks"}"#),
            (abi::OK, json!(1))
        );
        let (status, failure) = call("execute_step", r#"{"step": "program"}"#);
        assert_eq!(status, abi::FAILED);
        assert_eq!(failure["message"], "not today");
        assert_eq!(failure["data"]["type"], "CommandExecutionError");
        let (status, failure) = call("execute_step", r#"{"step": "panic"}"#);
        assert_eq!(
            (status, &failure["code"]),
            (abi::FAILED, &json!(INTERNAL_ERROR))
        );
        let message = failure["message"].as_str().unwrap();
        assert!(message.contains("the card is on fire"), "{message}");
        let (status, failure) = call("execute_step", "{");
        assert_eq!(
            (status, &failure["code"]),
            (abi::FAILED, &json!(INVALID_PARAMS))
        );
    }
    #[test]
    fn a_method_that_is_not_in_the_table_is_not_found() {
        let (status, failure) = call("of_a_later_version", r#"{"node": {}}"#);
        assert_eq!(
            (status, failure),
            (
                abi::FAILED,
                json!({ "code": METHOD_NOT_FOUND,
                        "message": "There is no method of_a_later_version" })
            )
        );
    }
}
