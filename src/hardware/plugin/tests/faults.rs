//! Plugins that misbehave: each costs one clear error, and the next call works.

use super::*;

#[test]
fn a_crash_in_a_step_names_the_signal() {
    let site = Site::new("well");
    let error = fault(&site, "crash");
    assert!(error.contains("was killed by signal SIGSEGV"), "{error}");
    assert!(error.contains("execute_step"), "{error}");
    assert_eq!(site.count("starts"), 2);
}

#[test]
fn an_exit_in_a_step_names_the_status() {
    let error = fault(&Site::new("well"), "exit");
    assert!(error.contains("exit status 7"), "{error}");
}

#[test]
fn a_step_that_hangs_is_killed_at_its_deadline_with_its_children() {
    let mut site = Site::new("well");
    site.options.hardware_manager_step_timeout = 1;
    site.grace = Duration::from_secs(2);
    let started = Instant::now();
    let error = fault(&site, "hang");
    assert!(started.elapsed() >= Duration::from_secs(3));
    assert!(error.contains("within 1 s and was killed"), "{error}");
    assert!(site.child_is_gone());
    assert_eq!(site.count("starts"), 2);
}

#[test]
fn one_that_stops_within_its_grace_goes_on_and_its_step_has_failed_all_the_same() {
    let mut site = Site::new("well");
    site.options.hardware_manager_step_timeout = 1;
    for step in ["until_told", "until_cancelled"] {
        let error = fault(&site, step);
        assert_eq!(
            error,
            "The hardware manager faulty did not answer execute_step within 1 s, and stopped when \
             it was told to"
        );
    }
    assert_eq!(site.count("starts"), 2, "once for each of the two");
}

/// The agent tells of the limit that has passed, not of the exit that it has asked for.
#[test]
fn one_that_ends_within_its_grace_was_late() {
    let mut site = Site::new("well");
    site.options.hardware_manager_step_timeout = 1;
    let error = fault(&site, "exit_when_told");
    assert!(error.contains("within 1 s, and stopped"), "{error}");
}

#[test]
fn a_child_that_holds_its_pipes_does_not_hide_its_end() {
    let site = Site::new("well");
    let started = Instant::now();
    let error = fault(&site, "leak");
    assert!(error.contains("ended with exit status 3"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(120));
    assert!(site.child_is_gone());
}

#[test]
fn what_it_left_behind_ends_with_it() {
    let site = Site::new("well");
    let manager = site.manager();
    assert_eq!(execute(&manager, "fork").unwrap(), json!("forked"));
    assert!(site.has_child(), "the next call may need it");
    execute(&manager, "exit").unwrap_err();
    assert!(site.child_is_gone());
    execute(&manager, "polish").unwrap();
}

#[test]
fn an_exception_that_nobody_knows_is_told_by_its_name() {
    let manager = Site::new("well").manager();
    let error = execute(&manager, "vendor_error").unwrap_err();
    assert!(error.is_unexpected());
    assert_eq!(error.to_string(), "faulty: CardError: the card is on fire");
    let crash = execute(&manager, "crash").unwrap_err();
    assert!(crash.is_unexpected());
}

#[test]
fn who_waits_for_its_turn_in_vain_kills_nobody() {
    let site = Site::new("well");
    let manager = site.manager();
    let watcher = Watcher::default();
    std::thread::scope(|scope| {
        let first = scope.spawn(|| execute_with(&manager, "until_cancelled", &watcher));
        while watcher.asked.load(Ordering::Relaxed) < 3 {
            std::thread::sleep(Duration::from_millis(10));
        }
        let given_up = Watcher::default();
        given_up.cancelled.store(true, Ordering::Relaxed);
        let error = execute_with(&manager, "polish", &given_up).unwrap_err();
        assert!(error.to_string().contains("was busy"), "{error}");
        watcher.cancelled.store(true, Ordering::Relaxed);
        first.join().unwrap().unwrap_err();
    });
    assert_eq!(site.count("starts"), 1);
}

#[test]
fn half_a_line_ends_at_the_deadline() {
    let mut site = Site::new("well");
    site.options.hardware_manager_step_timeout = 1;
    site.grace = Duration::from_secs(1);
    let error = fault(&site, "half_a_line");
    assert!(error.contains("within 1 s"), "{error}");
}

#[test]
fn garbage_is_told_and_ends_it() {
    let error = fault(&Site::new("well"), "garbage");
    assert!(error.contains("not JSON"), "{error}");
}

#[test]
fn a_flood_is_bounded() {
    let error = fault(&Site::new("well"), "flood");
    assert!(error.contains("longer than 16 MiB"), "{error}");
}

#[test]
fn the_answer_to_a_call_that_is_not_open_is_told() {
    let error = fault(&Site::new("well"), "another_id");
    assert!(error.contains("which is not open"), "{error}");
}

#[test]
fn a_closed_output_ends_it() {
    let error = fault(&Site::new("well"), "close_stdout");
    assert!(error.contains("closed its output"), "{error}");
}

#[test]
fn a_closed_input_ends_it_at_the_next_call() {
    let site = Site::new("well");
    let manager = site.manager();
    execute(&manager, "close_stdin").unwrap();
    let error = execute(&manager, "polish").unwrap_err();
    assert!(error.to_string().contains("closed its input"), "{error}");
    execute(&manager, "polish").unwrap();
}

/// As a process does that is being started beside it: between fork and exec it has all that the
/// agent has open.
#[test]
fn a_closed_input_that_somebody_else_holds_for_a_moment_ends_it_too() {
    let site = Site::new("well");
    let manager = site.manager();
    execute(&manager, "close_stdin_held").unwrap();
    let error = execute(&manager, "polish").unwrap_err();
    assert!(error.to_string().contains("closed its input"), "{error}");
    execute(&manager, "polish").unwrap();
}

#[test]
fn who_closed_its_input_may_still_answer_what_it_has_read() {
    let manager = Site::new("well").manager();
    assert_eq!(
        execute(&manager, "close_stdin_and_work").unwrap(),
        json!("worked")
    );
}

#[test]
fn callbacks_without_end_are_cut_off() {
    let mut site = Site::new("well");
    // They are counted, and so many take a busy machine a while.
    site.options.hardware_manager_step_timeout = 600;
    let error = fault(&site, "call_back_for_ever");
    assert!(error.contains("called back more than"), "{error}");
}

#[test]
fn a_flood_of_words_stops_nobody() {
    let manager = Site::new("well").manager();
    assert_eq!(execute(&manager, "chatter").unwrap(), json!("told"));
}

#[test]
fn what_does_not_start_is_refused_by_name() {
    for (mode, why) in [
        (
            "exits_at_start",
            "ended with exit status 1 during handshake",
        ),
        ("wants_another_protocol", "it wants version 2"),
    ] {
        let site = Site::new(mode);
        let told = site.refusal();
        assert!(told.contains(why) && told.contains("faulty"), "{told}");
    }
}

#[test]
fn steps_that_cannot_be_are_an_error_by_name() {
    for (mode, why) in [
        ("step_without_priority", "missing field `priority`"),
        ("step_twice", "offers the step polish twice"),
    ] {
        let error = Site::new(mode)
            .manager()
            .steps(StepKind::Clean, &Node::default(), &[])
            .unwrap_err();
        let told = error.to_string();
        assert!(told.contains(why) && told.contains("faulty"), "{told}");
    }
}

#[test]
fn a_method_that_is_declared_and_missing_declines() {
    let manager = Site::new("declares_what_it_lacks").manager();
    assert!(manager.memory().unwrap_err().declines());
}

#[test]
fn one_that_is_another_after_a_crash_is_dropped() {
    let site = Site::new("changes_version");
    let manager = site.manager();
    execute(&manager, "crash").unwrap_err();
    let error = execute(&manager, "polish").unwrap_err();
    assert!(
        error.to_string().contains("another name, version"),
        "{error}"
    );
    assert!(manager.dropped().is_some());
    assert!(execute(&manager, "polish").unwrap_err().declines());
}
