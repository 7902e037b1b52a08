//! The agent as a library sees it: functions of C over the server's requests.
#![allow(
    unsafe_code,
    reason = "the functions of a C ABI take the library's pointers"
)]

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};

use farrier_plugin::abi::{self, Text};
use farrier_plugin::protocol::{Failure, INTERNAL_ERROR, INVALID_PARAMS};
use farrier_plugin::{Agent, panic_text};
use serde_json::Value;

/// The structure that a library gets along with a call. It must not outlive `agent`.
pub(crate) fn of_call(agent: &&dyn Agent) -> abi::Agent {
    abi::Agent {
        size: size_of::<abi::Agent>(),
        call: std::ptr::from_ref(agent).cast::<c_void>(),
        request,
        notify,
        is_cancelled,
        release,
    }
}

/// # Safety
/// `agent` is one that [`of_call`] made for a call that still runs.
unsafe fn server<'a>(agent: *const abi::Agent) -> &'a dyn Agent {
    // SAFETY: `of_call` put a reference to a reference there, and both live until the call returns.
    unsafe { *(*agent).call.cast::<&dyn Agent>() }
}

unsafe extern "C" fn request(
    agent: *const abi::Agent,
    method: Text,
    params: Text,
    answer: *mut Text,
) -> i32 {
    // SAFETY: the library asks during its call, with texts that it lends for as long.
    let (agent, method, params) = unsafe { (server(agent), method.bytes(), params.bytes()) };
    let result = catch_unwind(AssertUnwindSafe(|| {
        agent.request(&String::from_utf8_lossy(method), read(params)?)
    }))
    .unwrap_or_else(|panic| {
        Err(Failure::new(
            INTERNAL_ERROR,
            format!("The plugin host panicked: {}", panic_text(&*panic)),
        ))
    });
    let (status, value) = match result {
        Ok(value) => (abi::OK, value),
        Err(failure) => (abi::FAILED, failure.to_value()),
    };
    // SAFETY: the library gives room for an answer.
    unsafe { answer.write(Text::give(value.to_string())) };
    status
}

unsafe extern "C" fn notify(agent: *const abi::Agent, method: Text, params: Text) {
    // SAFETY: the library tells during its call, with texts that it lends for as long.
    let (agent, method, params) = unsafe { (server(agent), method.bytes(), params.bytes()) };
    let method = String::from_utf8_lossy(method);
    match read(params) {
        Ok(params) => agent.notify(&method, params),
        // stderr is the agent's log.
        Err(failure) => eprintln!("the notification {method} is lost: {}", failure.message),
    }
}

unsafe extern "C" fn is_cancelled(agent: *const abi::Agent) -> i32 {
    // SAFETY: the library asks during its call.
    i32::from(unsafe { server(agent) }.is_cancelled())
}

unsafe extern "C" fn release(answer: Text) {
    // SAFETY: the library hands back an answer of `request`, once.
    unsafe { answer.take_back() };
}

fn read(params: &[u8]) -> Result<Value, Failure> {
    if params.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(params).map_err(|error| {
        Failure::new(
            INVALID_PARAMS,
            format!("The library's parameters are not JSON: {error}"),
        )
    })
}
