//! What a plugin that behaves well is asked, and asks.

use super::*;

#[test]
fn a_manager_in_another_process_is_one_like_any_other() {
    let site = Site::new("well");
    let manager = site.manager();
    assert_eq!(manager.class_name(), "FaultyHardwareManager");
    assert_eq!(manager.version().version, "1");
    assert_eq!(
        manager.evaluate_hardware_support().unwrap(),
        support::SERVICE_PROVIDER
    );
    assert_eq!(manager.bmc_address().unwrap().as_deref(), Some("192.0.2.1"));
    let steps = manager
        .steps(StepKind::Clean, &Node::default(), &[])
        .unwrap();
    assert_eq!((steps[0].step.as_str(), steps[0].priority), ("polish", 5));
    assert!(
        manager
            .steps(StepKind::Deploy, &Node::default(), &[])
            .unwrap()
            .is_empty()
    );
    assert!(manager.cpus().unwrap_err().declines());
    assert!(execute(&manager, "unheard_of").unwrap_err().declines());
    let declined = manager
        .erase_block_device(
            &SilentContext,
            &Node::default(),
            &devices()(false).unwrap()[0],
        )
        .unwrap_err();
    assert!(declined.declines());
    assert_eq!(declined.to_string(), "/dev/sda is not mine");
}

#[test]
fn the_agent_lists_disks_and_runs_programs_for_it() {
    let site = Site::new("well");
    let manager = site.manager();
    let disks = execute(&manager, "disks").unwrap();
    assert_eq!(disks[0]["name"], "/dev/sda");
    assert_eq!(disks[0]["serial"], "S1");
    let output = execute(&manager, "program").unwrap();
    assert_eq!(
        output,
        json!({ "exit_code": 0, "stdout": "hello\n", "stderr": "" })
    );
    // The script lets the refusal end it.
    let error = execute(&manager, "relative_program").unwrap_err();
    assert!(error.to_string().contains("exit status 1"), "{error}");
}

#[test]
fn its_progress_is_passed_on_and_unknown_news_are_not() {
    let site = Site::new("well");
    let watcher = Watcher::default();
    execute_with(&site.manager(), "progress", &watcher).unwrap();
    assert_eq!(
        *watcher.heard.lock().unwrap(),
        [Progress {
            what: "polishing".to_owned(),
            done: 1,
            total: Some(2)
        }]
    );
}

#[test]
fn it_is_heard_while_a_program_runs_for_it() {
    let site = Site::new("well");
    let manager = site.manager();
    let watcher = Watcher::default();
    std::thread::scope(|scope| {
        let step = scope.spawn(|| execute_with(&manager, "speak_while_a_program_runs", &watcher));
        while watcher.heard.lock().unwrap().len() < 200 {
            assert!(!step.is_finished(), "nothing was heard before the end");
            std::thread::sleep(Duration::from_millis(10));
        }
        fs::write(site.folder.path().join("faulty/go"), "").unwrap();
        assert_eq!(step.join().unwrap().unwrap(), json!(101));
    });
}

#[test]
fn the_config_drive_is_only_for_those_that_need_it() {
    let mut large = LargeStrings::default();
    let drive = "x".repeat(100_000);
    let Value::Object(values) = json!({
        "configdrive": large.intern(&drive), "other": large.intern(&"y".repeat(70_000)),
    }) else {
        unreachable!("an object was written");
    };
    let arguments = StepArguments {
        values,
        large: Arc::new(large),
    };
    let node: Node = serde_json::from_value(
        json!({ "uuid": "1", "instance_info": { "configdrive": "secret", "display": "d" } }),
    )
    .unwrap();
    let shown = |mode: &str| {
        Site::new(mode)
            .manager()
            .execute_step(&SilentContext, "show", &node, &[], &arguments)
            .unwrap()
    };
    let without = shown("well");
    assert_eq!(without["node"]["instance_info"], json!({ "display": "d" }));
    assert_eq!(
        without["arguments"],
        json!({ "other": "<70000 bytes omitted>" })
    );
    let with = shown("needs_config_drive");
    assert_eq!(with["node"]["instance_info"]["configdrive"], "secret");
    assert_eq!(with["arguments"]["configdrive"], drive);
}

#[test]
fn a_cancel_is_heard_and_who_does_not_hear_is_killed() {
    let site = Site::new("well");
    let manager = site.manager();
    let watcher = Watcher::default();
    let error = std::thread::scope(|scope| {
        let step = scope.spawn(|| execute_with(&manager, "until_cancelled", &watcher));
        while watcher.asked.load(Ordering::Relaxed) < 3 {
            std::thread::sleep(Duration::from_millis(10));
        }
        watcher.cancelled.store(true, Ordering::Relaxed);
        step.join().unwrap().unwrap_err()
    });
    assert_eq!(error.kind(), ErrorKind::Cleaning);
    assert_eq!(error.to_string(), "faulty: stopped");

    let deaf = Watcher::default();
    deaf.cancelled.store(true, Ordering::Relaxed);
    let error = execute_with(&manager, "hang", &deaf).unwrap_err();
    assert!(error.to_string().contains("of the cancel"), "{error}");
}

#[test]
fn a_program_that_runs_for_it_ends_at_its_limit_and_after_a_cancel() {
    let daemon = Site::new("well");
    let manager = daemon.manager();
    let started = Instant::now();
    let error = execute(&manager, "program_with_a_daemon").unwrap_err();
    let took = started.elapsed();
    assert!(took < Duration::from_secs(30), "{took:?}");
    // The script lets the refusal end it.
    assert!(error.to_string().contains("exit status 1"), "{error}");

    let site = Site::new("well");
    let manager = site.manager();
    let watcher = Watcher::default();
    let started = Instant::now();
    let error = std::thread::scope(|scope| {
        let step = scope.spawn(|| execute_with(&manager, "long_program", &watcher));
        while !site.folder.path().join("faulty/runs").exists() {
            assert!(!step.is_finished(), "the program was not started");
            std::thread::sleep(Duration::from_millis(10));
        }
        watcher.cancelled.store(true, Ordering::Relaxed);
        step.join().unwrap().unwrap_err()
    });
    let took = started.elapsed();
    assert!((10..30).contains(&took.as_secs()), "{took:?}");
    assert!(error.to_string().contains("of the cancel"), "{error}");
}

#[test]
fn one_that_is_initialised_is_initialised_again_after_a_crash() {
    let site = Site::new("well");
    let manager = site.manager();
    manager.initialize(&SilentContext).unwrap();
    execute(&manager, "crash").unwrap_err();
    execute(&manager, "polish").unwrap();
    assert_eq!((site.count("starts"), site.count("initialized")), (2, 2));
}
