//! Waiting for the root disk to appear (contract/control-plane 8.7): controllers and fabrics bring
//! their disks up long after the agent runs.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use farrier_plugin::protocol::Method;
use farrier_plugin::{BlockDevice, ErrorKind, ManagerError, Node};
use tracing::{info, warn};

use crate::config::Options;
use crate::hardware::dispatch::Dispatcher;

/// Longest wait in all, whatever the options say and however long a look takes. The conductor waits
/// 60 s for `get_*_steps`, which waits for disks when the node is new (contract/control-plane 7.1);
/// the rest of that call gets 15 s.
pub(super) const LIMIT: Duration = Duration::from_secs(45);

/// Let the first manager wait that has a way of its own, other than the one of this class, which
/// waits in this way, or else look for the root disk until it is
/// there, for as long as the options say and at most [`LIMIT`].
///
/// Without a node there are no hints yet, and the default rule may reject every disk of this
/// machine for good; then it is enough that there are disks and that no more came between two
/// looks. (The reference waits its whole 27 s.)
///
/// Only a disk that is not found is waited for. Nothing is an error: a step that needs the disk
/// says so itself.
pub(super) fn wait_for_root_disk(
    dispatcher: &Arc<Dispatcher>,
    options: &Options,
    node: Option<&Node>,
    own: &'static str,
) {
    let pace = Pace {
        attempts: options.disk_wait_attempts,
        delay: Duration::from_secs(options.disk_wait_delay),
        deadline: Instant::now() + LIMIT,
    };
    if pace.attempts == 0 {
        return;
    }
    // On a thread of its own, because a look can hang in the kernel on a dying disk. It is left
    // behind then; it only reads.
    let (sender, receiver) = mpsc::channel();
    let known = dispatcher;
    let dispatcher = Arc::clone(dispatcher);
    let node = node.cloned();
    thread::spawn(move || {
        let mut seen = Vec::new();
        let find = || {
            // Told once below: each look finds the same.
            let found = dispatcher.first_expecting(
                ErrorKind::DeviceNotFound,
                Method::GetOsInstallDevice,
                |manager| manager.os_install_device(node.as_ref(), false),
            );
            if node.is_some() || found.is_ok() {
                return found;
            }
            let listed = dispatcher.first(Method::ListBlockDevices, |manager| {
                manager.list_block_devices(false)
            })?;
            unchanged(&mut seen, listed).map_or(found, Ok)
        };
        let tell = |missing: &ManagerError| {
            let error = missing.chain();
            warn!(error, "no root disk yet; it is waited for");
            dispatcher.set_missing_disk(Some(error));
        };
        let waited = dispatcher.others(own, Method::WaitForDisks, |manager| {
            manager.wait_for_disks(node.as_ref())
        });
        // Nobody listens any more when the limit has passed.
        let _ = sender.send(match waited {
            Ok(Some(())) => Ok(None),
            Ok(None) => Ok(Some(look(&pace, find, tell))),
            Err(error) => Err(error),
        });
    });
    match receiver.recv_timeout(LIMIT) {
        Ok(Ok(None)) => {
            // What an earlier wait has found may be so no more.
            known.set_missing_disk(None);
            info!("a hardware manager has waited for the disks");
        }
        Ok(Ok(Some((Ok(disk), _)))) => {
            known.set_missing_disk(None);
            info!(device = disk.name, "the root disk is there");
        }
        // What it says was told at the first look.
        Ok(Ok(Some((Err(error), looks)))) if error.kind() == ErrorKind::DeviceNotFound => {
            warn!(looks, "no root disk has come");
        }
        Ok(Ok(Some((Err(error), _))) | Err(error)) => {
            // Another matter than a disk that an earlier wait has missed.
            known.set_missing_disk(None);
            warn!(error = error.chain(), "no root disk yet");
        }
        Err(_) => warn!(
            seconds = LIMIT.as_secs(),
            "the search for the root disk has not ended and is left behind"
        ),
    }
}

struct Pace {
    attempts: u32,
    delay: Duration,
    deadline: Instant,
}

/// What came of it, and of how many looks; the first that finds nothing is told, and each that finds nothing for
/// another reason than the one before.
fn look(
    pace: &Pace,
    mut find: impl FnMut() -> Result<BlockDevice, ManagerError>,
    tell: impl Fn(&ManagerError),
) -> (Result<BlockDevice, ManagerError>, u32) {
    let mut attempt = 1;
    let mut told = None;
    loop {
        let found = find();
        let missing = match &found {
            Err(error) if error.kind() == ErrorKind::DeviceNotFound => error,
            _ => return (found, attempt),
        };
        if told.as_ref() != Some(&missing.chain()) {
            tell(missing);
            told = Some(missing.chain());
        }
        if attempt >= pace.attempts || Instant::now() + pace.delay >= pace.deadline {
            return (found, attempt);
        }
        attempt += 1;
        thread::sleep(pace.delay);
    }
}

/// The first of these disks if there are any and they are those of the look before.
fn unchanged(seen: &mut Vec<String>, disks: Vec<BlockDevice>) -> Option<BlockDevice> {
    let names: Vec<String> = disks.iter().map(|disk| disk.name.clone()).collect();
    let same = *seen == names;
    *seen = names;
    disks.into_iter().next().filter(|_| same)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use serde_json::{Value, json};

    use super::*;
    use crate::config::Live;
    use crate::hardware::generic::GenericHardwareManager;
    use crate::sys::recording::Recording;

    fn pace(attempts: u32) -> Pace {
        Pace {
            attempts,
            delay: Duration::from_millis(1),
            deadline: Instant::now() + Duration::from_secs(60),
        }
    }

    fn missing() -> ManagerError {
        ManagerError::new(ErrorKind::DeviceNotFound, "no disk")
    }

    #[test]
    fn a_late_disk_is_found() {
        let looks = Cell::new(0);
        let find = || {
            looks.set(looks.get() + 1);
            if looks.get() < 3 {
                return Err(missing());
            }
            Ok(BlockDevice {
                name: "/dev/sda".to_owned(),
                ..BlockDevice::default()
            })
        };
        let (found, counted) = look(&pace(5), find, |_| {});
        assert_eq!(found.unwrap().name, "/dev/sda");
        assert_eq!((looks.get(), counted), (3, 3));
    }

    #[test]
    fn disks_that_stay_the_same_are_enough_without_hints() {
        let disks = |names: &[&str]| -> Vec<BlockDevice> {
            let named = |name: &&str| BlockDevice {
                name: (*name).to_owned(),
                ..BlockDevice::default()
            };
            names.iter().map(named).collect()
        };
        let mut seen = Vec::new();
        assert!(unchanged(&mut seen, disks(&[])).is_none());
        assert!(unchanged(&mut seen, disks(&["/dev/vda"])).is_none());
        assert!(unchanged(&mut seen, disks(&["/dev/vda", "/dev/vdb"])).is_none());
        let first = unchanged(&mut seen, disks(&["/dev/vda", "/dev/vdb"]));
        assert_eq!(first.unwrap().name, "/dev/vda");
    }

    #[test]
    fn the_number_of_looks_is_kept() {
        let looks = Cell::new(0);
        let find = || {
            looks.set(looks.get() + 1);
            Err(missing())
        };
        let (found, counted) = look(&pace(4), find, |_| {});
        assert_eq!(found.unwrap_err().kind(), ErrorKind::DeviceNotFound);
        assert_eq!((looks.get(), counted), (4, 4));
    }

    #[test]
    fn what_is_missing_is_told_once_until_it_is_something_else() {
        let looks = Cell::new(0);
        let told = std::cell::RefCell::new(Vec::new());
        let find = || {
            looks.set(looks.get() + 1);
            let found = if looks.get() < 6 {
                "no disk"
            } else {
                "a small disk"
            };
            Err(ManagerError::new(ErrorKind::DeviceNotFound, found))
        };
        let tell = |error: &ManagerError| told.borrow_mut().push((looks.get(), error.chain()));
        let _ = look(&pace(10), find, tell);
        let told = told.into_inner();
        let at: Vec<u32> = told.iter().map(|(look, _)| *look).collect();
        assert_eq!(at, [1, 6]);
        assert!(told[1].1.contains("a small disk"), "{told:?}");
    }

    #[test]
    fn another_error_is_not_waited_for() {
        let looks = Cell::new(0);
        let find = || {
            looks.set(looks.get() + 1);
            Err(ManagerError::new(ErrorKind::BlockDevice, "wrong hints"))
        };
        let (found, _) = look(&pace(4), find, |_| {});
        assert_eq!(found.unwrap_err().kind(), ErrorKind::BlockDevice);
        assert_eq!(looks.get(), 1);
    }

    /// The generic manager on a machine with two mirrors, and a node with these properties.
    fn generic(recording: &Recording, properties: Value) -> (Arc<Dispatcher>, Node) {
        let dispatcher = Arc::<Dispatcher>::default();
        let manager = GenericHardwareManager::new(
            Live::new(Options::default()),
            recording.root(),
            Arc::downgrade(&dispatcher),
            false,
        );
        dispatcher.rank(vec![Arc::new(manager)]).unwrap();
        let node = serde_json::from_value(json!({ "properties": properties })).unwrap();
        (dispatcher, node)
    }

    /// What comes of so many looks, and how many there were; before the third, a disk is plugged in.
    fn looks_for(properties: Value, attempts: u32) -> (Result<String, ErrorKind>, u32) {
        let recording = Recording::of("software-raid");
        let (dispatcher, node) = generic(&recording, properties);
        let looks = Cell::new(0);
        let find = || {
            looks.set(looks.get() + 1);
            if looks.get() == 3 {
                recording.add("/sys/block/sdd/dev = 8:48\n/sys/block/sdd/size = 2097152");
            }
            dispatcher.first("get_os_install_device", |manager| {
                manager.os_install_device(Some(&node), false)
            })
        };
        let (found, _) = look(&pace(attempts), find, |_| {});
        let found = found.map(|disk| disk.name).map_err(|error| error.kind());
        (found, looks.get())
    }

    #[test]
    fn hints_that_match_nothing_are_waited_for() {
        let hints = |hints: Value| json!({ "root_device": hints });
        let sdd = || Ok("/dev/sdd".to_owned());
        assert_eq!(looks_for(hints(json!({"size": 1})), 5), (sdd(), 3));
        // It goes to no other disk instead, though there are four that would do without hints.
        let missing = || Err(ErrorKind::DeviceNotFound);
        assert_eq!(looks_for(hints(json!({"serial": "S9"})), 4), (missing(), 4));
        assert_eq!(
            looks_for(hints(json!({"size": 1, "serial": "S1"})), 4),
            (missing(), 4)
        );
        // Without hints the disk that is there is taken at once.
        assert_eq!(looks_for(json!({}), 5), (Ok("/dev/md2".to_owned()), 1));
    }

    #[test]
    fn a_disk_that_is_left_alone_is_no_end_of_the_wait() {
        let skipping = |more: &str| {
            json!({
                "skip_block_devices": [{"tran": "sata"}, {"name": "<in> /dev/md"}, {"name": more}],
                "root_device": {"rotational": false},
            })
        };
        let sdd = || Ok("/dev/sdd".to_owned());
        assert_eq!(looks_for(skipping("/dev/other"), 5), (sdd(), 3));
        let missing = || Err(ErrorKind::DeviceNotFound);
        assert_eq!(looks_for(skipping("/dev/sdd"), 4), (missing(), 4));
        // A skip list that cannot be read is an error that waiting does not cure.
        let wrong = json!({"skip_block_devices": [{"colour": "red"}]});
        assert_eq!(looks_for(wrong, 4), (Err(ErrorKind::BlockDevice), 1));
    }

    #[test]
    fn what_an_earlier_wait_has_missed_is_not_told_of_a_later_one() {
        let recording = Recording::of("software-raid");
        let wrong = json!({"skip_block_devices": [{"colour": "red"}]});
        for (properties, is_missing) in [
            (json!({"root_device": {"serial": "S9"}}), true),
            (wrong, false),
            (json!({"root_device": {"serial": "S9"}}), true),
            (json!({}), false),
        ] {
            let (dispatcher, node) = generic(&recording, properties.clone());
            dispatcher.set_missing_disk(Some("of the wait before".to_owned()));
            let options = Options {
                disk_wait_attempts: 1,
                ..Options::default()
            };
            wait_for_root_disk(&dispatcher, &options, Some(&node), "GenericHardwareManager");
            let missing = dispatcher.missing_disk();
            assert_eq!(missing.is_some(), is_missing, "{properties} {missing:?}");
            assert!(missing.is_none_or(|missing| missing.contains("S9")));
        }
    }

    #[test]
    fn the_deadline_beats_the_number_of_looks() {
        let started = Instant::now();
        let pace = Pace {
            attempts: u32::MAX,
            delay: Duration::from_millis(20),
            deadline: started + Duration::from_millis(100),
        };
        assert!(look(&pace, || Err(missing()), |_| {}).0.is_err());
        assert!(started.elapsed() < Duration::from_secs(60));
    }
}
