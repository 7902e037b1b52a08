//! We call the conductor: client, lookup, heartbeat, inspection callback.

mod answer;
mod client;
mod endpoint;
mod error;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod heartbeat;
mod inspection;
mod lookup;
mod metrics;
mod retry;
mod step_under_way;

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;

pub(crate) use answer::{LookupAnswer, TokenAnswer};
pub(crate) use client::ApiVersion;
pub use client::Client;
pub(crate) use endpoint::{Endpoint, ServiceKind};
pub(crate) use error::ConductorError;
pub(crate) use heartbeat::News;
pub use heartbeat::{Beat, Heartbeats};
pub(crate) use inspection::InspectionOutcome;
pub(crate) use lookup::{Lookup, LookupTimes};
pub(crate) use retry::{periodic_pause, repeat_pause};
pub(crate) use step_under_way::StepUnderWay;
