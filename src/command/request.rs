//! What the conductor asks for: a name and its parameters.

use std::fmt;
use std::io::BufRead;
use std::sync::Arc;

use farrier_plugin::LargeStrings;
use serde_json::{Map, Value};

use super::document::{Document, DocumentError};

/// The body of a POST.
#[derive(Clone, Default)]
pub struct Request {
    /// `<extension>.<command>`, not checked yet.
    pub name: String,
    /// The parameters, with markers in place of large strings.
    pub params: Map<String, Value>,
    /// The large strings.
    pub large: Arc<LargeStrings>,
}

/// Why a body is no request.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// Not a document.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// A document of another shape.
    #[error("Missing or invalid name or params")]
    Shape,
}

/// Names alone: a rescue password and a config drive are values.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("name", &self.name)
            .field("params", &self.params.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl Request {
    /// Parse a body.
    pub fn read(reader: impl BufRead) -> Result<Self, RequestError> {
        let Document { value, large } = Document::parse(reader)?;
        let Value::Object(mut members) = value else {
            return Err(RequestError::Shape);
        };
        match (members.remove("name"), members.remove("params")) {
            // A name that is a large string is a marker here, has no dot and is refused later.
            (Some(Value::String(name)), Some(Value::Object(params))) => Ok(Self {
                name,
                params,
                large: Arc::new(large),
            }),
            _ => Err(RequestError::Shape),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_shows_no_value() {
        let request = Request::read(
            &br#"{"name": "rescue.finalize_rescue", "params": {"rescue_password": "planted"}}"#[..],
        )
        .unwrap();
        let dump = format!("{request:?}");
        assert!(!dump.contains("planted"), "{dump}");
        assert!(dump.contains("rescue_password"), "{dump}");
    }

    #[test]
    fn name_and_params_are_taken() {
        let request =
            Request::read(&br#"{"name": "standby.sync", "params": {"self": 1}, "x": 0}"#[..])
                .unwrap();
        assert_eq!(request.name, "standby.sync");
        assert_eq!(request.params["self"], 1);
    }

    #[test]
    fn other_shapes_are_refused() {
        for body in [
            "null",
            "1",
            "\"standby.sync\"",
            "[]",
            "{}",
            r#"{"name": "standby.sync"}"#,
            r#"{"params": {}}"#,
            r#"{"name": 1, "params": {}}"#,
            r#"{"name": "standby.sync", "params": []}"#,
            r#"{"name": "standby.sync", "params": null}"#,
        ] {
            assert!(
                matches!(Request::read(body.as_bytes()), Err(RequestError::Shape)),
                "{body}"
            );
        }
    }
}
