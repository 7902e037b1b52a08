//! Which manager answers: in the order of their support, the first that does not decline
//! (contract/control-plane 8.4).

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use farrier_plugin::{ErrorKind, HardwareManager, ManagerError};
use tracing::{debug, warn};

/// A manager that supports this machine.
pub(super) struct Ranked {
    /// The manager.
    pub(super) manager: Arc<dyn HardwareManager>,
    /// What its evaluation said, above 0.
    pub(super) level: u32,
}

/// The managers in the order in which they are asked: highest support level first.
///
/// The generic manager holds a weak reference to it, because its `erase_devices` asks all managers
/// about each device; so the order is set once, after every manager was made.
#[derive(Default)]
pub(super) struct Dispatcher {
    order: OnceLock<Vec<Ranked>>,
    hidden: Mutex<BTreeSet<String>>,
    missing_disk: Mutex<Option<String>>,
}

impl Dispatcher {
    /// Evaluate the managers, drop those that do not support this machine, and fix the order:
    /// by level, and as given where levels are equal.
    ///
    /// A manager whose evaluation fails is dropped and logged: one bad manager must not take the
    /// machine out of service.
    pub(super) fn rank(&self, managers: Vec<Arc<dyn HardwareManager>>) -> Result<(), ManagerError> {
        let mut ranked: Vec<Ranked> = managers
            .into_iter()
            .filter_map(|manager| {
                let level = match manager.evaluate_hardware_support() {
                    Ok(level) => level,
                    Err(error) => {
                        warn!(
                            manager = manager.class_name(),
                            error = error.chain(),
                            "a hardware manager could not say whether it supports this machine \
                             and is left out"
                        );
                        return None;
                    }
                };
                debug!(manager = manager.class_name(), level, "evaluated");
                (level > 0).then_some(Ranked { manager, level })
            })
            .collect();
        if ranked.is_empty() {
            return Err(ManagerError::new(
                ErrorKind::HardwareManagerNotFound,
                "No hardware manager supports this machine",
            ));
        }
        ranked.sort_by_key(|ranked| std::cmp::Reverse(ranked.level));
        // A second ranking would change the order under running commands: the first one stays.
        let _ = self.order.set(ranked);
        Ok(())
    }

    /// The managers in order; none before [`Dispatcher::rank`].
    pub(super) fn ranked(&self) -> &[Ranked] {
        self.order.get().map_or(&[], Vec::as_slice)
    }

    /// The answer of the first manager that does not decline.
    ///
    /// Where all decline, the error says that nobody has the method, and keeps what they said when
    /// it was more than that: the reference loses it (contract/control-plane 7.5).
    pub(super) fn first<T>(
        &self,
        method: impl AsRef<str>,
        call: impl FnMut(&dyn HardwareManager) -> Result<T, ManagerError>,
    ) -> Result<T, ManagerError> {
        self.first_expecting(None, method, call)
    }

    /// The same for a caller who tells errors of this kind itself, in its own words or less often than it asks: the log
    /// does not have them from here.
    pub(super) fn first_expecting<T>(
        &self,
        expected: impl Into<Option<ErrorKind>>,
        method: impl AsRef<str>,
        mut call: impl FnMut(&dyn HardwareManager) -> Result<T, ManagerError>,
    ) -> Result<T, ManagerError> {
        let (expected, method) = (expected.into(), method.as_ref());
        let mut refusals = Vec::new();
        for Ranked { manager, .. } in self.ranked() {
            match call(manager.as_ref()) {
                Err(error) if Some(error.kind()) == expected && !error.declines() => {
                    return Err(error);
                }
                Err(error) => note_failure(manager.as_ref(), method, error, &mut refusals)?,
                Ok(answer) => return Ok(answer),
            }
        }
        Err(nobody_answers(method, &refusals))
    }

    /// The answer of the first manager other than the one of this class that does not decline;
    /// `None` where all do. For a manager that has an answer of its own.
    pub(super) fn others<T>(
        &self,
        class_name: &str,
        method: impl AsRef<str>,
        mut call: impl FnMut(&dyn HardwareManager) -> Result<T, ManagerError>,
    ) -> Result<Option<T>, ManagerError> {
        let method = method.as_ref();
        for Ranked { manager, .. } in self.ranked() {
            if manager.class_name() == class_name {
                continue;
            }
            match call(manager.as_ref()) {
                Err(error) => note_failure(manager.as_ref(), method, error, &mut Vec::new())?,
                Ok(answer) => return Ok(Some(answer)),
            }
        }
        Ok(None)
    }

    /// The names of the block devices that were hidden when they were listed last.
    pub(super) fn hidden(&self) -> BTreeSet<String> {
        self.hidden
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Note what a listing has hidden.
    pub(super) fn set_hidden(&self, names: BTreeSet<String>) {
        *self.hidden.lock().unwrap_or_else(PoisonError::into_inner) = names;
    }

    /// Why there is no disk to deploy to, as the last wait for one has found; `None` where there is one.
    pub(super) fn missing_disk(&self) -> Option<String> {
        let missing = self.missing_disk.lock();
        missing.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Note what a wait has found.
    pub(super) fn set_missing_disk(&self, missing: Option<String>) {
        *self
            .missing_disk
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = missing;
    }

    /// The answers of all managers that do not decline, in order. One failure fails the whole.
    pub(super) fn all<T>(
        &self,
        method: impl AsRef<str>,
        mut call: impl FnMut(&dyn HardwareManager) -> Result<T, ManagerError>,
    ) -> Result<Vec<(&Ranked, T)>, ManagerError> {
        let mut answers = Vec::new();
        let method = method.as_ref();
        let mut refusals = Vec::new();
        for ranked in self.ranked() {
            let manager = &ranked.manager;
            match call(manager.as_ref()) {
                Err(error) => note_failure(manager.as_ref(), method, error, &mut refusals)?,
                Ok(answer) => answers.push((ranked, answer)),
            }
        }
        if answers.is_empty() {
            return Err(nobody_answers(method, &refusals));
        }
        Ok(answers)
    }
}

/// A manager that declines leaves its reason among the refusals; every other error is given back.
fn note_failure(
    manager: &dyn HardwareManager,
    method: &str,
    error: ManagerError,
    refusals: &mut Vec<String>,
) -> Result<(), ManagerError> {
    let manager = manager.class_name();
    if !error.declines() {
        warn!(manager, method, error = error.chain(), "failed");
        return Err(error);
    }
    debug!(manager, method, "declined");
    if !is_plain_refusal(method, &error) {
        refusals.push(format!("{manager}: {}", error.chain()));
    }
    Ok(())
}

/// Whether the manager said no more than that it does not have the method.
fn is_plain_refusal(method: &str, error: &ManagerError) -> bool {
    error.chain() == ManagerError::unsupported(method).chain()
}

fn nobody_answers(method: &str, refusals: &[String]) -> ManagerError {
    let mut details = format!("Could not find method: {method}");
    if !refusals.is_empty() {
        details.push_str(". Declined by ");
        details.push_str(&refusals.join("; "));
    }
    ManagerError::new(ErrorKind::HardwareManagerMethodNotFound, details)
}

#[cfg(test)]
mod tests {
    use farrier_plugin::support;

    use super::*;
    use crate::hardware::fake::{Answer, FakeManager};

    fn dispatcher(managers: Vec<FakeManager>) -> Dispatcher {
        let dispatcher = Dispatcher::default();
        dispatcher
            .rank(
                managers
                    .into_iter()
                    .map(|manager| Arc::new(manager) as Arc<dyn HardwareManager>)
                    .collect(),
            )
            .unwrap();
        dispatcher
    }

    fn ask(dispatcher: &Dispatcher) -> Result<Option<String>, ManagerError> {
        dispatcher.first("get_bmc_address", |manager| manager.bmc_address())
    }

    #[test]
    fn the_highest_level_is_asked_first_whatever_the_order_of_discovery() {
        let dispatcher = dispatcher(vec![
            FakeManager::new("Generic", support::GENERIC).answering(Answer::Text("generic")),
            FakeManager::new("Site", 7).answering(Answer::Text("site")),
            FakeManager::new("Vendor", support::MAINLINE).answering(Answer::Text("vendor")),
        ]);
        assert_eq!(ask(&dispatcher).unwrap().as_deref(), Some("site"));
        let order: Vec<&str> = dispatcher
            .ranked()
            .iter()
            .map(|ranked| ranked.manager.class_name())
            .collect();
        assert_eq!(order, ["Site", "Vendor", "Generic"]);
    }

    #[test]
    fn equal_levels_keep_the_order_of_discovery() {
        let dispatcher = dispatcher(vec![
            FakeManager::new("B", 2).answering(Answer::Text("b")),
            FakeManager::new("A", 2).answering(Answer::Text("a")),
        ]);
        assert_eq!(ask(&dispatcher).unwrap().as_deref(), Some("b"));
    }

    #[test]
    fn a_manager_that_declines_passes_the_question_on() {
        let dispatcher = dispatcher(vec![
            FakeManager::new("Vendor", 2),
            FakeManager::new("Generic", 1).answering(Answer::Text("generic")),
        ]);
        assert_eq!(ask(&dispatcher).unwrap().as_deref(), Some("generic"));
    }

    #[test]
    fn a_null_answer_is_an_answer() {
        let dispatcher = dispatcher(vec![
            FakeManager::new("Vendor", 2).answering(Answer::Null),
            FakeManager::new("Generic", 1).answering(Answer::Text("generic")),
        ]);
        assert_eq!(ask(&dispatcher).unwrap(), None);
    }

    #[test]
    fn a_failure_is_not_passed_on() {
        let dispatcher = dispatcher(vec![
            FakeManager::new("Vendor", 2).answering(Answer::Fail(
                ErrorKind::BlockDevice,
                "the controller is gone",
            )),
            FakeManager::new("Generic", 1).answering(Answer::Text("generic")),
        ]);
        let error = ask(&dispatcher).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BlockDevice);
        assert_eq!(error.to_string(), "the controller is gone");
    }

    #[test]
    fn nobody_answers_by_name() {
        let error = ask(&dispatcher(vec![FakeManager::new("Vendor", 2)])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::HardwareManagerMethodNotFound);
        assert_eq!(error.to_string(), "Could not find method: get_bmc_address");
    }

    #[test]
    fn the_reason_of_a_refusal_is_kept_when_nobody_answers() {
        let dispatcher = dispatcher(vec![
            FakeManager::new("Vendor", 2).answering(Answer::Fail(
                ErrorKind::IncompatibleHardwareMethod,
                "/dev/sda is frozen",
            )),
            FakeManager::new("Generic", 1),
        ]);
        let error = ask(&dispatcher).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::HardwareManagerMethodNotFound);
        assert_eq!(
            error.to_string(),
            "Could not find method: get_bmc_address. Declined by Vendor: /dev/sda is frozen"
        );
    }

    #[test]
    fn all_managers_are_asked_and_one_failure_fails_all() {
        let healthy = dispatcher(vec![
            FakeManager::new("A", 2).answering(Answer::Text("a")),
            FakeManager::new("B", 2),
            FakeManager::new("C", 1).answering(Answer::Text("c")),
        ]);
        let answers = healthy
            .all("get_bmc_address", |manager| manager.bmc_address())
            .unwrap();
        let answers: Vec<_> = answers
            .into_iter()
            .map(|(ranked, answer)| (ranked.manager.class_name().to_owned(), answer.unwrap()))
            .collect();
        assert_eq!(
            answers,
            [
                ("A".to_owned(), "a".to_owned()),
                ("C".to_owned(), "c".to_owned())
            ]
        );

        let broken = dispatcher(vec![
            FakeManager::new("A", 2).answering(Answer::Text("a")),
            FakeManager::new("B", 1).answering(Answer::Fail(
                ErrorKind::HardwareManagerConfiguration,
                "no licence",
            )),
        ]);
        let error = broken
            .all("get_bmc_address", |manager| manager.bmc_address())
            .err()
            .unwrap();
        assert_eq!(error.kind(), ErrorKind::HardwareManagerConfiguration);
    }

    #[test]
    fn unsupported_and_broken_managers_are_dropped() {
        let dispatcher = dispatcher(vec![
            FakeManager::new("None", support::NONE).answering(Answer::Text("none")),
            FakeManager::broken("Broken"),
            FakeManager::new("Generic", 1),
        ]);
        assert_eq!(dispatcher.ranked().len(), 1);

        let error = Dispatcher::default()
            .rank(vec![Arc::new(FakeManager::broken("Broken"))])
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::HardwareManagerNotFound);
    }
}
