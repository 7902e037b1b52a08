//! The status as a whole, for who asks: on the machine all of it, by the API what anybody may know.

use serde_json::{Value, json};

use super::{Status, addresses};
use crate::api::Glance;
use crate::command::{Command, CommandTable};

impl Status {
    /// All of it, for root on this machine: what the page on the console says, with the numbers of the command that runs.
    pub(in crate::agent) fn report(&self, table: Option<&CommandTable>) -> Value {
        let running = table.and_then(CommandTable::running);
        let command = running.as_ref().map(|command| {
            let pace = command.pace();
            json!({
                "name": command.name(),
                "doing": command.in_words(),
                "progress": pace,
                "bar": pace.map(|pace| pace.to_string()),
            })
        });
        let last_failure = table
            .and_then(CommandTable::last_failure)
            .and_then(|command| failure(&command));
        let facts = self.lock();
        // The page hears of a command within a second.
        let now = match &running {
            Some(command) if !facts.is_ending => command.in_words(),
            _ => facts.now(),
        };
        let troubles: Vec<Value> = facts
            .troubles
            .values()
            .map(|told| {
                json!({
                    "about": told.trouble.topic.word(),
                    "what": told.trouble.what,
                    "advice": told.trouble.advice,
                    "times": told.times,
                })
            })
            .collect();
        json!({
            "version": crate::agent::VERSION,
            "doing": now,
            "command": command,
            "node": facts.node,
            "name": facts.name,
            "serial": facts.serial,
            "bmc": facts.bmc,
            "switch": facts.switch,
            "conductor": facts.conductor,
            "addresses": addresses(),
            "troubles": troubles,
            "last_failure": last_failure,
        })
    }

    /// What anybody may know: no address, no name, no text of others.
    pub(in crate::agent) fn glance(&self) -> Glance {
        let facts = self.lock();
        let now = if facts.is_ending {
            "ending"
        } else {
            facts.now()
        };
        // Behind the colon stands which step, a name of the conductor's.
        let phase = now.split(':').next().unwrap_or_default();
        Glance {
            phase: phase.to_owned(),
            trouble: facts.worst().map(|told| told.trouble.topic.word()),
        }
    }
}

fn failure(command: &Command) -> Option<Value> {
    let outcome = command.outcome()?;
    let error = outcome.error.as_ref()?;
    Some(json!({
        "command": command.name(),
        "type": error.type_name,
        "details": error.details,
    }))
}
