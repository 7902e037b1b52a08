//! One message: a request, a notification, or an answer (JSON-RPC 2.0, sections 4 and 5).

use serde_json::{Map, Value, json};

use super::{Failure, MESSAGE_LIMIT, MessageError};

/// The id by which an answer finds its request. Each side numbers its own requests.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Id {
    /// A whole number; the agent's ids are these.
    Number(i64),
    /// A text.
    Text(String),
}

/// A message.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// Something to be answered.
    Request {
        /// To be repeated in the answer.
        id: Id,
        /// What to do.
        method: String,
        /// An object of named parameters; null where there are none.
        params: Value,
    },
    /// Something to be known.
    Notification {
        /// What it is about.
        method: String,
        /// An object of named parameters; null where there are none.
        params: Value,
    },
    /// The answer to a request.
    Answer {
        /// The request's id.
        id: Id,
        /// What came of it.
        result: Result<Value, Failure>,
    },
}

impl Message {
    /// Read a line, with or without its newline.
    pub fn parse(line: &[u8]) -> Result<Self, MessageError> {
        if line.len() > MESSAGE_LIMIT {
            return Err(MessageError::TooLong);
        }
        let value = serde_json::from_slice(line).map_err(MessageError::NotJson)?;
        let Value::Object(mut members) = value else {
            return Err(MessageError::NotAMessage("it is not an object"));
        };
        if members.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
            return Err(MessageError::NotAMessage("\"jsonrpc\" is not \"2.0\""));
        }
        let id = match members.remove("id") {
            None => None,
            Some(id) => Some(Id::read(id)?),
        };
        match members.remove("method") {
            Some(Value::String(method)) => {
                let params = members.remove("params").unwrap_or_default();
                if !(params.is_object() || params.is_null()) {
                    return Err(MessageError::NotAMessage("\"params\" is not an object"));
                }
                Ok(match id {
                    Some(id) => Self::Request { id, method, params },
                    None => Self::Notification { method, params },
                })
            }
            Some(_) => Err(MessageError::NotAMessage("\"method\" is not a text")),
            None => Ok(Self::Answer {
                id: id.ok_or(MessageError::NotAMessage("an answer without \"id\""))?,
                result: outcome(&mut members)?,
            }),
        }
    }

    /// The line to send, with its newline. Too long a message is an error: the other side would
    /// refuse it and take this one for broken.
    pub fn to_line(&self) -> Result<Vec<u8>, MessageError> {
        let value = match self {
            Self::Request { id, method, params } => json!({
                "jsonrpc": "2.0", "id": id.to_value(), "method": method, "params": params,
            }),
            Self::Notification { method, params } => json!({
                "jsonrpc": "2.0", "method": method, "params": params,
            }),
            Self::Answer {
                id,
                result: Ok(result),
            } => json!({ "jsonrpc": "2.0", "id": id.to_value(), "result": result }),
            Self::Answer {
                id,
                result: Err(failure),
            } => json!({ "jsonrpc": "2.0", "id": id.to_value(), "error": failure.to_value() }),
        };
        // JSON text has no newline of its own: inside strings they are escaped.
        let mut line = serde_json::to_vec(&value).map_err(MessageError::NotJson)?;
        line.push(b'\n');
        if line.len() > MESSAGE_LIMIT {
            return Err(MessageError::TooLong);
        }
        Ok(line)
    }
}

impl Id {
    fn read(value: Value) -> Result<Self, MessageError> {
        match value {
            Value::String(text) => Ok(Self::Text(text)),
            Value::Number(number) => {
                number
                    .as_i64()
                    .map(Self::Number)
                    .ok_or(MessageError::NotAMessage(
                        "\"id\" is a number that is not whole",
                    ))
            }
            _ => Err(MessageError::NotAMessage(
                "\"id\" is neither a number nor a text",
            )),
        }
    }

    fn to_value(&self) -> Value {
        match self {
            Self::Number(number) => json!(number),
            Self::Text(text) => json!(text),
        }
    }
}

/// `result` or `error`, and not both.
fn outcome(members: &mut Map<String, Value>) -> Result<Result<Value, Failure>, MessageError> {
    match (members.remove("result"), members.remove("error")) {
        (Some(result), None) => Ok(Ok(result)),
        // Some libraries write the one that is not meant as null.
        (Some(result), Some(Value::Null)) => Ok(Ok(result)),
        (None | Some(Value::Null), Some(error)) => Ok(Err(Failure::read(&error)?)),
        (None, None) => Err(MessageError::NotAMessage(
            "none of \"method\", \"result\" and \"error\" is there",
        )),
        (Some(_), Some(_)) => Err(MessageError::NotAMessage("both \"result\" and \"error\"")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn arb_message() -> impl Strategy<Value = Message> {
        let id = || {
            prop_oneof![
                any::<i64>().prop_map(Id::Number),
                ".{0,8}".prop_map(Id::Text)
            ]
        };
        let params = || {
            prop_oneof![
                Just(Value::Null),
                ("[a-z]{1,5}", ".{0,20}").prop_map(|(name, text)| json!({ name: text })),
            ]
        };
        prop_oneof![
            (id(), ".{0,12}", params()).prop_map(|(id, method, params)| Message::Request {
                id,
                method,
                params
            }),
            (".{0,12}", params())
                .prop_map(|(method, params)| Message::Notification { method, params }),
            (id(), params()).prop_map(|(id, result)| Message::Answer {
                id,
                result: Ok(result)
            }),
            (id(), any::<i64>(), ".{0,20}").prop_map(|(id, code, message)| Message::Answer {
                id,
                result: Err(Failure {
                    code,
                    message,
                    data: Value::Null
                }),
            }),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_from_one_line(message in arb_message()) {
            let line = message.to_line().unwrap();
            prop_assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
            prop_assert_eq!(Message::parse(&line).unwrap(), message);
        }

        #[test]
        fn any_line_is_a_message_or_not(line in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Message::parse(&line);
        }
    }

    #[test]
    fn what_is_no_message_is_told_by_name() {
        for (line, why) in [
            ("[]", "not an object"),
            ("{}", "\"jsonrpc\""),
            (r#"{"jsonrpc":"2.0"}"#, "without \"id\""),
            (r#"{"jsonrpc":"2.0","id":1}"#, "none of"),
            (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, "\"method\""),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"m","params":[1]}"#,
                "\"params\"",
            ),
            (r#"{"jsonrpc":"2.0","id":1.5,"result":1}"#, "not whole"),
            (r#"{"jsonrpc":"2.0","id":null,"result":1}"#, "neither"),
            (r#"{"jsonrpc":"2.0","id":1,"result":1,"error":{}}"#, "both"),
            ("half a li", "not JSON"),
        ] {
            let error = Message::parse(line.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(why), "{line}: {error}");
        }
    }

    #[test]
    fn unknown_members_are_ignored() {
        let line = br#"{"jsonrpc":"2.0","id":"a","result":null,"error":null,"more":[1,2]}"#;
        assert_eq!(
            Message::parse(line).unwrap(),
            Message::Answer {
                id: Id::Text("a".to_owned()),
                result: Ok(Value::Null)
            }
        );
    }

    #[test]
    fn a_message_that_is_too_long_is_not_sent() {
        let message = Message::Notification {
            method: "log".to_owned(),
            params: json!({ "message": "x".repeat(MESSAGE_LIMIT) }),
        };
        assert!(matches!(message.to_line(), Err(MessageError::TooLong)));
    }
}
