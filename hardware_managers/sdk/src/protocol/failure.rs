//! An answer that is no result, and the manager's error that it stands for.

use serde_json::{Value, json};

use super::MessageError;
use crate::{ErrorKind, ManagerError};

/// A line was not JSON (JSON-RPC 2.0, 5.1).
pub const PARSE_ERROR: i64 = -32700;
/// A line was JSON and no request.
pub const INVALID_REQUEST: i64 = -32600;
/// There is no such method: the manager declines, and the next one is asked.
pub const METHOD_NOT_FOUND: i64 = -32601;
/// The parameters are not those of the method.
pub const INVALID_PARAMS: i64 = -32602;
/// A fault of the program, such as a panic.
pub const INTERNAL_ERROR: i64 = -32603;
/// The method failed; `data.type` is the name of its error's class on the wire.
pub const FAILED: i64 = -32000;

/// The `error` of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// One of the codes of this module; others count as [`FAILED`] without a class.
    pub code: i64,
    /// What was attempted on which device, and what the reader can do.
    pub message: String,
    /// `{"type": "BlockDeviceEraseError"}`; null where there is nothing to add.
    pub data: Value,
}

impl Failure {
    /// A failure without further data.
    pub fn new(code: i64, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            data: Value::Null,
        }
    }

    /// Read the `error` of an answer; `code` has to be there.
    pub fn read(error: &Value) -> Result<Self, MessageError> {
        let code = error
            .get("code")
            .and_then(Value::as_i64)
            .ok_or(MessageError::NotAMessage("\"error\" without \"code\""))?;
        Ok(Self {
            code,
            message: error
                .get("message")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
            data: error.get("data").cloned().unwrap_or_default(),
        })
    }

    /// The `error` of an answer.
    pub fn to_value(&self) -> Value {
        let mut value = json!({ "code": self.code, "message": self.message });
        if !self.data.is_null() {
            value["data"] = self.data.clone();
        }
        value
    }
}

impl From<ManagerError> for Failure {
    /// A plain refusal is "method not found"; everything else carries the class of the error.
    fn from(error: ManagerError) -> Self {
        Self {
            code: FAILED,
            message: error.chain(),
            data: json!({ "type": error.kind().type_name() }),
        }
    }
}

impl Failure {
    /// The manager's error of a failed call of this method. A class that the conductor does not
    /// know becomes `fallback` and stands in the text; such an error is unexpected, as is a fault
    /// of the program.
    pub fn into_error(self, method: &str, fallback: ErrorKind) -> ManagerError {
        match self.code {
            METHOD_NOT_FOUND => ManagerError::unsupported(method),
            _ => {
                let class = self.data.get("type").and_then(Value::as_str);
                match (class.and_then(ErrorKind::from_type_name), class) {
                    (Some(kind), _) => ManagerError::new(kind, self.message),
                    (None, Some(class)) => {
                        ManagerError::new(fallback, format!("{class}: {}", self.message))
                            .unexpected()
                    }
                    (None, None) => ManagerError::new(fallback, self.message).unexpected(),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_keeps_its_class_and_its_text() {
        let error = ManagerError::new(ErrorKind::BlockDeviceErase, "/dev/sda is frozen")
            .with_source(std::io::Error::other("EIO"));
        let failure = Failure::from(error);
        assert_eq!(failure.code, FAILED);
        let back = failure.into_error("erase_block_device", ErrorKind::Cleaning);
        assert_eq!(back.kind(), ErrorKind::BlockDeviceErase);
        assert_eq!(back.to_string(), "/dev/sda is frozen: EIO");
    }

    #[test]
    fn a_refusal_stays_one() {
        let back = Failure::new(METHOD_NOT_FOUND, "no").into_error("x", ErrorKind::Cleaning);
        assert!(back.declines());
        let declined = Failure::from(ManagerError::new(
            ErrorKind::IncompatibleHardwareMethod,
            "not my disk",
        ));
        let back = declined.into_error("x", ErrorKind::Cleaning);
        assert!(back.declines());
        assert_eq!(back.to_string(), "not my disk");
    }

    #[test]
    fn an_unknown_class_becomes_the_steps() {
        let mut failure = Failure::new(FAILED, "it broke");
        failure.data = json!({ "type": "VendorError" });
        let error = failure.into_error("x", ErrorKind::Cleaning);
        assert_eq!(error.kind(), ErrorKind::Cleaning);
        assert_eq!(error.to_string(), "VendorError: it broke");
        assert!(error.is_unexpected());
        let fault = Failure::new(INTERNAL_ERROR, "it panicked").into_error("x", ErrorKind::Rest);
        assert!(fault.is_unexpected());
    }
}
