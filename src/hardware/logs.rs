//! The archive of logs (contract/control-plane 10.1).

use std::io;

use farrier_plugin::{ErrorKind, ManagerError};
use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, Header};
use tracing::warn;

use super::Managers;
use crate::sys::log;

/// Files of the kernel that stand for what the reference asks programs: member and path.
const FILES: [(&str, &str); 4] = [
    ("mdstat", "/proc/mdstat"),
    ("mount", "/proc/mounts"),
    ("partitions", "/proc/partitions"),
    ("cmdline", "/proc/cmdline"),
];

impl Managers {
    /// A gzip-compressed tar archive of the agent's log, of what the kernel says about this
    /// machine, and of what the managers add. What cannot be read is left out. Secrets are masked
    /// in the agent's own log and in the kernel's files.
    pub fn collect_logs(&self) -> Result<Vec<u8>, ManagerError> {
        let mut members = vec![("agent.log".to_owned(), log::text())];
        for (name, path) in FILES {
            if let Ok(content) = std::fs::read_to_string(path) {
                members.push((name.to_owned(), log::mask(&content).into_bytes()));
            }
        }
        let added = self.dispatcher.all("collect_system_logs", |manager| {
            Ok(manager.collect_system_logs().unwrap_or_else(|error| {
                warn!(
                    manager = manager.class_name(),
                    error = error.chain(),
                    "a hardware manager gave no logs"
                );
                Vec::new()
            }))
        })?;
        members.extend(added.into_iter().flat_map(|(_, members)| members));
        archive(members).map_err(|error| {
            ManagerError::new(
                ErrorKind::CommandExecution,
                "The archive of the logs could not be made",
            )
            .with_source(error)
        })
    }
}

fn archive(members: Vec<(String, Vec<u8>)>) -> io::Result<Vec<u8>> {
    let mut builder = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (name, content) in members {
        let mut header = Header::new_gnu();
        header.set_mode(0o600);
        header.set_size(content.len() as u64);
        builder.append_data(&mut header, name, content.as_slice())?;
    }
    builder.into_inner()?.finish()
}
