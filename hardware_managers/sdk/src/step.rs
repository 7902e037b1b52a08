//! Steps: what a manager offers to the conductor, and how one is run.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::LargeStrings;

/// The three families of steps.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum StepKind {
    /// Between two tenants.
    Clean,
    /// While an image is deployed.
    Deploy,
    /// On a deployed node that was taken into service.
    Service,
}

impl StepKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Clean, Self::Deploy, Self::Service];

    /// The word on the wire: `clean`, `deploy`, `service`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Deploy => "deploy",
            Self::Service => "service",
        }
    }
}

/// A step that a manager offers (contract/control-plane 7.2).
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Step {
    /// The method's name.
    pub step: String,
    /// Higher runs first, 0 never runs by itself.
    pub priority: i64,
    /// The driver interface that owns it: `deploy` or `raid`.
    pub interface: String,
    /// Reboot out-of-band after success.
    pub reboot_requested: bool,
    /// Whether an abort may stop it. Left out of the wire form where the reference leaves it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abortable: Option<bool>,
    /// The arguments it takes. Arguments that are not listed are refused by the conductor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub argsinfo: Option<BTreeMap<String, ArgumentInfo>>,
}

/// One argument of a step.
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ArgumentInfo {
    /// What it means, for a person.
    pub description: String,
    /// Whether the step refuses to run without it.
    pub required: bool,
}

/// The keyword arguments of a step: the request's further parameters overlaid with `step.args`.
#[derive(Clone, Default)]
pub struct StepArguments {
    /// Name to value. A string above [`crate::LARGE_STRING`] bytes stands here as a marker; read
    /// strings that may be large with [`StepArguments::text`].
    pub values: Map<String, Value>,
    /// The large strings of the request, each kept once however often it was sent.
    pub large: Arc<LargeStrings>,
}

/// Names alone: what a step is given may be a password or a config drive.
impl fmt::Debug for StepArguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

impl StepArguments {
    /// The string argument of this name, large or small; `None` where it is absent or null or not
    /// a string.
    pub fn text(&self, name: &str) -> Option<Arc<str>> {
        self.large.resolve(self.values.get(name)?)
    }
}
