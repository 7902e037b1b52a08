//! Where erase records are kept until the machine goes down: for the log archive, and for an agent
//! that was started again in the middle of an erase.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tracing::warn;

use crate::erase::record::EraseRecord;
use crate::sys::root::Root;
use crate::sys::{private_file, run_files};

/// A record of a device with many samples and a long error has some KiB; more is none of ours.
const MOST_BYTES: u64 = 1 << 20;

/// The directory of records, by step and kernel name; a tmpfs in the ramdisk.
#[derive(Debug)]
pub(crate) struct RecordStore {
    directory: PathBuf,
}

impl RecordStore {
    /// Those of this machine. Nothing is made before the first record.
    pub(crate) fn of(root: &Root) -> Self {
        Self {
            directory: root
                .path("/")
                .join(run_files::ERASE_RECORDS.trim_start_matches('/')),
        }
    }

    /// Keep this record in place of the last one of its step and device. A record that cannot be
    /// kept is a warning: the erase itself must not depend on a file in memory.
    pub(crate) fn keep(&self, record: &EraseRecord) {
        let path = self.place(record);
        if let Err(error) = write(&path, &record.to_json()) {
            warn!(
                device = record.device().name,
                %error,
                "the erase record could not be kept"
            );
        }
    }

    /// When an erase of this device in this step began that nobody ended: the agent was killed, or
    /// broke off.
    pub(crate) fn unfinished(&self, record: &EraseRecord) -> Option<String> {
        let found: Value = serde_json::from_slice(&fs::read(self.place(record)).ok()?).ok()?;
        if found["result"] != "running" {
            return None;
        }
        found["started"].as_str().map(str::to_owned)
    }

    /// All records, for the log archive: `erase_devices/sda.json`, and its content.
    pub(crate) fn members(&self) -> Vec<(String, Vec<u8>)> {
        // The directory's place in its root is found already.
        let here = Root::system();
        let mut members = Vec::new();
        for step in here.names(&self.directory) {
            for name in here.names(self.directory.join(&step)) {
                let path = self.directory.join(&step).join(&name);
                let fits = fs::metadata(&path).is_ok_and(|facts| facts.len() <= MOST_BYTES);
                if fits
                    && name.ends_with(".json")
                    && let Ok(content) = fs::read(&path)
                {
                    members.push((format!("{step}/{name}"), content));
                }
            }
        }
        members
    }

    fn place(&self, record: &EraseRecord) -> PathBuf {
        let name = record
            .device()
            .name
            .trim_start_matches("/dev/")
            .replace('/', "!");
        self.directory
            .join(record.step())
            .join(format!("{name}.json"))
    }
}

fn write(path: &Path, record: &Value) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        private_file::make_directory(directory)?;
    }
    private_file::replace(path, format!("{record:#}\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use farrier_plugin::BlockDevice;

    use super::*;
    use crate::erase::plan::Plan;

    #[test]
    fn a_record_replaces_the_last_and_an_unfinished_one_is_found() {
        let tree = tempfile::tempdir().unwrap();
        let records = RecordStore::of(&Root::at(tree.path()));
        let device = BlockDevice {
            name: "/dev/cciss/c0d0".to_owned(),
            ..BlockDevice::default()
        };
        let mut record = EraseRecord::begin("erase_devices", None, Plan::for_metadata(&device));
        assert_eq!(records.unfinished(&record), None);
        assert!(records.members().is_empty());
        records.keep(&record);
        assert!(records.unfinished(&record).unwrap().ends_with('Z'));
        record.skip("it is virtual media");
        records.keep(&record);
        assert_eq!(records.unfinished(&record), None);
        let members = records.members();
        assert_eq!(members.len(), 1);
        assert_eq!(members[0].0, "erase_devices/cciss!c0d0.json");
        let json: Value = serde_json::from_slice(&members[0].1).unwrap();
        assert_eq!(json["result"], "skipped");
    }
}
