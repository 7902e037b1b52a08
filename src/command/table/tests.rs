use std::sync::mpsc::Sender;

use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedReceiver;

use super::*;
use crate::command::definition::no_validation;
use crate::command::fake::{self, FakeManager};
use crate::command::parameters::Signature;

type Gate = Sender<Result<Value, ManagerError>>;

fn open(state: &Path) -> (Arc<CommandTable>, Gate, UnboundedReceiver<Signal>) {
    let (manager, gate) = FakeManager::new();
    let (environment, signals) = fake::environment(vec![manager], state);
    (CommandTable::open(environment).unwrap(), gate, signals)
}

fn request(body: &Value) -> Request {
    Request::read(body.to_string().as_bytes()).unwrap()
}

fn step(name: &str) -> Request {
    request(&json!({"name": "clean.execute_clean_step", "params": {
        "step": {"step": name}, "node": {"uuid": "1be2"}, "ports": []}}))
}

fn get_steps(kind: &str) -> Request {
    request(&json!({"name": format!("{kind}.get_{kind}_steps"),
        "params": {"node": {"uuid": "1be2"}, "ports": []}}))
}

fn names(table: &CommandTable) -> Vec<(String, Status)> {
    table
        .list()
        .iter()
        .map(|command| (command.name().to_owned(), command.status()))
        .collect()
}

#[test]
fn a_killed_agent_leaves_a_failed_command_and_takes_new_ones() {
    let state = tempfile::tempdir().unwrap();
    let (table, gate, _) = open(state.path());
    table
        .issue(request(&json!({"name": "standby.sync", "params": {}})))
        .unwrap();
    table.issue(step("gate")).unwrap();
    assert_eq!(table.running().unwrap().name(), "execute_clean_step");
    // What a killed agent leaves is its state directory as it is now.
    let left = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(state.path()).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), left.path().join(entry.file_name())).unwrap();
    }
    gate.send(Ok(Value::Null)).unwrap();

    let (table, _, _) = open(left.path());
    assert_eq!(
        names(&table),
        [
            ("sync".to_owned(), Status::Succeeded),
            ("execute_clean_step".to_owned(), Status::Failed),
        ]
    );
    assert!(table.running().is_none());
    table.issue(step("erase_devices")).unwrap();
    assert_eq!(names(&table).len(), 3);
}

#[test]
fn the_list_is_in_order_and_empty_after_a_reboot() {
    let state = tempfile::tempdir().unwrap();
    let (table, _, _) = open(state.path());
    let sync = || request(&json!({"name": "standby.sync", "params": {}}));
    let ids: Vec<_> = [get_steps("clean"), sync(), get_steps("deploy"), sync()]
        .into_iter()
        .map(|request| table.issue(request).unwrap().id())
        .collect();
    for _ in 0..2 {
        let list = table.list();
        let names: Vec<_> = list.iter().map(|command| command.name()).collect();
        assert_eq!(
            names,
            ["get_clean_steps", "sync", "get_deploy_steps", "sync"]
        );
        let listed: Vec<_> = list.iter().map(|command| command.id()).collect();
        assert_eq!(listed, ids);
    }
    for id in ids {
        assert_eq!(table.find(&id.to_string()).unwrap().id(), id);
    }
    // The state is on a file system in memory.
    let after_a_reboot = tempfile::tempdir().unwrap();
    assert!(open(after_a_reboot.path()).0.list().is_empty());
}

#[test]
fn the_end_is_journalled_before_it_shows_and_before_the_heartbeat() {
    let state = tempfile::tempdir().unwrap();
    let (table, gate, mut signals) = open(state.path());
    let command = table.issue(step("gate")).unwrap();
    let journal = || std::fs::read_to_string(state.path().join("commands.jsonl")).unwrap();
    assert!(journal().contains(&format!("{{\"started\":{{\"id\":\"{}\"", command.id())));
    assert!(!journal().contains("\"ended\""));
    assert!(fake::drain(&mut signals).is_empty());
    gate.send(Ok(Value::Null)).unwrap();
    assert_eq!(signals.blocking_recv(), Some(Signal::HeartbeatNow));
    assert_eq!(command.status(), Status::Succeeded);
    assert!(journal().contains(&format!("{{\"ended\":{{\"id\":\"{}\"", command.id())));
}

#[test]
fn a_panic_of_a_synchronous_command_is_a_failure() {
    let state = tempfile::tempdir().unwrap();
    let (table, _, _) = open(state.path());
    let command = table
        .issue(request(&json!({"name": "service.get_service_steps",
            "params": {"node": {"uuid": "1be2"}, "ports": []}})))
        .unwrap();
    let outcome = command.outcome().unwrap();
    assert_eq!(
        outcome.error.as_ref().unwrap().details,
        "get_service_steps ended in a panic, which is a defect of the agent: service steps \
         are broken"
    );
    assert_eq!(names(&table).len(), 1);
}

#[test]
fn refused_requests_leave_no_trace_after_a_restart_either() {
    let state = tempfile::tempdir().unwrap();
    let (table, _, _) = open(state.path());
    table
        .issue(request(&json!({"name": "clean.get_clean_steps",
            "params": {"node": {}, "ports": []}})))
        .unwrap_err();
    assert!(table.list().is_empty());
    drop(table);
    let (table, _, _) = open(state.path());
    assert!(table.list().is_empty());
}

#[test]
fn the_steps_are_told_when_the_running_command_has_ended() {
    let state = tempfile::tempdir().unwrap();
    let (table, gate, _) = open(state.path());
    table.issue(step("gate")).unwrap();
    let asked = thread::spawn({
        let table = Arc::clone(&table);
        move || table.issue(get_steps("clean"))
    });
    // Others are refused meanwhile, at once.
    thread::sleep(Duration::from_millis(50));
    let error = table.issue(step("erase_devices")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AgentIsBusy);
    let error = table.issue(get_steps("deploy")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AgentIsBusy);
    assert!(!asked.is_finished());
    gate.send(Ok(Value::Null)).unwrap();
    let steps = asked.join().unwrap().unwrap();
    assert_eq!(steps.status(), Status::Succeeded);
    assert_eq!(
        names(&table),
        [
            ("execute_clean_step".to_owned(), Status::Succeeded),
            ("get_clean_steps".to_owned(), Status::Succeeded),
        ]
    );
}

/// Neither the status nor the words of [`ErrorKind::AgentIsBusy`]: Ironic's client looks at both.
#[test]
fn steps_that_cannot_be_told_in_time_are_an_error_that_ends_the_cleaning() {
    let state = tempfile::tempdir().unwrap();
    let (mut table, gate, _) = open(state.path());
    Arc::get_mut(&mut table).unwrap().patience = Duration::from_millis(20);
    table.issue(step("gate")).unwrap();
    for kind in ["clean", "service"] {
        let error = table.issue(get_steps(kind)).unwrap_err();
        assert!(error.kind().code() >= 400 && error.kind().code() != 409);
        let words = format!("{}: {}", error.kind().message(), error.chain());
        assert!(!words.to_lowercase().contains("agent is busy"), "{words}");
        assert!(words.contains("execute_clean_step"), "{words}");
    }
    assert_eq!(names(&table).len(), 1);
    gate.send(Ok(Value::Null)).unwrap();
}

#[test]
fn an_interrupted_step_has_failed_where_the_conductor_would_take_it_for_done() {
    let state = tempfile::tempdir().unwrap();
    let (table, _, _) = open(state.path());
    table.issue(get_steps("clean")).unwrap();
    let why = table
        .fail_interrupted_step(StepKind::Clean, "erase_devices")
        .unwrap();
    assert!(why.contains("in the middle of clean step erase_devices"));
    let expected = [
        ("get_clean_steps".to_owned(), Status::Succeeded),
        ("execute_clean_step".to_owned(), Status::Failed),
    ];
    assert_eq!(names(&table), expected);
    let outcome = table.list()[1].outcome().unwrap();
    assert_eq!(outcome.error.as_ref().unwrap().type_name, "CleaningError");
    assert_eq!(outcome.error.as_ref().unwrap().details, why);
    // Once is enough, for an agent that is started again, too.
    let again =
        |table: &CommandTable| table.fail_interrupted_step(StepKind::Clean, "erase_devices");
    assert_eq!(again(&table), None);
    drop(table);
    let (table, _, _) = open(state.path());
    assert_eq!(again(&table), None);
    assert_eq!(names(&table), expected);
}

#[test]
fn what_the_machine_shows_of_a_work_that_was_cut_short_is_in_its_error() {
    let state = tempfile::tempdir().unwrap();
    let open_with = |left: Option<&str>| {
        let (manager, gate) = FakeManager::new();
        let (mut environment, _) = fake::environment(vec![manager], state.path());
        environment.left_behind = left.map(str::to_owned);
        (CommandTable::open(environment).unwrap(), gate)
    };
    assert!(!CommandTable::was_open(state.path()));
    let (table, gate) = open_with(None);
    assert!(CommandTable::was_open(state.path()));
    table.issue(step("gate")).unwrap();
    let erase = Uuid::new_v4();
    let name = "execute_clean_step";
    table.journal.started(erase, name, true).unwrap();
    // As a killed agent leaves it: its thread still waits, and has no journal any more.
    table.journal.break_for_test();
    let left = "/dev/sda has a security password";
    let (again, _) = open_with(Some(left));
    let details = |table: &CommandTable, index: usize| {
        let outcome = table.list()[index].outcome().unwrap();
        outcome.error.as_ref().unwrap().details.clone()
    };
    // Another step left none, but the site's own may be there.
    assert!(!details(&again, 0).contains(left), "{}", details(&again, 0));
    assert!(details(&again, 1).ends_with(left), "{}", details(&again, 1));
    drop(gate);

    let state = tempfile::tempdir().unwrap();
    let (manager, _) = FakeManager::new();
    let (mut environment, _) = fake::environment(vec![manager], state.path());
    environment.left_behind = Some(left.to_owned());
    let fresh = CommandTable::open(environment).unwrap();
    let why = fresh.fail_interrupted_step(StepKind::Clean, "erase_devices");
    assert!(why.unwrap().ends_with(left));
    assert!(details(&fresh, 0).ends_with(left));
}

#[test]
fn the_journal_knows_which_commands_erase_disks() {
    let state = tempfile::tempdir().unwrap();
    let (table, gate, _) = open(state.path());
    for name in ["gate", "erase_devices"] {
        let command = table.issue(step(name)).unwrap();
        gate.send(Ok(Value::Null)).unwrap();
        while command.outcome().is_none() {
            thread::yield_now();
        }
    }
    let text = std::fs::read_to_string(state.path().join("commands.jsonl")).unwrap();
    let started = text.lines().filter(|line| line.contains("\"started\""));
    let erases: Vec<_> = started
        .map(|line| line.contains("\"erases\":true"))
        .collect();
    assert_eq!(erases, [false, true]);
    let flow = json!({"flow": [{"standby.sync": {}}, {"clean.execute_clean_step":
        {"step": {"step": "erase_devices_metadata"}}}]});
    assert!(steps::erases(flow.as_object().unwrap()));
}

#[test]
fn what_cannot_be_journalled_does_not_run() {
    let state = tempfile::tempdir().unwrap();
    let (table, _, _) = open(state.path());
    table.journal.break_for_test();
    for name in ["erase_devices", "gate"] {
        let error = table.issue(step(name)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CommandExecution);
    }
    assert!(table.list().is_empty());
}

#[test]
fn a_full_journal_is_the_error_of_the_next_command_and_of_nothing_else() {
    let state = tempfile::tempdir().unwrap();
    let (table, gate, _) = open(state.path());
    let running = table.issue(step("gate")).unwrap();
    table.journal.fill_for_test(64 * 1024);
    // The one that runs can say how it ended, with much to tell.
    gate.send(Ok(json!(vec!["x"; 100_000]))).unwrap();
    while running.outcome().is_none() {
        thread::yield_now();
    }
    for name in ["erase_devices", "gate"] {
        let error = table.issue(step(name)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CommandExecution);
        assert!(error.chain().contains("is full after"), "{}", error.chain());
        assert!(error.chain().contains("reboot"), "{}", error.chain());
    }
    // It goes on showing what there is, and so does the agent after it.
    let expected = [("execute_clean_step".to_owned(), Status::Succeeded)];
    assert_eq!(names(&table), expected);
    // Of what is an error in the list, no end is written down without a start.
    let rescue = request(&json!({
        "name": "rescue.finalize_rescue", "params": {"rescue_password": "plain"}}));
    assert_eq!(table.issue(rescue).unwrap().status(), Status::Failed);
    let left = tempfile::tempdir().unwrap();
    let journal = "commands.jsonl";
    std::fs::copy(state.path().join(journal), left.path().join(journal)).unwrap();
    assert!(std::fs::metadata(left.path().join(journal)).unwrap().len() < 4096);
    let (table, _, _) = open(left.path());
    assert_eq!(names(&table), expected);
}

#[test]
fn a_rescue_is_never_refused() {
    let state = tempfile::tempdir().unwrap();
    let (table, gate, _) = open(state.path());
    let rescue =
        |params: Value| request(&json!({"name": "rescue.finalize_rescue", "params": params}));
    let issue = |params: Value| {
        let command = table.issue(rescue(params.clone())).unwrap();
        let outcome = command.outcome().unwrap();
        assert_eq!(outcome.status, Status::Failed, "{params}");
        let error = outcome.error.clone().unwrap();
        // Ironic takes a TypeError in a result for an API error too.
        assert_ne!(error.type_name, "TypeError", "{params}");
        assert!(
            !error.details.contains("sesame"),
            "{params}: {}",
            error.details
        );
    };
    let requests = [
        json!({"rescue_password": "$6$salt$hash", "hashed": true}),
        json!({"rescue_password": "$", "hashed": true}),
        json!({"rescue_password": "open sesame"}),
        json!({"rescue_password": ["open sesame"]}),
        json!({"rescue_password": "sesame", "hashed": "yes"}),
        json!({"rescue_password": "sesame", "more": 1}),
        json!({}),
    ];
    for params in &requests {
        issue(params.clone());
    }
    // What cannot be written down is no reason either.
    table.journal.break_for_test();
    issue(json!({"rescue_password": "$6$salt$hash", "hashed": true}));
    assert_eq!(names(&table).len(), requests.len() + 1);
    // Another name: a child that some other test forks may hold this one's lock for a moment.
    let left = tempfile::tempdir().unwrap();
    let journal = "commands.jsonl";
    std::fs::copy(state.path().join(journal), left.path().join(journal)).unwrap();

    // After a restart they are failed, and a busy agent says that it is busy, whatever it is
    // asked: that is no API error for Ironic.
    let (table, _, _) = open(left.path());
    assert_eq!(names(&table).len(), requests.len());
    assert!(
        names(&table)
            .iter()
            .all(|(_, status)| *status == Status::Failed)
    );
    drop((gate, table));
    let state = tempfile::tempdir().unwrap();
    let (table, gate, _) = open(state.path());
    table.issue(step("gate")).unwrap();
    let error = table.issue(rescue(json!({}))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AgentIsBusy);
    gate.send(Ok(Value::Null)).unwrap();
}

#[test]
fn requests_one_after_the_other_never_run_side_by_side() {
    let state = tempfile::tempdir().unwrap();
    let (table, gate, _) = open(state.path());
    let issuers: Vec<_> = (0..8)
        .map(|_| {
            let table = Arc::clone(&table);
            thread::spawn(move || table.issue(step("gate")).is_ok())
        })
        .collect();
    let accepted = issuers
        .into_iter()
        .map(|issuer| issuer.join().unwrap())
        .filter(|accepted| *accepted)
        .count();
    assert_eq!(accepted, 1);
    gate.send(Ok(Value::Null)).unwrap();
}

/// The lines of the journal that say how commands ended.
fn ends(state: &Path) -> usize {
    let journal = std::fs::read_to_string(state.join("commands.jsonl")).unwrap();
    journal
        .lines()
        .filter(|line| line.contains("\"ended\""))
        .count()
}

fn details(command: &Command) -> String {
    let outcome = command.outcome().unwrap();
    assert_eq!(outcome.status, Status::Failed);
    outcome.error.clone().unwrap().details
}

#[test]
fn a_command_that_was_told_to_stop_has_failed_whatever_it_says() {
    let told = "execute_clean_step was told to stop, because the agent was asked to end (SIGTERM)";
    let own = ManagerError::new(ErrorKind::BlockDeviceErase, "/dev/sda: half of it");
    for (end, expected) in [
        (
            Ok(Value::Null),
            format!("{told}. What it had done by then does not count as done"),
        ),
        (Err(own), format!("{told}: /dev/sda: half of it")),
    ] {
        let state = tempfile::tempdir().unwrap();
        let (table, gate, _) = open(state.path());
        let command = table.issue(step("gate")).unwrap();
        let cut_off = table.cut_off(CutOff::Terminated).unwrap();
        assert_eq!(cut_off.id(), command.id());
        gate.send(end).unwrap();
        table.give_up_after(Duration::from_secs(30), &command);
        assert_eq!(details(&command), expected);
        assert_eq!(ends(state.path()), 1);
        // A second demand finds nothing to stop, and nothing begins any more.
        assert!(table.cut_off(CutOff::LockedDown).is_none());
        let error = table.issue(step("erase_devices")).unwrap_err();
        assert_ne!(error.kind(), ErrorKind::AgentIsBusy);
        assert!(
            error.to_string().contains("begins no command any more"),
            "{error}"
        );
        drop(table);
        let (table, _, _) = open(state.path());
        assert_eq!(details(&table.list()[0]), expected);
    }
}

/// What does not stop, such as a drive that erases itself, is named in the error; its own end comes too late to
/// count.
#[test]
fn a_command_that_does_not_stop_is_given_up_with_the_work_that_goes_on() {
    let state = tempfile::tempdir().unwrap();
    let (table, gate, _) = open(state.path());
    let command = table.issue(step("gate")).unwrap();
    while command.pace().is_none() {
        thread::sleep(Duration::from_millis(5));
    }
    table.cut_off(CutOff::Terminated).unwrap();
    table.give_up_after(Duration::from_millis(50), &command);
    let expected = "execute_clean_step was told to stop, because the agent was asked to end (SIGTERM): it has not \
                    stopped 0 s later, and may go on. It was at: waiting. Nothing that it works on counts as done";
    assert_eq!(details(&command), expected);
    gate.send(Ok(Value::Null)).unwrap();
    while Arc::strong_count(&table) > 1 {
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(details(&command), expected);
    assert_eq!(ends(state.path()), 1);
}

#[test]
fn the_lock_down_itself_is_not_cut_off() {
    let state = tempfile::tempdir().unwrap();
    let (table, _, mut signals) = open(state.path());
    let lock_down = registry::find("system.lockdown").unwrap();
    let command = table.begin(lock_down, false).unwrap();
    (lock_down.run)(
        &table.environment,
        &CommandContext::new(Arc::clone(&command)),
        &Parameters::default(),
    )
    .unwrap();
    assert_eq!(fake::drain(&mut signals), [Signal::LockDown]);
    assert!(table.cut_off(CutOff::LockedDown).is_none());
    table.end(&command, outcome(lock_down, Ok(Value::Null)));
    assert_eq!(command.status(), Status::Succeeded);
}

/// Of a result without steps Ironic would tell only that it has none; of a refused rescue it would send the
/// password again, in plain text.
#[test]
fn a_synchronous_command_that_was_told_to_stop_is_answered_with_an_error() {
    const fn waits(name: &'static str) -> Definition {
        Definition {
            name,
            mode: Mode::Sync,
            signature: Signature::NONE,
            validate: no_validation,
            run: |_, context, _| {
                while !context.is_cancelled() {
                    thread::sleep(Duration::from_millis(5));
                }
                Ok(Value::Null)
            },
        }
    }
    static GET_STEPS: Definition = waits("get_clean_steps");
    static RESCUE: Definition = waits(rescue::FINALIZE);
    let answer = |definition: &'static Definition| {
        let state = tempfile::tempdir().unwrap();
        let (table, _, _) = open(state.path());
        let issuing = Arc::clone(&table);
        let issued = thread::spawn(move || issuing.run_here(definition, &Parameters::default()));
        while table.under_way().command.is_none() {
            thread::sleep(Duration::from_millis(5));
        }
        table.cut_off(CutOff::Terminated).unwrap();
        let issued = issued.join().unwrap();
        assert_eq!(
            names(&table),
            [(definition.name.to_owned(), Status::Failed)]
        );
        issued
    };
    let error = answer(&GET_STEPS).unwrap_err();
    assert!(
        error.to_string().starts_with(
            "get_clean_steps was told to stop, because the agent was asked to end (SIGTERM)"
        ),
        "{error}"
    );
    assert_eq!(answer(&RESCUE).unwrap().status(), Status::Failed);
}

/// Its own lock-down tells it to stop before its end is written.
#[test]
fn a_flow_that_ends_in_the_lock_down_succeeds() {
    let inner = |last: Value| json!({"flow.start_flow": {"flow": [{"standby.sync": {}}, last]}});
    for (last, expected) in [
        (json!({"system.lockdown": {}}), Status::Succeeded),
        (json!({"standby.sync": {}}), Status::Failed),
        (inner(json!({"system.lockdown": {}})), Status::Succeeded),
        (
            inner(inner(json!({"system.lockdown": {}}))),
            Status::Succeeded,
        ),
        (inner(json!({"standby.sync": {}})), Status::Failed),
    ] {
        let state = tempfile::tempdir().unwrap();
        let (table, _, mut signals) = open(state.path());
        let writing = table.writing_ends();
        let flow = json!({"name": "flow.start_flow",
            "params": {"flow": [{"system.lockdown": {}}, last]}});
        let command = table.issue(request(&flow)).unwrap();
        assert_eq!(signals.blocking_recv(), Some(Signal::LockDown));
        if expected == Status::Succeeded {
            assert_eq!(signals.blocking_recv(), Some(Signal::LockDown));
        }
        table.cut_off(CutOff::LockedDown).unwrap();
        drop(writing);
        table.give_up_after(Duration::from_secs(30), &command);
        assert_eq!(command.status(), expected);
    }
}
