//! Writing the image and ending the machine's time in the ramdisk.

use std::thread;
use std::time::Duration;

use farrier_plugin::{Context, ErrorKind, ManagerError, StepKind};
use serde_json::Value;
use tracing::{info, warn};

use super::definition::{Definition, Mode, no_validation};
use super::environment::Environment;
use super::parameters::{Parameters, Signature};
use super::steps::find_hints;
use crate::hardware::StepCall;
use crate::sys::power::Transition;

/// The commands of this extension.
pub(super) const COMMANDS: &[Definition] = &[
    Definition {
        name: "prepare_image",
        mode: Mode::Async,
        signature: Signature::of(&["image_info"], &["configdrive"]),
        validate: |environment, parameters| {
            parameters.image(&environment.options.current()).map(drop)
        },
        run: prepare_image,
    },
    Definition {
        name: "execute_bootc_install",
        mode: Mode::Async,
        signature: Signature::of(
            &["image_source"],
            &["instance_info", "pull_secret", "configdrive"],
        ),
        validate: no_validation,
        run: |_, _, _| {
            Err(ManagerError::new(
                ErrorKind::CommandExecution,
                "This agent does not offer bootc deployments; use the deploy interface 'direct' \
                 with a disk image",
            ))
        },
    },
    Definition {
        name: "run_image",
        mode: Mode::Async,
        signature: Signature::NONE,
        validate: no_validation,
        run: |environment, _, _| end(environment, Transition::Reboot),
    },
    Definition {
        name: "power_off",
        mode: Mode::Async,
        signature: Signature::NONE,
        validate: no_validation,
        run: |environment, _, _| end(environment, Transition::PowerOff),
    },
    Definition {
        name: "sync",
        mode: Mode::Sync,
        signature: Signature::NONE,
        validate: no_validation,
        run: |environment, _, _| {
            environment.managers.full_sync()?;
            Ok(Value::Null)
        },
    },
    Definition {
        name: "get_partition_uuids",
        mode: Mode::Sync,
        signature: Signature::NONE,
        validate: no_validation,
        run: |environment, _, _| environment.managers.partition_uuids(),
    },
];

/// How long a machine waits between its last flush and its end, so that the answer to the command
/// has left the network card. The conductor takes a lost answer for a failed command and asks
/// again (contract/control-plane 5.7).
const LAST_WORDS: Duration = Duration::from_secs(1);

/// `prepare_image` is the step `write_image` without its frame (contract/data-plane 1.1).
fn prepare_image(
    environment: &Environment,
    context: &dyn Context,
    parameters: &Parameters,
) -> Result<Value, ManagerError> {
    let mut node = environment.managers.node().unwrap_or_default();
    find_hints(environment, &mut node);
    let step = StepCall {
        name: "write_image",
        node: &node,
        ports: &[],
        arguments: &parameters.to_arguments(),
        image: Some(&*parameters.image(&environment.options.current())?),
    };
    environment
        .managers
        .execute_step(context, StepKind::Deploy, &step)
}

/// Reboot or power off (contract/control-plane 10.6).
fn end(environment: &Environment, transition: Transition) -> Result<Value, ManagerError> {
    (environment.shutdown.set_clock)()?;
    if let Err(error) = environment.managers.full_sync() {
        warn!(
            error = error.chain(),
            "not everything could be brought onto the disks before the {transition}"
        );
    }
    thread::sleep(LAST_WORDS);
    info!("{transition} now");
    (environment.shutdown.request)(transition).map_err(|error| {
        ManagerError::new(
            ErrorKind::SystemReboot,
            format!("The machine does not {transition}"),
        )
        .with_source(error)
    })?;
    Ok(Value::Null)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::command::environment::Shutdown;
    use crate::command::fake::{self, FakeManager};

    #[test]
    fn the_machine_ends_last_and_a_failed_flush_does_not_stop_it() {
        let state = tempfile::tempdir().unwrap();
        let (manager, _) = FakeManager::new();
        let order = Arc::new(Mutex::new(Vec::new()));
        for (flushes, transition) in [(true, Transition::Reboot), (false, Transition::PowerOff)] {
            manager.flushes.store(flushes, Ordering::Relaxed);
            let (mut environment, _) = fake::environment(vec![manager.clone()], state.path());
            let (clock, request) = (Arc::clone(&order), Arc::clone(&order));
            environment.shutdown = Shutdown {
                set_clock: Box::new(move || {
                    clock.lock().unwrap().push("clock".to_owned());
                    Ok(())
                }),
                request: Box::new(move |transition| {
                    request.lock().unwrap().push(transition.to_string());
                    Ok(())
                }),
            };
            assert_eq!(end(&environment, transition).unwrap(), Value::Null);
        }
        assert_eq!(
            *order.lock().unwrap(),
            ["clock", "reboot", "clock", "power off"]
        );
        assert_eq!(manager.synced.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_machine_that_does_not_end_fails_the_command() {
        let state = tempfile::tempdir().unwrap();
        let (environment, _) = fake::environment(Vec::new(), state.path());
        let error = end(&environment, Transition::PowerOff).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SystemReboot);
        assert!(
            error.chain().contains("power off is refused"),
            "{}",
            error.chain()
        );

        let (mut environment, _) = fake::environment(Vec::new(), state.path());
        environment.shutdown.set_clock = Box::new(|| {
            Err(ManagerError::new(
                ErrorKind::ClockSync,
                "no NTP server answers",
            ))
        });
        environment.shutdown.request = Box::new(|_| panic!("must not be asked"));
        let error = end(&environment, Transition::Reboot).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ClockSync);
    }
}
