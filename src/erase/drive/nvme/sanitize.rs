//! Format NVM and Sanitize as ways to erase.

use std::time::Duration;

use tracing::warn;

use crate::erase::drive::command::CommandError;
use crate::erase::drive::error::{DriveError, Fault};
use crate::erase::drive::nvme::identify::{self, SanitizeEnd};
use crate::erase::drive::watch::{Standing, Watch};
use crate::erase::method::Sanitize;
use crate::sys::nvme::{AdminCommand, NvmeAdmin, NvmeError, log_page, opcode};

/// A format that writes the whole medium takes hours; the kernel resets a controller that is cut
/// short.
const FORMAT_LIMIT: Duration = Duration::from_secs(12 * 3600);

/// Sanitize only starts with the command.
const START_LIMIT: Duration = Duration::from_secs(120);

/// How long a sanitize may go on; the largest disks overwrite themselves in two days.
const SANITIZE_LIMIT: Duration = Duration::from_secs(96 * 3600);

/// The log page that says where a sanitize stands, and how many bytes of it are of use.
const SANITIZE_STATUS: u8 = 0x81;
const SANITIZE_STATUS_BYTES: usize = 32;

/// Sanitize action (SANACT, figure 325): leave the failed state.
const EXIT_FAILURE: u32 = 1;
/// Allow Unrestricted Sanitize Exit (AUSE): a sanitize that fails must not leave a drive that takes
/// nothing but another sanitize.
const UNRESTRICTED: u32 = 1 << 3;
/// One pass (OWPASS); zero would be sixteen.
const ONE_PASS: u32 = 1 << 4;

/// Format a namespace as it is, and erase it: by a new key, or all user data.
pub(in crate::erase) fn format(
    controller: &dyn NvmeAdmin,
    namespace: u32,
    crypto: bool,
    device: &str,
) -> Result<(), DriveError> {
    let failed = |source| Fault::NvmeFormat.after(device, source);
    let now = identify::namespace_of(controller, namespace)
        .map_err(failed)?
        .ok_or_else(|| Fault::Inactive(namespace).of(device))?;
    let command = AdminCommand {
        opcode: opcode::FORMAT_NVM,
        namespace,
        dword10: now.format_dword(if crypto { 2 } else { 1 }),
        dword11: 0,
        timeout: FORMAT_LIMIT,
    };
    controller.admin(&command, &mut []).map_err(failed)
}

/// Wait for a sanitize that an earlier agent began, and leave the state in which one failed: in both, a
/// controller takes neither reads and writes nor a format (NVM Express 1.4, 8.15).
///
/// A controller that only formats need not say where a sanitize stands.
pub(super) fn ready(
    controller: &dyn NvmeAdmin,
    only_formats: bool,
    watch: &Watch<'_>,
) -> Result<(), DriveError> {
    let standing = || standing(controller);
    let now = match standing() {
        Ok(now) => now,
        Err(_) if only_formats => return Ok(()),
        Err(source) => return Err(Fault::SanitizeStatus.after(watch.device, source)),
    };
    if watch.wait_for_earlier(now, SANITIZE_LIMIT, standing)? == SanitizeEnd::Failed {
        leave_failed_state(controller, watch);
    }
    Ok(())
}

fn leave_failed_state(controller: &dyn NvmeAdmin, watch: &Watch<'_>) {
    if let Err(error) = start(controller, EXIT_FAILURE) {
        warn!(device = watch.device, %error, "the controller stays in its failed state");
    }
}

/// Sanitize the subsystem. Nothing stops it: a cancel is noted and has no effect.
pub(in crate::erase) fn sanitize(
    controller: &dyn NvmeAdmin,
    action: Sanitize,
    watch: &Watch<'_>,
) -> Result<(), DriveError> {
    let dword10 = UNRESTRICTED
        | match action {
            Sanitize::Block => 2,
            Sanitize::Overwrite => 3 | ONE_PASS,
            Sanitize::Crypto => 4,
        };
    watch.demand_wanted()?;
    start(controller, dword10)
        .map_err(|source| Fault::SanitizeStart.after(watch.device, source))?;
    watch.begun(action.words());
    match watch.until_ended(action.words(), SANITIZE_LIMIT, || standing(controller))? {
        SanitizeEnd::Done => Ok(()),
        SanitizeEnd::Never => Err(Fault::NeverSanitized.of(watch.device)),
        SanitizeEnd::Failed => {
            leave_failed_state(controller, watch);
            let reason = "the controller says that the operation failed";
            Err(Fault::SanitizeFailed(reason).of(watch.device))
        }
    }
}

fn start(controller: &dyn NvmeAdmin, dword10: u32) -> Result<(), NvmeError> {
    let command = AdminCommand {
        opcode: opcode::SANITIZE,
        namespace: 0,
        dword10,
        // The pattern of an overwrite.
        dword11: 0,
        timeout: START_LIMIT,
    };
    controller.admin(&command, &mut [])
}

fn standing(controller: &dyn NvmeAdmin) -> Result<Standing<SanitizeEnd>, CommandError> {
    let page = log_page(controller, SANITIZE_STATUS, SANITIZE_STATUS_BYTES)?;
    identify::sanitize_standing(&page).ok_or(CommandError::Senseless {
        command: "Get Log Page (Sanitize Status)",
    })
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::VecDeque;

    use farrier_plugin::{CancelledContext, SilentContext};

    use super::*;
    use crate::erase::drive::watch::MOST_SILENCE;

    const DEVICE: &str = "/dev/nvme0n1";

    /// A controller that follows a script, as no emulator has the sanitize command.
    struct Script {
        answers: RefCell<VecDeque<Answer>>,
        got: RefCell<Vec<AdminCommand>>,
    }

    #[derive(Clone)]
    enum Answer {
        Done,
        Status(u16),
        /// The sanitize log: progress and state.
        Log(u16, u16),
        Namespace,
    }

    impl Script {
        fn new(answers: Vec<Answer>) -> Self {
            Self {
                answers: RefCell::new(answers.into()),
                got: RefCell::default(),
            }
        }

        fn sanitizes(&self) -> Vec<u32> {
            self.got
                .borrow()
                .iter()
                .filter(|command| command.opcode == opcode::SANITIZE)
                .map(|command| command.dword10)
                .collect()
        }
    }

    impl NvmeAdmin for Script {
        fn admin(&self, command: &AdminCommand, data: &mut [u8]) -> Result<(), NvmeError> {
            self.got.borrow_mut().push(*command);
            match self.answers.borrow_mut().pop_front().unwrap() {
                Done => {}
                Status(status) => {
                    return Err(NvmeError::Status {
                        opcode: command.opcode,
                        status,
                    });
                }
                Log(progress, state) => {
                    assert_eq!(command.opcode, opcode::GET_LOG_PAGE);
                    assert_eq!(command.dword10, 7 << 16 | 0x81);
                    data[..2].copy_from_slice(&progress.to_le_bytes());
                    data[2..4].copy_from_slice(&state.to_le_bytes());
                }
                Namespace => {
                    data[0] = 1;
                    data[26] = 2;
                }
            }
            Ok(())
        }
    }

    fn watch() -> Watch<'static> {
        Watch {
            context: &SilentContext,
            device: DEVICE,
            size: 1 << 40,
            pause: Duration::from_millis(1),
        }
    }

    fn run(script: &Script, action: Sanitize) -> Result<(), DriveError> {
        ready(script, false, &watch())?;
        sanitize(script, action, &watch())
    }

    use Answer::{Done, Log, Namespace, Status};

    #[test]
    fn a_format_keeps_the_block_size_and_names_the_controllers_error() {
        let script = Script::new(vec![Namespace, Done]);
        format(&script, 1, true, DEVICE).unwrap();
        let got = script.got.borrow();
        assert_eq!((got[1].opcode, got[1].namespace), (opcode::FORMAT_NVM, 1));
        assert_eq!(got[1].dword10, 2 | 2 << 9);
        let script = Script::new(vec![Namespace, Status(0x10a)]);
        let error = format(&script, 1, false, DEVICE).unwrap_err();
        assert!(farrier_plugin::chain(&error).contains("invalid format"));
        // A namespace that is not active answers with zeros.
        let error = format(&Script::new(vec![Done]), 1, false, DEVICE).unwrap_err();
        assert!(matches!(error.fault, Fault::Inactive(1)));
    }

    #[test]
    fn a_sanitize_is_followed_to_its_end() {
        let script = Script::new(vec![
            Log(65_535, 0),
            Done,
            Log(100, 2),
            Log(60_000, 2),
            Log(65_535, 0x101),
        ]);
        run(&script, Sanitize::Block).unwrap();
        assert_eq!(script.sanitizes(), [2 | 1 << 3]);
        let script = Script::new(vec![Log(65_535, 1), Done, Log(65_535, 4)]);
        run(&script, Sanitize::Overwrite).unwrap();
        assert_eq!(script.sanitizes(), [3 | 1 << 3 | 1 << 4]);
    }

    #[test]
    fn one_that_was_left_running_is_waited_for_and_done_again() {
        let script = Script::new(vec![
            Log(1, 2),
            Log(2, 2),
            Log(65_535, 1),
            Done,
            Log(65_535, 1),
        ]);
        run(&script, Sanitize::Crypto).unwrap();
        assert_eq!(script.sanitizes(), [4 | 1 << 3]);
    }

    #[test]
    fn a_cancel_ends_the_wait_for_an_earlier_one_and_begins_none() {
        let cancelled = Watch {
            context: &CancelledContext,
            ..watch()
        };
        let script = Script::new(vec![Log(1, 2), Log(2, 2)]);
        let error = ready(&script, false, &cancelled).unwrap_err();
        assert!(matches!(error.fault, Fault::Cancelled));
        let script = Script::new(Vec::new());
        let error = sanitize(&script, Sanitize::Block, &cancelled).unwrap_err();
        assert!(matches!(error.fault, Fault::Cancelled));
    }

    #[test]
    fn the_state_in_which_an_earlier_one_failed_is_left_before_anything_is_written() {
        for earlier in [vec![Log(1, 2), Log(65_535, 3)], vec![Log(65_535, 3)]] {
            for only_formats in [false, true] {
                let mut answers = earlier.clone();
                answers.push(Done);
                let script = Script::new(answers);
                ready(&script, only_formats, &watch()).unwrap();
                assert_eq!(script.sanitizes(), [1]);
            }
        }
        // Where it does not leave it, the next sanitize is all that it takes.
        let script = Script::new(vec![Log(65_535, 3), Status(0x001)]);
        ready(&script, false, &watch()).unwrap();
    }

    #[test]
    fn a_controller_that_only_formats_need_not_know_the_page() {
        let script = Script::new(vec![Status(0x109)]);
        ready(&script, true, &watch()).unwrap();
        let script = Script::new(vec![Status(0x109)]);
        let error = ready(&script, false, &watch()).unwrap_err();
        assert!(matches!(error.fault, Fault::SanitizeStatus));
    }

    #[test]
    fn a_failed_sanitize_is_a_failure_and_the_drive_stays_usable() {
        let script = Script::new(vec![Log(65_535, 0), Done, Log(9, 2), Log(65_535, 3), Done]);
        let error = run(&script, Sanitize::Block).unwrap_err();
        assert!(matches!(error.fault, Fault::SanitizeFailed(_)));
        assert_eq!(script.sanitizes(), [2 | 1 << 3, 1]);
    }

    #[test]
    fn a_refusal_silence_and_nonsense_are_failures() {
        let script = Script::new(vec![Log(65_535, 0), Status(0x001)]);
        let error = run(&script, Sanitize::Block).unwrap_err();
        assert!(farrier_plugin::chain(&error).contains("invalid command opcode"));
        let script = Script::new(vec![Log(65_535, 0), Done, Log(65_535, 0)]);
        let error = run(&script, Sanitize::Block).unwrap_err();
        assert!(matches!(error.fault, Fault::NeverSanitized));
        let error = run(&Script::new(vec![Log(0, 7)]), Sanitize::Block).unwrap_err();
        assert!(matches!(error.source, Some(CommandError::Senseless { .. })));
        let mut answers = vec![Log(65_535, 0), Done];
        answers.extend((0..MOST_SILENCE).map(|_| Status(0x006)));
        let error = run(&Script::new(answers), Sanitize::Block).unwrap_err();
        assert!(matches!(error.source, Some(CommandError::Nvme(_))));
        // A few questions without an answer are none: the controller is busy.
        let script = Script::new(vec![
            Log(65_535, 0),
            Done,
            Status(0x006),
            Status(0x006),
            Log(65_535, 1),
        ]);
        run(&script, Sanitize::Block).unwrap();
    }
}
