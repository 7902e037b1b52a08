//! Several devices side by side, every failure collected.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use farrier_plugin::{Context, ErrorKind, ManagerError, Progress, panic_text};
use serde_json::{Map, Value};
use tracing::{error, info};

/// A device that was not erased.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The device.
    pub device: String,
    /// Why.
    pub error: ManagerError,
}

/// What became of all devices.
#[derive(Debug, Default)]
pub(crate) struct StepResult {
    /// The devices that were erased, in the order given, with what their manager answered.
    pub erased: Vec<(String, Value)>,
    /// The devices that were not, in the order given.
    pub failures: Vec<Failure>,
}

/// Erase these devices, at most `concurrency` of them at the same time.
///
/// One failure stops nothing else. A panic in `erase` is the failure of that device. Once the
/// command is cancelled, no further device is begun, and those that were not begun are failures.
/// `erase` gets a context whose progress is that of all devices together.
pub(crate) fn in_parallel(
    devices: &[String],
    concurrency: usize,
    context: &dyn Context,
    erase: impl Fn(&dyn Context, usize) -> Result<Value, ManagerError> + Sync,
) -> StepResult {
    let next = AtomicUsize::new(0);
    let results: Mutex<BTreeMap<usize, Result<Value, ManagerError>>> = Mutex::default();
    let together = Together {
        context,
        shares: Mutex::new(vec![Progress::default(); devices.len()]),
    };
    thread::scope(|scope| {
        for _ in 0..concurrency.clamp(1, devices.len().max(1)) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(device) = devices.get(index) else {
                        return;
                    };
                    let share = Share {
                        together: &together,
                        index,
                    };
                    let result = one(device, &share, || erase(&share, index));
                    results
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .insert(index, result);
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut outcome = StepResult::default();
    for (index, device) in devices.iter().enumerate() {
        match results.remove(&index) {
            Some(Ok(value)) => outcome.erased.push((device.clone(), value)),
            Some(Err(error)) => outcome.failures.push(Failure {
                device: device.clone(),
                error,
            }),
            // Every index is taken by one thread, which always leaves a result.
            None => outcome.failures.push(Failure {
                device: device.clone(),
                error: ManagerError::new(
                    ErrorKind::BlockDeviceErase,
                    format!("{device} was never begun"),
                ),
            }),
        }
    }
    outcome
}

impl StepResult {
    /// The step's result: each device with what its manager answered (contract/data-plane 7.3), or
    /// one error that names every failure and begins with `what`: `Failed to erase the device(s)`.
    pub(crate) fn into_result(self, what: &str) -> Result<Value, ManagerError> {
        if self.failures.is_empty() {
            return Ok(Value::Object(
                self.erased.into_iter().collect::<Map<_, _>>(),
            ));
        }
        Err(self.into_error(what))
    }

    fn into_error(self, what: &str) -> ManagerError {
        let mut details = format!("{what}: ");
        let texts: Vec<String> = self
            .failures
            .iter()
            .map(|failure| format!("\"{}\": {}", failure.device, failure.error.chain()))
            .collect();
        details.push_str(&texts.join("; "));
        if !self.erased.is_empty() {
            details.push_str(". Erased: ");
            let names: Vec<&str> = self.erased.iter().map(|(name, _)| name.as_str()).collect();
            details.push_str(&names.join(", "));
        }
        // Failures of one kind keep it, so that a protected device is seen as that.
        let mut kinds = self.failures.iter().map(|failure| failure.error.kind());
        let first = kinds.next().unwrap_or(ErrorKind::BlockDeviceErase);
        let kind =
            if kinds.all(|kind| kind == first) && first != ErrorKind::IncompatibleHardwareMethod {
                first
            } else {
                ErrorKind::BlockDeviceErase
            };
        ManagerError::new(kind, details)
    }
}

/// The failure of a device that was not begun.
pub(super) fn cancelled_before(device: &str) -> ManagerError {
    ManagerError::new(
        ErrorKind::BlockDeviceErase,
        format!("{device} is not erased: the command was cancelled before its turn"),
    )
}

fn one(
    device: &str,
    context: &dyn Context,
    erase: impl FnOnce() -> Result<Value, ManagerError>,
) -> Result<Value, ManagerError> {
    if context.is_cancelled() {
        return Err(cancelled_before(device));
    }
    // A device whose erase broke off in a bug must not be missing from the failures.
    let result = catch_unwind(AssertUnwindSafe(erase)).unwrap_or_else(|panic| {
        Err(ManagerError::new(
            ErrorKind::BlockDeviceErase,
            format!(
                "{device} is not erased: its hardware manager broke off with a bug: {}",
                panic_text(&*panic)
            ),
        ))
    });
    match &result {
        // A record says it in more words.
        Ok(Value::Null) => info!(device, "done"),
        Ok(_) => {}
        Err(failure) => error!(device, error = failure.chain(), "not erased"),
    }
    result
}

/// The progress of all devices as one.
struct Together<'a> {
    context: &'a dyn Context,
    shares: Mutex<Vec<Progress>>,
}

/// One device's part of it.
struct Share<'a> {
    together: &'a Together<'a>,
    index: usize,
}

impl Context for Share<'_> {
    fn report_progress(&self, progress: Progress) {
        let mut shares = self
            .together
            .shares
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        shares[self.index] = progress;
        let begun: Vec<&Progress> = shares
            .iter()
            .filter(|share| !share.what.is_empty())
            .collect();
        let what = match begun.as_slice() {
            [only] => only.what.clone(),
            _ => {
                let whats: Vec<&str> = begun.iter().map(|share| share.what.as_str()).collect();
                whats.join("; ")
            }
        };
        // The total is known once every device has begun.
        let all = Progress {
            what,
            done: shares.iter().map(|share| share.done).sum(),
            total: shares.iter().map(|share| share.total).sum(),
        };
        drop(shares);
        self.together.context.report_progress(all);
    }

    fn is_cancelled(&self) -> bool {
        self.together.context.is_cancelled()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::time::{Duration, Instant};

    use farrier_plugin::SilentContext;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
    use serde_json::json;

    use super::*;
    use crate::erase::medium::fake::{FakeMedium, Fault};
    use crate::erase::medium::overwrite::{Passes, overwrite};

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|index| format!("/dev/sd{index}")).collect()
    }

    fn erased(outcome: &StepResult) -> Vec<&str> {
        outcome
            .erased
            .iter()
            .map(|(name, _)| name.as_str())
            .collect()
    }

    fn failing(device: &str) -> ManagerError {
        ManagerError::new(ErrorKind::BlockDeviceErase, format!("{device} is broken"))
    }

    #[test]
    fn one_of_three_disks_fails_and_the_others_are_erased() {
        let disks = [
            FakeMedium::new(2 << 20, Vec::new()),
            FakeMedium::new(2 << 20, vec![Fault::Write(4096..8192, libc::EIO)]),
            FakeMedium::new(2 << 20, Vec::new()),
        ];
        let devices = names(3);
        let outcome = in_parallel(&devices, 2, &SilentContext, |context, index| {
            let passes = Passes {
                random: 1,
                zeros: true,
            };
            overwrite(&disks[index], &devices[index], passes, context)?;
            Ok(Value::Null)
        });
        assert_eq!(erased(&outcome), ["/dev/sd0", "/dev/sd2"]);
        for index in [0, 2] {
            assert!(disks[index].bytes().iter().all(|byte| *byte == 0));
        }
        let error = outcome
            .into_result("Failed to erase the device(s)")
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BlockDeviceErase);
        let text = error.to_string();
        assert!(
            text.starts_with("Failed to erase the device(s): \"/dev/sd1\": "),
            "{text}"
        );
        assert!(text.contains("os error 5"), "{text}");
        assert!(text.ends_with("Erased: /dev/sd0, /dev/sd2"), "{text}");
    }

    #[test]
    fn all_failures_are_named() {
        let devices = names(3);
        let outcome = in_parallel(&devices, 4, &SilentContext, |_, index| {
            if index == 1 {
                return Ok(Value::Null);
            }
            Err(failing(&devices[index]))
        });
        let text = outcome
            .into_result("Failed to erase the device(s)")
            .unwrap_err()
            .to_string();
        assert!(text.contains("/dev/sd0 is broken"), "{text}");
        assert!(text.contains("/dev/sd2 is broken"), "{text}");
    }

    #[test]
    fn a_success_is_each_device_with_its_value_and_none_is_an_empty_object() {
        let outcome = in_parallel(&names(2), 1, &SilentContext, |_, index| {
            Ok(if index == 0 {
                json!({"a": 1})
            } else {
                Value::Null
            })
        });
        assert_eq!(
            outcome
                .into_result("Failed to erase the device(s)")
                .unwrap(),
            json!({"/dev/sd0": {"a": 1}, "/dev/sd1": null})
        );
        let outcome = in_parallel(&[], 4, &SilentContext, |_, _| Ok(Value::Null));
        assert_eq!(
            outcome
                .into_result("Failed to erase the device(s)")
                .unwrap(),
            json!({})
        );
    }

    #[test]
    fn a_panic_is_the_failure_of_its_device_alone() {
        let outcome = in_parallel(&names(3), 2, &SilentContext, |_, index| {
            assert_ne!(index, 1, "on purpose");
            Ok(Value::Null)
        });
        assert_eq!(erased(&outcome), ["/dev/sd0", "/dev/sd2"]);
        assert_eq!(outcome.failures[0].device, "/dev/sd1");
        let text = outcome.failures[0].error.chain();
        assert!(text.contains("on purpose"), "{text}");
    }

    #[test]
    fn no_more_than_the_concurrency_run_at_once() {
        let running = AtomicUsize::new(0);
        let most = AtomicUsize::new(0);
        let until = Instant::now() + Duration::from_secs(60);
        in_parallel(&names(8), 3, &SilentContext, |_, _| {
            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            // Time for a fourth, which must not come, and as long as it takes for three.
            thread::sleep(Duration::from_millis(20));
            while most.load(Ordering::SeqCst) < 3 && Instant::now() < until {
                thread::sleep(Duration::from_millis(1));
            }
            running.fetch_sub(1, Ordering::SeqCst);
            Ok(Value::Null)
        });
        assert_eq!(most.load(Ordering::SeqCst), 3);
    }

    #[test]
    fn after_a_cancel_no_further_device_is_begun_and_none_of_those_is_a_success() {
        #[derive(Default)]
        struct Cancelled(AtomicBool);
        impl Context for Cancelled {
            fn report_progress(&self, _progress: Progress) {}

            fn is_cancelled(&self) -> bool {
                self.0.load(Ordering::SeqCst)
            }
        }
        let context = Cancelled::default();
        let outcome = in_parallel(&names(3), 1, &context, |_, _| {
            context.0.store(true, Ordering::SeqCst);
            Ok(Value::Null)
        });
        assert_eq!(erased(&outcome), ["/dev/sd0"]);
        assert_eq!(outcome.failures.len(), 2);
    }

    #[test]
    fn progress_is_the_sum_of_all_devices() {
        #[derive(Default)]
        struct Last(Mutex<Progress>);
        impl Context for Last {
            fn report_progress(&self, progress: Progress) {
                *self.0.lock().unwrap() = progress;
            }

            fn is_cancelled(&self) -> bool {
                false
            }
        }
        let context = Last::default();
        in_parallel(&names(2), 1, &context, |share, index| {
            share.report_progress(Progress {
                what: format!("disk {index}"),
                done: 10,
                total: Some(100),
            });
            Ok(Value::Null)
        });
        let last = context.0.into_inner().unwrap();
        assert_eq!(last.what, "disk 0; disk 1");
        assert_eq!((last.done, last.total), (20, Some(200)));
    }

    proptest! {
        #[test]
        fn a_failed_device_is_never_in_the_success_list(
            fails in proptest::collection::vec(any::<bool>(), 0..12),
            concurrency in 0_usize..6,
        ) {
            let devices = names(fails.len());
            let outcome = in_parallel(&devices, concurrency, &SilentContext, |_, index| {
                if fails[index] {
                    return Err(failing(&devices[index]));
                }
                Ok(Value::Null)
            });
            prop_assert_eq!(outcome.erased.len() + outcome.failures.len(), devices.len());
            for (device, failed) in devices.iter().zip(&fails) {
                prop_assert_eq!(erased(&outcome).contains(&device.as_str()), !failed);
                prop_assert_eq!(
                    outcome.failures.iter().any(|failure| failure.device == *device),
                    *failed
                );
            }
            let result = outcome.into_result("Failed to erase the device(s)");
            prop_assert_eq!(result.is_ok(), !fails.contains(&true));
            if let Err(error) = result {
                for (device, failed) in devices.iter().zip(&fails) {
                    let named = error.to_string().contains(&format!("\"{device}\""));
                    prop_assert!(named == *failed);
                }
            }
        }
    }
}
