//! Hardware managers that misbehave under a conductor: the API answers throughout, and the next
//! command works.

use std::path::Path;

use farrier_plugin::SilentContext;

use super::*;
use crate::config::{Live, Options};
use crate::hardware::Managers;
use crate::sys::root::Root;
use crate::sys::test_program;

/// Every answer of the API has to come within this time, whatever a plugin does. Most take a millisecond, so
/// that all but some do on a machine that is busy with other tests.
const PROMPT: Duration = Duration::from_secs(2);

/// A plugin that holds up the API does it for longer: the limit of a step and its grace.
const HELD_UP: Duration = Duration::from_secs(10);

/// An agent with the faulty manager of the fixtures, told to misbehave like this.
fn served(folder: &Path, mode: &str) -> Served {
    let plugin = folder.join("faulty");
    fs::create_dir(&plugin).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/plugins/faulty.py");
    test_program::copy(&script, &plugin.join("plugin"));
    fs::write(plugin.join("mode"), mode).unwrap();
    let options = Live::new(Options {
        hardware_manager_directories: vec![folder.to_owned()],
        hardware_manager_step_timeout: 2,
        disk_wait_attempts: 0,
        ..Options::default()
    });
    let managers =
        Managers::discover_at(options.clone(), Root::system(), false, &SilentContext).unwrap();
    let state = tempfile::tempdir().unwrap();
    let environment = fake::environment_of(managers, options, state.path());
    Served::serving(environment, FakeManager::new(), state, |_| {})
}

/// Run a clean step and watch it from outside; how it ended.
fn end_of(served: &Served, step: &str) -> Value {
    let asked = served
        .post(false, &execute("clean", &json!({"step": step})))
        .json();
    let mut answered = Vec::new();
    loop {
        let started = Instant::now();
        assert_eq!(served.get("/v1/status").status, 200);
        let list = served.list();
        answered.push(started.elapsed());
        let command = list
            .into_iter()
            .find(|command| command["id"] == asked["id"]);
        let command = command.unwrap();
        if command["command_status"] != "RUNNING" {
            answered.sort();
            let most = answered[answered.len() / 2];
            assert!(most < PROMPT, "{step}: {answered:?}");
            assert!(answered.pop().unwrap() < HELD_UP, "{step}: {answered:?}");
            return command;
        }
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn every_fault_in_a_step_costs_that_command_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let served = served(folder.path(), "well");
    for (step, why) in [
        ("crash", "was killed by signal SIGSEGV during execute_step"),
        ("exit", "ended with exit status 7"),
        ("leak", "ended with exit status 3"),
        (
            "hang",
            "did not answer execute_step within 2 s and was killed",
        ),
        (
            "half_a_line",
            "did not answer execute_step within 2 s and was killed",
        ),
        ("garbage", "A line is not JSON"),
        ("flood", "A message is longer than 16 MiB"),
        ("another_id", "which is not open"),
        ("close_stdout", "closed its output"),
        ("call_back_for_ever", "faulty"),
        ("vendor_error", "faulty: CardError: the card is on fire"),
    ] {
        let command = end_of(&served, step);
        assert_eq!(command["command_status"], "FAILED", "{command}");
        let error = &command["command_error"];
        // As an exception in a manager of the reference (contract/control-plane 7.5).
        assert_eq!(error["type"], "CleaningError", "{error}");
        let details = error["details"].as_str().unwrap();
        let begin = format!("Unexpected exception performing clean step {step}. ");
        assert!(details.starts_with(&begin), "{details}");
        assert!(
            details.contains("faulty") && details.contains(why),
            "{details}"
        );

        let next = end_of(&served, "polish");
        assert_eq!(next["command_status"], "SUCCEEDED", "after {step}: {next}");
        assert_eq!(
            next["command_result"]["clean_result"],
            json!({"polished": true})
        );
    }
}

#[test]
fn steps_that_cannot_be_are_told_with_their_plugin() {
    for (mode, place, why) in [
        (
            "step_without_priority",
            "/command_error/details",
            "missing field `priority`",
        ),
        // A fault of the site's configuration answers the request itself: the conductor shows it.
        ("step_twice", "/faultstring", "offers the step polish twice"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let served = served(folder.path(), mode);
        let body = json!({"name": "clean.get_clean_steps", "params": {"node": {"uuid": "1"}, "ports": []}});
        let answer = served.post(true, &body).json();
        let told = answer.pointer(place).and_then(Value::as_str);
        assert!(
            told.is_some_and(|told| told.contains("faulty") && told.contains(why)),
            "{answer}"
        );
        let next = end_of(&served, "polish");
        assert_eq!(next["command_status"], "SUCCEEDED", "{next}");
    }
}

/// The conductor then asks for the steps again and begins anew (contract/control-plane 7.6).
#[test]
fn an_upgraded_plugin_is_a_mismatch_of_versions() {
    let folder = tempfile::tempdir().unwrap();
    let served = served(folder.path(), "well");
    let body =
        json!({"name": "clean.get_clean_steps", "params": {"node": {"uuid": "1"}, "ports": []}});
    let got = served.post(true, &body).json();
    let versions = &got["command_result"]["hardware_manager_version"];
    assert_eq!(
        *versions,
        json!({"faulty": "1", "generic_hardware_manager": "1.2"})
    );
    let run = |versions: &Value| {
        let mut body = execute("clean", &json!({"step": "polish"}));
        body["params"]["clean_version"] = versions.clone();
        served.post(true, &body).json()
    };
    assert_eq!(run(versions)["command_status"], "SUCCEEDED");
    let mut older = versions.clone();
    older["faulty"] = json!("0.9");
    let command = run(&older);
    assert_eq!(command["command_status"], "CLEAN_VERSION_MISMATCH");
    assert_eq!(command["command_error"]["type"], "VersionMismatch");
    assert_eq!(command["command_result"], Value::Null);
    let text = command["command_error"]["details"].as_str().unwrap();
    assert!(text.contains("\"faulty\":\"0.9\""), "{text}");
    // A manager that is gone is one, too; no versions are no question.
    older["faulty"] = json!("1");
    older["another"] = json!("1");
    assert_eq!(run(&older)["command_status"], "CLEAN_VERSION_MISMATCH");
    assert_eq!(run(&Value::Null)["command_status"], "SUCCEEDED");
}
