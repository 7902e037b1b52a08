//! The parameters of one command: which it takes, and reading them.

use std::fmt::{self, Display};
use std::sync::{Arc, OnceLock};

use farrier_plugin::{ErrorKind, LargeStrings, ManagerError, Node, Port, StepArguments};
use serde_json::{Map, Value};
use tracing::warn;

use crate::block::hints::is_empty;
use crate::config::Options;
use crate::deploy::ImageInfo;

/// Which parameters a command takes. The messages are the reference's, which are Python's own
/// words about a call with the wrong arguments: operators search for them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signature {
    /// Parameters that must be there, null or not.
    pub(super) required: &'static [&'static str],
    /// Parameters that may be there.
    pub(super) optional: &'static [&'static str],
    /// Whether others are taken too.
    pub(super) open: bool,
}

impl Signature {
    /// No parameters.
    pub(super) const NONE: Self = Self::of(&[], &[]);

    /// These and no others.
    pub(super) const fn of(
        required: &'static [&'static str],
        optional: &'static [&'static str],
    ) -> Self {
        Self {
            required,
            optional,
            open: false,
        }
    }

    /// Whether the parameters fit; the error says which does not, without its kind.
    pub(super) fn check(&self, command: &str, params: &Map<String, Value>) -> Result<(), String> {
        let missing: Vec<String> = self
            .required
            .iter()
            .filter(|name| !params.contains_key(**name))
            .map(|name| format!("'{name}'"))
            .collect();
        if !missing.is_empty() {
            let plural = if missing.len() == 1 { "" } else { "s" };
            return Err(format!(
                "{command}() missing {} required positional argument{plural}: {}",
                missing.len(),
                missing.join(" and ")
            ));
        }
        let known = |name: &str| self.required.contains(&name) || self.optional.contains(&name);
        match params.keys().find(|name| !self.open && !known(name)) {
            Some(name) => Err(format!(
                "{command}() got an unexpected keyword argument '{name}'"
            )),
            None => Ok(()),
        }
    }
}

/// The parameters of one call.
#[derive(Clone, Default)]
pub(super) struct Parameters {
    values: Map<String, Value>,
    large: Arc<LargeStrings>,
    image: OnceLock<Arc<ImageInfo>>,
}

/// Names alone: a rescue password and a config drive are values.
impl fmt::Debug for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

impl Parameters {
    /// These values, whose large strings are in that table.
    pub(super) fn new(values: Map<String, Value>, large: Arc<LargeStrings>) -> Self {
        Self {
            values,
            large,
            image: OnceLock::new(),
        }
    }

    /// All of them.
    pub(super) fn values(&self) -> &Map<String, Value> {
        &self.values
    }

    /// The table of large strings.
    pub(super) fn large(&self) -> &Arc<LargeStrings> {
        &self.large
    }

    /// One of them; null counts as absent.
    pub(super) fn value(&self, name: &str) -> Option<&Value> {
        self.values.get(name).filter(|value| !value.is_null())
    }

    /// An object.
    pub(super) fn object(&self, name: &str) -> Result<&Map<String, Value>, ManagerError> {
        match self.value(name) {
            Some(Value::Object(members)) => Ok(members),
            _ => Err(wrong(name, "an object")),
        }
    }

    /// A list; an empty object or string is an empty one.
    pub(super) fn list(&self, name: &str) -> Result<&[Value], ManagerError> {
        match self.value(name) {
            Some(Value::Array(items)) => Ok(items),
            Some(empty @ (Value::Object(_) | Value::String(_))) if is_empty(empty) => Ok(&[]),
            _ => Err(wrong(name, "a list")),
        }
    }

    /// A string; an absent one is empty.
    pub(super) fn text(&self, name: &str) -> Result<Arc<str>, ManagerError> {
        match self.value(name) {
            None => Ok("".into()),
            Some(value) => self
                .large
                .resolve(value)
                .ok_or_else(|| wrong(name, "a string")),
        }
    }

    /// Whether it is there and true: every value is one or the other, as in the reference.
    pub(super) fn is_true(&self, name: &str) -> bool {
        self.value(name).is_some_and(|value| !is_empty(value))
    }

    /// The parameter `node`. Large strings are left out: the node that a step sees has its config
    /// drive masked in the reference too (contract/control-plane 7.1), and the drive itself comes
    /// as an argument.
    pub(super) fn node(&self) -> Result<Node, ManagerError> {
        let node = Node(
            self.object("node")?
                .iter()
                .map(|(name, value)| (name.clone(), self.large.elide(value)))
                .collect(),
        );
        // Whatever it is: the reference only compares it. A missing one it reports as a missing extension.
        match node.0.contains_key("uuid") {
            true => Ok(node),
            false => Err(invalid("The parameter 'node' has no 'uuid'")),
        }
    }

    /// The parameter `ports`, without large strings too. What is no list has no ports: the reference hands
    /// on whatever comes, and its own tests send an object.
    pub(super) fn ports(&self) -> Vec<Port> {
        match self.value("ports") {
            Some(Value::Array(ports)) => ports.iter().map(|port| self.large.elide(port)).collect(),
            Some(other) if !is_empty(other) => {
                warn!("the parameter 'ports' is no list; hardware managers are given no ports");
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// The image that they describe, taken apart when it is asked for first.
    pub(super) fn image(&self, options: &Options) -> Result<Arc<ImageInfo>, ManagerError> {
        if let Some(image) = self.image.get() {
            return Ok(Arc::clone(image));
        }
        let image = Arc::new(ImageInfo::parse(&self.to_arguments(), options)?);
        Ok(Arc::clone(self.image.get_or_init(|| image)))
    }

    /// All of them, as the arguments of a step.
    pub(super) fn to_arguments(&self) -> StepArguments {
        StepArguments {
            values: self.values.clone(),
            large: Arc::clone(&self.large),
        }
    }
}

/// The error of a parameter that cannot be used.
pub(super) fn invalid(details: impl Into<String>) -> ManagerError {
    ManagerError::new(ErrorKind::InvalidCommandParams, details)
}

fn wrong(name: &str, expected: impl Display) -> ManagerError {
    invalid(format!("The parameter '{name}' must be {expected}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parameters(values: Value) -> Parameters {
        let Value::Object(values) = values else {
            panic!("not an object");
        };
        Parameters::new(values, Arc::default())
    }

    #[test]
    fn a_call_must_fit_its_signature() {
        let signature = Signature::of(&["node", "ports"], &["extra"]);
        let check = |params: Value| signature.check("get_clean_steps", parameters(params).values());
        assert_eq!(
            check(json!({"node": {}, "ports": null, "extra": 1})),
            Ok(())
        );
        assert_eq!(
            check(json!({"node": {}})).unwrap_err(),
            "get_clean_steps() missing 1 required positional argument: 'ports'"
        );
        assert_eq!(
            check(json!({})).unwrap_err(),
            "get_clean_steps() missing 2 required positional arguments: 'node' and 'ports'"
        );
        assert_eq!(
            check(json!({"node": {}, "ports": [], "self": 1})).unwrap_err(),
            "get_clean_steps() got an unexpected keyword argument 'self'"
        );
    }

    #[test]
    fn a_node_needs_a_uuid() {
        let error = parameters(json!({"node": {"name": "n1"}}))
            .node()
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidCommandParams);
        for uuid in [json!("1be2"), json!(7), json!(null), json!({})] {
            parameters(json!({"node": {"uuid": uuid}})).node().unwrap();
        }
    }

    #[test]
    fn the_node_comes_without_its_config_drive() {
        let mut large = LargeStrings::default();
        let marker = large.intern(&"x".repeat(farrier_plugin::LARGE_STRING + 1));
        let Value::Object(values) =
            json!({"node": {"uuid": "1be2", "instance_info": {"configdrive": marker}}})
        else {
            unreachable!()
        };
        let node = Parameters::new(values, Arc::new(large)).node().unwrap();
        assert_eq!(
            node.field("instance_info", "configdrive").unwrap(),
            "<65537 bytes omitted>"
        );
    }

    #[test]
    fn wrong_types_are_named() {
        let parameters = parameters(json!({"node": 1, "flow": {"a": 1}, "p": 1}));
        for (error, name) in [
            (parameters.node().unwrap_err(), "'node'"),
            (parameters.list("flow").unwrap_err(), "'flow'"),
            (parameters.text("p").unwrap_err(), "'p'"),
        ] {
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[test]
    fn a_flag_may_be_anything_and_ports_too() {
        for (value, is_true) in [
            (json!(true), true),
            (json!("yes"), true),
            (json!(1), true),
            (json!(false), false),
            (json!(0), false),
            (json!(""), false),
            (json!([]), false),
            (json!(null), false),
        ] {
            let given = parameters(json!({"hashed": value}));
            assert_eq!(given.is_true("hashed"), is_true, "{value}");
        }
        assert!(!parameters(json!({})).is_true("hashed"));

        let port = json!({"address": "52:54:00:00:00:01"});
        for (ports, expected) in [
            (json!([port, null]), vec![port.clone(), Value::Null]),
            (json!({}), Vec::new()),
            (port, Vec::new()),
            (json!("eth0"), Vec::new()),
            (json!(null), Vec::new()),
        ] {
            assert_eq!(parameters(json!({"ports": ports})).ports(), expected);
        }
    }
}
