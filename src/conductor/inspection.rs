//! Handing in what an inspection found (contract/control-plane 9.5).

use std::time::Duration;

use farrier_plugin::chain;
use reqwest::Method;
use serde_json::Value;
use tokio::time::sleep;
use tracing::{info, warn};
use url::Url;

use super::answer::is_uuid;
use super::{Client, ConductorError};
use crate::net::http::shown;

/// Pauses between the tries, in seconds; one more try than pauses.
const PAUSES: [u64; 4] = [5, 5, 6, 12];

/// What the conductor made of the data.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct InspectionOutcome {
    /// The node's UUID, where the conductor told it.
    pub node_uuid: Option<String>,
}

impl Client {
    /// Post inspection data to the first of these URLs that can be connected to.
    ///
    /// Only a conductor's answer counts: a success with JSON in it. A try that meets no connection
    /// anywhere, no answer, another's answer, a 5xx or a 409 is repeated, five tries in all, and the
    /// last one's error is returned. (The reference dies where no answer comes, or none that is JSON,
    /// and tries again when it has been restarted.)
    pub async fn post_inspection(
        &self,
        urls: &[Url],
        body: &[u8],
    ) -> Result<InspectionOutcome, ConductorError> {
        let mut pauses = PAUSES.iter();
        loop {
            let error = match self.post_once(urls, body).await {
                Ok(outcome) => return Ok(outcome),
                Err(error) => error,
            };
            match pauses.next().filter(|_| error.is_transient()) {
                Some(pause) => {
                    warn!(error = %chain(&error), pause, "could not hand in the inspection data");
                    sleep(Duration::from_secs(*pause)).await;
                }
                None => return Err(error),
            }
        }
    }

    /// The same in a single try.
    pub async fn post_once(
        &self,
        urls: &[Url],
        body: &[u8],
    ) -> Result<InspectionOutcome, ConductorError> {
        let mut failure = ConductorError::NoUrl;
        for url in urls {
            // No version header: the conductor takes that for the legacy form, which it accepts.
            match self.send(Method::POST, url.clone(), None, Some(body)).await {
                Ok(answer) if answer.status.is_success() => {
                    // A portal's page says nothing of inspection data.
                    let outcome = outcome(&answer.json()?);
                    info!(
                        url = shown(url),
                        bytes = body.len(),
                        "handed in the inspection data"
                    );
                    return Ok(outcome);
                }
                Ok(answer) => return Err(answer.failure()),
                Err(error @ ConductorError::Unreachable { .. }) => failure = error,
                Err(error) => return Err(error),
            }
        }
        Err(failure)
    }
}

fn outcome(answer: &Value) -> InspectionOutcome {
    InspectionOutcome {
        node_uuid: ["/uuid", "/node/uuid"]
            .iter()
            .find_map(|path| answer.pointer(path)?.as_str())
            // The lookup asks by it, and wants the node with it.
            .filter(|uuid| is_uuid(uuid))
            .map(str::to_owned),
    }
}
