//! Writing the image and ending the machine's time in the ramdisk.

use std::thread;
use std::time::Duration;

use farrier_plugin::{Context, ErrorKind, ManagerError, StepArguments, StepKind};
use serde_json::Value;
use tracing::{info, warn};

use super::Environment;
use super::parameters::{Parameters, Signature};
use super::registry::{Definition, Mode, no_validation};
use super::steps::find_hints;
use crate::config::Options;
use crate::deploy;
use crate::sys::power::Transition;

/// The commands of this extension.
pub(super) const COMMANDS: &[Definition] = &[
    Definition {
        name: "prepare_image",
        mode: Mode::Async,
        signature: Signature::of(&["image_info"], &["configdrive"]),
        validate: |environment, parameters| {
            validate_image(&environment.options.current(), &parameters.to_arguments())
        },
        run: prepare_image,
    },
    Definition {
        name: "execute_bootc_install",
        mode: Mode::Async,
        signature: Signature::of(
            &[
                "image_source",
                "instance_info",
                "pull_secret",
                "configdrive",
            ],
            &[],
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
    environment.managers.execute_step(
        context,
        StepKind::Deploy,
        "write_image",
        &node,
        &[],
        &parameters.to_arguments(),
    )
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

/// What an image must have to be written (contract/data-plane 1.3, with its texts).
pub(super) fn validate_image(
    options: &Options,
    arguments: &StepArguments,
) -> Result<(), ManagerError> {
    Ok(deploy::validate_image(arguments, options)?)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;
    use std::sync::{Arc, Mutex};

    use serde_json::json;

    use super::*;
    use crate::command::Shutdown;
    use crate::command::fake::{self, FakeManager};
    use crate::stream::MD5_DISABLED;

    fn verdict(md5_enabled: bool, image: Value) -> Result<(), String> {
        let options = Options {
            md5_enabled,
            ..Options::default()
        };
        let mut arguments = StepArguments::default();
        arguments.values.insert("image_info".to_owned(), image);
        validate_image(&options, &arguments).map_err(|error| error.chain())
    }

    #[test]
    fn images_are_refused_with_the_texts_of_the_contract() {
        const NO_CHECKSUM: &str = "Image checksum is not available, either the 'checksum' field \
            or the 'os_hash_algo' and 'os_hash_value' fields pair must be set for image \
            verification.";
        let urls = json!(["http://192.0.2.1/i"]);
        for (image, text) in [
            (json!({"urls": urls}), "Image is missing 'id' field."),
            (json!({"id": "i"}), "Image is missing 'urls' field."),
            (
                json!({"id": "i", "urls": []}),
                "Image 'urls' must be a list with at least one element.",
            ),
            (
                json!({"id": "i", "urls": "http://192.0.2.1/i"}),
                "Image 'urls' must be a list with at least one element.",
            ),
            (
                json!({"id": "i", "urls": urls, "checksum": ""}),
                "Image 'checksum' must be a non-empty string.",
            ),
            (
                json!({"id": "i", "urls": urls, "checksum": 1}),
                "Image 'checksum' must be a non-empty string.",
            ),
            (
                json!({"id": "i", "urls": urls, "checksum": null}),
                NO_CHECKSUM,
            ),
            (
                json!({"id": "i", "urls": urls, "os_hash_algo": "sha512"}),
                "Image 'os_hash_value' must be a non-empty string.",
            ),
            (
                json!({"id": "i", "urls": urls, "os_hash_value": "12"}),
                "Image 'os_hash_algo' must be a non-empty string.",
            ),
            (
                json!({"id": "i", "urls": urls, "os_hash_algo": 1, "os_hash_value": "12"}),
                "Image 'os_hash_algo' must be a non-empty string.",
            ),
            (json!({"id": "i", "urls": urls}), NO_CHECKSUM),
            (
                json!({"id": "i", "urls": urls, "checksum": "d41d8cd98f00b204e9800998ecf8427e"}),
                &format!("Image checksum is an MD5. {MD5_DISABLED}."),
            ),
        ] {
            assert_eq!(
                verdict(false, image.clone()),
                Err(text.to_owned()),
                "{image}"
            );
        }
    }

    #[test]
    fn images_with_a_usable_checksum_are_taken() {
        let image = |name: &str, checksum: &str| json!({"id": "i", "urls": ["http://192.0.2.1/i"], name: checksum});
        assert_eq!(verdict(false, image("checksum", &"a".repeat(64))), Ok(()));
        assert_eq!(
            verdict(false, image("checksum", "https://192.0.2.1/SHA256SUMS")),
            Ok(())
        );
        assert_eq!(verdict(true, image("checksum", &"a".repeat(32))), Ok(()));
        let mut pair = image("os_hash_algo", "sha512");
        pair["os_hash_value"] = json!("ab");
        assert_eq!(verdict(false, pair), Ok(()));
    }

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
