//! `farrier erase`: how disks would be erased, and erasing them by hand, without a conductor.

mod arguments;
mod table;

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::Arc;

use farrier_plugin::{BlockDevice, ErrorKind, ManagerError, Node};
use serde_json::{Value, json};
use tracing::level_filters::LevelFilter;

pub(super) use self::arguments::Arguments;
use super::machine::options_of_machine;
use super::progress_line::ProgressLine;
use super::terminal::{answer, complain, say, say_json};
use crate::block::list;
use crate::block::skip::SkipList;
use crate::config::Options;
use crate::erase::{
    Aim, EraseError, EraseFlags, EraseStep, Foreseen, Order, Policy, ReadOnly, RecordStore,
};
use crate::sys::root::Root;
use crate::sys::{log, power, printable};

/// Show the plan, or erase. Ends with 0 where every device that was named is erased and that is
/// proven, or the plan is shown; else with 1.
pub(super) fn main(arguments: Arguments) -> ExitCode {
    let arguments = match arguments.checked() {
        Ok(arguments) => arguments,
        Err(wrong) => return answer(&wrong),
    };
    // What the records do not tell: a password that was taken off, a record that did not arrive.
    log::start_on_terminal(LevelFilter::WARN);
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
        let devices: Vec<Value> = rows.iter().map(table::to_json).collect();
        say_json(&format!("{:#}\n", json!({ "devices": devices })))
    } else {
        say(&table::for_person(&rows))
    })
}

/// The plan of each disk, or of those that are named.
fn rows(arguments: &Arguments) -> Result<Vec<Foreseen>, ManagerError> {
    let root = arguments
        .replay
        .as_ref()
        .map_or_else(Root::system, Root::at);
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
        named(&root, &arguments.devices)?
    };
    // What a plan is for does not depend on where it is made.
    EraseStep::foresee(order(root, arguments, true, options_of_machine())?, devices)
}

fn erase(arguments: &Arguments) -> Result<ExitCode, ManagerError> {
    let may_destroy = arguments.force || power::root_is_in_memory();
    let order = order(Root::system(), arguments, may_destroy, options_of_machine())?;
    erase_as(order, arguments)
}

fn erase_as(order: Order, arguments: &Arguments) -> Result<ExitCode, ManagerError> {
    let root = order.root.clone();
    let devices = each(&root, &arguments.devices)?;
    // Links are followed anew each time: what they lead to can change, and those to an array go with it.
    let list = |taken_apart: &[String]| {
        let names = arguments.devices.iter().zip(&devices);
        let left = names.filter(|(_, device)| !taken_apart.contains(&device.name));
        named(&root, left.map(|(name, _)| name))
    };
    let line = ProgressLine::new();
    line.hear_interrupts();
    let step = EraseStep::begin(order, list, &line)?;
    if !arguments.json {
        for name in step.taken_apart() {
            say(&format!("{name}: taken apart, and erased with its disks\n"));
        }
    }
    let mut records = Vec::new();
    let mut told = BTreeSet::new();
    let outcome = step.one_by_one(&line, |record| {
        line.clear();
        if !arguments.json {
            say(&format!("{}\n", printable::line(&record.line())));
        }
        if !record.is_erased() {
            told.insert(record.device().name.clone());
        }
        records.push(record.to_json());
    });
    if arguments.json {
        say_json(&format!("{:#}\n", json!({ "records": records })));
    }
    let is_erased = outcome.failures.is_empty() && outcome.erased.len() == records.len();
    // One that is locked has no record, and that of another did not arrive.
    let untold = outcome.failures.into_iter();
    for failure in untold.filter(|failure| !told.contains(&failure.device)) {
        complain(&failure.error.chain());
    }
    Ok(if is_erased {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What a person wants of a step.
fn order(
    root: Root,
    arguments: &Arguments,
    may_destroy: bool,
    options: Options,
) -> Result<Order, ManagerError> {
    let policy = Policy {
        may_destroy,
        guard_special_filesystems: options.guard_special_filesystems
            && !arguments.wipe_special_filesystems,
        read_only: ReadOnly::Fail,
        keep_idle_members: false,
        keep_arrays: false,
    };
    Ok(Order {
        name: "by hand",
        node: None,
        aim: if arguments.metadata {
            Aim::Metadata
        } else {
            Aim::Data
        },
        flags: EraseFlags {
            iterations: arguments.passes,
            zeroize: !arguments.no_zeros,
            ..EraseFlags::from_node(&Node::default())?
        },
        policy,
        skipped: SkipList::default(),
        all_or_none: true,
        options: Arc::new(options),
        records: power::root_is_in_memory().then(|| RecordStore::of(&root)),
        root,
    })
}

/// The devices of these names and links, each once: a disk has many, and a second erase of it would prove nothing
/// more.
fn named<'a>(
    root: &Root,
    names: impl IntoIterator<Item = &'a String>,
) -> Result<Vec<BlockDevice>, ManagerError> {
    let mut devices = each(root, names)?;
    let mut seen = BTreeSet::new();
    devices.retain(|device| seen.insert(device.name.clone()));
    Ok(devices)
}

/// The device of each of these names and links.
fn each<'a>(
    root: &Root,
    names: impl IntoIterator<Item = &'a String>,
) -> Result<Vec<BlockDevice>, ManagerError> {
    let names = names.into_iter();
    names.map(|name| device(root, name)).collect()
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
    use std::net::TcpListener;
    use std::thread;

    use clap::Parser;

    use super::*;
    use crate::erase::fake_receiver::receive;
    use crate::sys::recording::{Recording, machines};

    fn run(line: &[&str]) -> Result<ExitCode, String> {
        let arguments = Arguments::try_parse_from([&["erase"], line].concat())
            .map_err(|error| error.to_string())?;
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
    fn the_record_of_an_erase_by_hand_is_delivered_and_a_required_one_that_is_not_is_a_failure() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let receiver = thread::spawn(move || {
            ["201 Created", "403 Forbidden"].map(|status| receive(&listener, status))
        });
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        let arguments = Arguments::parse_from(["erase", path, "--destroy-data"]);
        let erased = |options: &Options| {
            std::fs::write(path, vec![0x5a; 3 << 20]).unwrap();
            let order = order(Root::system(), &arguments, false, options.clone())?;
            erase_as(order, &arguments)
        };
        let mut options = Options {
            erase_record_required: true,
            ..Options::default()
        };
        let error = erased(&options).unwrap_err().to_string();
        assert!(error.contains("erase_record_url is not"), "{error}");
        options.erase_record_url = Some(url.into());
        assert_eq!(erased(&options).unwrap(), ExitCode::SUCCESS);
        assert_eq!(erased(&options).unwrap(), ExitCode::FAILURE);
        for record in receiver.join().unwrap() {
            assert_eq!(record["step"], "by hand");
            assert_eq!(record["device"]["name"], path);
            assert_eq!(record["result"], "erased");
        }
    }

    #[test]
    fn what_is_named_by_two_names_is_erased_once() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("disk"), directory.path().join("link"));
        std::fs::write(&file, vec![0x5a; 3 << 20]).unwrap();
        std::os::unix::fs::symlink("disk", &link).unwrap();
        let [path, other] = [&file, &link].map(|path| path.to_str().unwrap());
        let arguments = Arguments::parse_from(["erase", path, other, path, "--destroy-data"]);
        // It takes one record, and a second one would be refused.
        let receiver = thread::spawn(move || receive(&listener, "201 Created"));
        let options = Options {
            erase_record_required: true,
            erase_record_url: Some(url.into()),
            ..Options::default()
        };
        let order = order(Root::system(), &arguments, false, options).unwrap();
        assert_eq!(erase_as(order, &arguments).unwrap(), ExitCode::SUCCESS);
        assert_eq!(receiver.join().unwrap()["device"]["name"], path);

        let arguments = Arguments::parse_from(["erase", "--plan", path, other]);
        assert_eq!(rows(&arguments).unwrap().len(), 1);
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
                ..Arguments::parse_from(["erase", "--plan"])
            };
            let rows = rows(&arguments).unwrap();
            let text = table::for_person(&rows);
            for row in &rows {
                let name = &row.plan.device.name;
                assert!(text.contains(name.as_str()), "{machine}: {text}");
                let json = table::to_json(row);
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
                ..Arguments::parse_from(["erase", "--plan"])
            };
            let rows = rows(&arguments).unwrap();
            let kept: Vec<_> = rows
                .iter()
                .map(|row| (row.plan.device.name.as_str(), row.not_erased.is_some()))
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
