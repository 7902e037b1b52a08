//! The agent as a method of the manager sees it: the SDK's context over requests and notifications.

use serde_json::{Value, json};

use super::Agent;
use crate::protocol::parameters::Listing;
use crate::protocol::{Callback, Notification, WireDevice};
use crate::{
    BlockDevice, Context, ErrorKind, LogLevel, ManagerError, ProgramOutput, ProgramRequest,
    Progress,
};

/// The agent, during one call.
pub(crate) struct Remote<'a> {
    pub(crate) agent: &'a dyn Agent,
}

impl Remote<'_> {
    fn ask(&self, callback: Callback, params: Value) -> Result<Value, ManagerError> {
        let method = callback.as_str();
        self.agent
            .request(method, params)
            .map_err(|failure| failure.into_error(method, ErrorKind::CommandExecution))
    }
}

impl Context for Remote<'_> {
    fn report_progress(&self, progress: Progress) {
        self.agent.notify(
            Notification::Progress.as_str(),
            json!({
                "what": progress.what, "done": progress.done,
                "total": progress.total,
            }),
        );
    }

    fn is_cancelled(&self) -> bool {
        self.agent.is_cancelled()
    }

    fn log(&self, level: LogLevel, message: &str) {
        let params = json!({ "level": level, "message": message });
        self.agent.notify(Notification::Log.as_str(), params);
    }

    fn block_devices(&self, include_partitions: bool) -> Result<Vec<BlockDevice>, ManagerError> {
        let listed = self.ask(
            Callback::ListBlockDevices,
            json!(Listing { include_partitions }),
        )?;
        let devices: Vec<WireDevice> = serde_json::from_value(listed).map_err(unreadable)?;
        Ok(devices
            .into_iter()
            .map(|WireDevice(device)| device)
            .collect())
    }

    fn run_program(&self, program: &ProgramRequest) -> Result<ProgramOutput, ManagerError> {
        let params = serde_json::to_value(program).map_err(unreadable)?;
        let output = self.ask(Callback::RunProgram, params)?;
        serde_json::from_value(output).map_err(unreadable)
    }
}

fn unreadable(error: serde_json::Error) -> ManagerError {
    ManagerError::new(
        ErrorKind::CommandExecution,
        "What the agent was asked could not be read",
    )
    .with_source(error)
}
