//! `farrier erase`: how disks would be erased, and erasing them by hand, without a conductor.

mod arguments;
mod table;

use std::process::ExitCode;

use farrier_plugin::{BlockDevice, ErrorKind, ManagerError, Node};
use serde_json::{Value, json};

use self::arguments::Arguments;
use self::table::Row;
use super::progress_line::ProgressLine;
use super::{complain, options_of_machine, say, say_json, wrong_usage};
use crate::block::list;
use crate::erase::{
    self, EraseError, EraseFlags, EraseRecord, Guard, Plan, Policy, ReadOnly, Scopes, Storage,
    Verdict,
};
use crate::sys::root::Root;
use crate::sys::{power, printable};

/// Show the plan, or erase. Ends with 0 where every device that was named is erased and that is
/// proven, or the plan is shown; else with 1.
pub(super) fn main(arguments: &[String]) -> ExitCode {
    let arguments = match Arguments::parse(arguments) {
        Ok(arguments) => arguments,
        Err(message) => return wrong_usage(&message),
    };
    let outcome = if arguments.plan {
        show_plan(&arguments)
    } else {
        erase(&arguments)
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            complain(&error.chain());
            ExitCode::FAILURE
        }
    }
}

fn show_plan(arguments: &Arguments) -> Result<ExitCode, ManagerError> {
    let rows = rows(arguments)?;
    Ok(if arguments.json {
        let devices: Vec<Value> = rows.iter().map(Row::to_json).collect();
        say_json(&format!("{:#}\n", json!({ "devices": devices })))
    } else {
        say(&table::for_person(&rows))
    })
}

/// The plan of each disk, or of those that are named.
fn rows(arguments: &Arguments) -> Result<Vec<Row>, ManagerError> {
    let root = arguments
        .replay
        .as_ref()
        .map_or_else(Root::system, Root::at);
    // What a plan is for does not depend on where it is made.
    let setting = Setting::new(&root, arguments, true)?;
    let devices = if arguments.devices.is_empty() {
        let mut devices = list::list_block_devices(&root, false).map_err(EraseError::from)?;
        // Named, so that nobody wonders where they are.
        let others = list::all_devices(&root)
            .map_err(EraseError::from)?
            .into_iter();
        let others =
            others.filter(|other| other.kind == "disk" && other.firmware_memory().is_some());
        devices.extend(others.map(|other| other.device));
        devices
    } else {
        arguments
            .devices
            .iter()
            .map(|name| device(&root, name))
            .collect::<Result<_, _>>()?
    };
    Ok(devices
        .iter()
        .map(|device| {
            let (plan, not) = match setting.verdict(device) {
                Verdict::Erase => match setting.plan(device) {
                    Ok(plan) => (plan, None),
                    Err(error) => (Plan::none(device), Some(error.to_string())),
                },
                Verdict::Skip(reason) => (Plan::none(device), Some(reason)),
                Verdict::Refuse(error) => (Plan::none(device), Some(error.to_string())),
            };
            Row {
                storage: Storage::of(device),
                plan,
                not,
            }
        })
        .collect())
}

fn erase(arguments: &Arguments) -> Result<ExitCode, ManagerError> {
    let root = Root::system();
    let may_destroy = arguments.force || power::root_is_in_memory();
    let mut setting = Setting::new(&root, arguments, may_destroy)?;
    let devices: Vec<BlockDevice> = arguments
        .devices
        .iter()
        .map(|name| device(&root, name))
        .collect::<Result<_, _>>()?;
    setting.devices = devices.iter().map(|device| device.name.clone()).collect();
    let scopes = Scopes::default();
    // All of them before the first is touched.
    let mut plans = Vec::new();
    for device in &devices {
        match setting.verdict(device) {
            Verdict::Erase => plans.push(setting.plan(device)?),
            Verdict::Refuse(error) => return Err(error.into()),
            Verdict::Skip(reason) => {
                return Err(ManagerError::new(
                    ErrorKind::BlockDeviceErase,
                    format!("{} is not erased, and nothing else: {reason}", device.name),
                ));
            }
        }
    }
    let line = ProgressLine::new();
    line.hear_interrupts();
    let mut code = ExitCode::SUCCESS;
    let mut records = Vec::new();
    for plan in plans {
        let mut record = EraseRecord::begin("by hand", None, plan);
        if erase::erase_device(&root, &mut record, &scopes, &line).is_err() {
            code = ExitCode::FAILURE;
        }
        line.clear();
        if !arguments.json {
            say(&format!("{}\n", printable::line(&record.line())));
        }
        records.push(record.to_json());
    }
    if arguments.json {
        say_json(&format!("{:#}\n", json!({ "records": records })));
    }
    Ok(code)
}

/// What holds for all devices of one call.
struct Setting {
    guard: Guard,
    flags: EraseFlags,
    metadata: bool,
    root: Root,
    /// Names of the devices that are to be erased; none for all.
    devices: Vec<String>,
}

impl Setting {
    fn new(root: &Root, arguments: &Arguments, may_destroy: bool) -> Result<Self, ManagerError> {
        let options = options_of_machine();
        let flags = EraseFlags {
            iterations: arguments.passes,
            zeroize: !arguments.no_zeros,
            ..EraseFlags::from_node(&Node::default())?
        };
        let policy = Policy {
            may_destroy,
            guard_special_filesystems: options.guard_special_filesystems
                && !arguments.wipe_special_filesystems,
            read_only: ReadOnly::Fail,
            keep_idle_members: false,
            keep_arrays: false,
        };
        Ok(Self {
            guard: Guard::survey(root, policy)?,
            flags,
            metadata: arguments.metadata,
            root: root.clone(),
            devices: Vec::new(),
        })
    }

    fn verdict(&self, device: &BlockDevice) -> Verdict {
        // A file is what its owner says; the guard knows devices.
        if is_file(device) {
            return Verdict::Erase;
        }
        self.guard.verdict(&device.name)
    }

    fn plan(&self, device: &BlockDevice) -> Result<Plan, EraseError> {
        if self.metadata {
            return Ok(Plan::for_metadata(device));
        }
        let may_erase = |other: &str| {
            self.devices.is_empty() || self.devices.iter().any(|device| device == other)
        };
        Plan::for_device(&self.root, device, &self.flags, &may_erase)
    }
}

fn is_file(device: &BlockDevice) -> bool {
    device.extra["type"] == "file"
}

/// The device of this name or link, or the file.
fn device(root: &Root, name: &str) -> Result<BlockDevice, ManagerError> {
    let path = std::path::absolute(name).unwrap_or_else(|_| name.into());
    let node = root
        .resolve(&path)
        .unwrap_or(path)
        .to_string_lossy()
        .into_owned();
    let listed = list::all_devices(root).map_err(EraseError::from)?;
    if let Some(listed) = listed.into_iter().find(|listed| listed.device.name == node) {
        return Ok(listed.device);
    }
    let facts = std::fs::metadata(root.path(&node)).map_err(|source| missing(name, source))?;
    if !facts.is_file() {
        return Err(ManagerError::new(
            ErrorKind::DeviceNotFound,
            format!("{name} is neither a block device nor a plain file"),
        ));
    }
    Ok(BlockDevice {
        name: node,
        size: facts.len(),
        extra: json!({"type": "file"}),
        ..BlockDevice::default()
    })
}

fn missing(name: &str, source: std::io::Error) -> ManagerError {
    ManagerError::new(
        ErrorKind::DeviceNotFound,
        format!("{name} cannot be erased"),
    )
    .with_source(source)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::recording::{Recording, machines};

    fn run(line: &[&str]) -> Result<ExitCode, String> {
        let arguments: Vec<String> = line.iter().map(|&word| word.to_owned()).collect();
        let arguments = Arguments::parse(&arguments)?;
        erase(&arguments).map_err(|error| error.chain())
    }

    #[test]
    fn a_file_is_erased_and_a_disk_of_this_machine_is_not() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), vec![0x5a; 3 << 20]).unwrap();
        let path = file.path().to_str().unwrap();
        assert!(run(&[path]).is_err());
        let code = run(&[path, "--destroy-data", "--json"]).unwrap();
        assert_eq!(code, ExitCode::SUCCESS);
        let held = std::fs::read(path).unwrap();
        assert!(held.len() == 3 << 20 && held.iter().all(|byte| *byte == 0));

        let Some(disk) = list::all_devices(&Root::system())
            .ok()
            .and_then(|devices| devices.into_iter().next())
        else {
            return;
        };
        let refusal = run(&[path, &disk.device.name, "--destroy-data"]).unwrap_err();
        assert!(refusal.contains("does not run from memory"), "{refusal}");
    }

    #[test]
    fn nothing_is_erased_where_one_of_the_names_is_wrong() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), [0x5a; 4096]).unwrap();
        let path = file.path().to_str().unwrap();
        let error = run(&[path, "/no/such/disk", "--destroy-data"]).unwrap_err();
        assert!(error.contains("/no/such/disk"), "{error}");
        assert_eq!(std::fs::read(path).unwrap(), [0x5a; 4096]);
    }

    #[test]
    fn the_plan_of_a_recorded_machine_is_shown() {
        for machine in machines() {
            let recording = Recording::of(&machine);
            let arguments = Arguments {
                replay: Some(recording.root().path("/")),
                ..Arguments::parse(&["--plan".to_owned()]).unwrap()
            };
            let rows = rows(&arguments).unwrap();
            let text = table::for_person(&rows);
            for row in &rows {
                let name = &row.plan.device.name;
                assert!(text.contains(name.as_str()), "{machine}: {text}");
                let json = row.to_json();
                assert_eq!(json["device"]["name"], name.as_str());
                let planned = json["plan"]["methods"].as_array().unwrap().len();
                assert!(
                    planned > 0 || json["not_erased"].is_string(),
                    "{machine}: {json}"
                );
            }
        }
    }

    #[test]
    fn flash_memory_of_the_firmware_is_named_and_kept() {
        let mut listing = String::from("/proc/cmdline = quiet\n");
        for (index, name) in ["mmcblk0", "mmcblk0boot0", "mtdblock0"].iter().enumerate() {
            listing +=
                &format!("/sys/block/{name}/dev = 200:{index}\n/sys/block/{name}/size = 2048\n");
        }
        let recording = Recording::unpack(&listing);
        for names in [
            &[][..],
            &["/dev/mmcblk0", "/dev/mmcblk0boot0", "/dev/mtdblock0"],
        ] {
            let arguments = Arguments {
                replay: Some(recording.root().path("/")),
                devices: names.iter().map(|name| (*name).to_owned()).collect(),
                ..Arguments::parse(&["--plan".to_owned()]).unwrap()
            };
            let rows = rows(&arguments).unwrap();
            let kept: Vec<_> = rows
                .iter()
                .map(|row| (row.plan.device.name.as_str(), row.not.is_some()))
                .collect();
            assert_eq!(
                kept,
                [
                    ("/dev/mmcblk0", false),
                    ("/dev/mmcblk0boot0", true),
                    ("/dev/mtdblock0", true)
                ]
            );
            let text = table::for_person(&rows);
            assert!(text.contains("protected: it is flash memory"), "{text}");
        }
    }
}
