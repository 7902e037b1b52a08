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
mod retry;
mod step_under_way;

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;

pub use answer::{LookupAnswer, TokenAnswer};
pub use client::{ApiVersion, Client};
pub use endpoint::{Endpoint, ServiceKind};
pub use error::ConductorError;
pub use heartbeat::{Beat, Heartbeats, News};
pub use inspection::InspectionOutcome;
pub use lookup::{Lookup, LookupTimes};
pub use retry::repeat_pause;
pub use step_under_way::StepUnderWay;
