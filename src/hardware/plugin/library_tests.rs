//! Shared libraries as plugins, with the host that is built for the ramdisk: what they do wrong
//! costs one clear error, and what cannot be loaded is refused by name.
#![expect(
    clippy::disallowed_methods,
    reason = "the tests compile their libraries, outside of the agent's rules for programs"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use farrier_plugin::{HardwareManager, ManagerError, Node, SilentContext, StepArguments, StepKind};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::tests::{Watcher, devices, execute, execute_with};
use super::{Installed, PluginManager, check};
use crate::config::Options;

const TOP: &str = env!("CARGO_MANIFEST_DIR");

/// The host and the example library, as `make build` makes them; the host lies beside this test's
/// executable, where the agent looks first.
fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let folder = std::env::current_exe()
            .unwrap()
            .parent()
            .unwrap()
            .to_owned();
        run(Command::new(Path::new(TOP).join("hardware_managers/host/build")).arg(&folder));
        folder
    })
}

/// Run a compiler; returns what it says on stdout.
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Compile a C file of the tree as a library.
fn compile(source: &str, flags: &[&str], library: &Path) {
    run(Command::new("cc")
        .args([
            "-std=c11",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-pedantic",
            "-shared",
            "-fPIC",
            "-I",
        ])
        .arg(Path::new(TOP).join("hardware_managers/sdk/include"))
        .arg("-o")
        .arg(library)
        .arg(Path::new(TOP).join(source))
        .args(flags));
}

/// A plugin directory with one library in it.
struct Site {
    folder: TempDir,
    options: Options,
}

impl Site {
    /// `faulty/plugin.so`, compiled with these flags.
    fn new(flags: &[&str]) -> Self {
        let site = Self::empty();
        fs::create_dir(site.folder()).unwrap();
        compile(
            "tests/fixtures/plugins/faulty_library.c",
            flags,
            &site.library(),
        );
        site
    }

    fn empty() -> Self {
        built();
        let folder = tempfile::tempdir().unwrap();
        let options = Options {
            hardware_manager_directories: vec![folder.path().to_owned()],
            hardware_manager_step_timeout: 30,
            ..Options::default()
        };
        Self { folder, options }
    }

    fn folder(&self) -> PathBuf {
        self.folder.path().join("faulty")
    }

    fn library(&self) -> PathBuf {
        self.folder().join("plugin.so")
    }

    fn manager(&self) -> Arc<PluginManager> {
        let installed = Installed::start(&self.options, &devices());
        assert!(installed.refused().is_empty(), "{:?}", installed.refused());
        Arc::clone(&installed.running()[0])
    }

    /// Why the one plugin is refused. It must be told under its name, and with its file.
    fn refusal(&self) -> String {
        let installed = Installed::start(&self.options, &devices());
        assert!(installed.running().is_empty());
        let [refused] = installed.refused() else {
            panic!("{:?}", installed.refused())
        };
        assert!(
            refused.why.contains(&format!("/{}", refused.name)),
            "{refused:?}"
        );
        refused.why.clone()
    }

    /// Change the compiled library.
    fn patch(&self, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = fs::read(self.library()).unwrap();
        change(&mut bytes);
        fs::write(self.library(), bytes).unwrap();
    }
}

/// The error of a step that goes wrong; afterwards the manager works.
fn fault(manager: &PluginManager, step: &str) -> String {
    let error = execute(manager, step).unwrap_err();
    assert!(!error.declines(), "{error}");
    assert!(error.to_string().contains("faulty"), "{error}");
    assert_eq!(
        execute(manager, "polish").unwrap(),
        json!({ "polished": true }),
        "after {step}"
    );
    error.to_string()
}

#[test]
fn the_example_library_keeps_the_protocol() {
    let site = Site::empty();
    let library = site.folder.path().join("example.so");
    fs::copy(built().join("libfarrier_example_manager.so"), &library).unwrap();
    // A library is read, not executed.
    fs::set_permissions(&library, fs::Permissions::from_mode(0o644)).unwrap();
    for finding in check(&library) {
        assert_eq!(finding.fault, None, "{}", finding.what);
    }
    let manager = site.manager();
    assert_eq!(manager.class_name(), "ExampleHardwareManager");
    let watcher = Watcher::default();
    assert_eq!(
        execute_with(&manager, "example_polish", &watcher).unwrap(),
        json!({ "passes": 3, "disks": 1 })
    );
    assert_eq!(watcher.heard.lock().unwrap().len(), 3);
    let error = manager
        .execute_step(
            &SilentContext,
            "example_polish",
            &Node::default(),
            &[],
            &arguments(&json!({ "passes": 101 })),
        )
        .unwrap_err();
    assert!(error.to_string().contains("must be 1 to 100"), "{error}");
    assert!(execute(&manager, "unheard_of").unwrap_err().declines());
}

#[test]
fn the_c_example_keeps_the_protocol_as_c_and_as_cpp() {
    let example = "hardware_managers/example/example.c";
    for language in [
        &["-xc", "-std=c99"][..],
        &["-xc++", "-std=c++11", "-fvisibility=hidden"],
    ] {
        let site = Site::empty();
        let library = site.folder.path().join("example.so");
        run(Command::new("cc")
            .args([
                "-Wall",
                "-Wextra",
                "-Werror",
                "-pedantic",
                "-shared",
                "-fPIC",
                "-I",
            ])
            .arg(Path::new(TOP).join("hardware_managers/sdk/include"))
            .args(language)
            .arg(Path::new(TOP).join(example))
            .arg("-o")
            .arg(&library));
        for finding in check(&library) {
            assert_eq!(finding.fault, None, "{language:?} {}", finding.what);
        }
        let manager = site.manager();
        assert_eq!(manager.class_name(), "CExampleHardwareManager");
        let steps = manager.steps(StepKind::Clean, &Node::default(), &[]);
        assert_eq!(steps.unwrap()[0].step, "c_polish");
        let watcher = Watcher::default();
        assert_eq!(
            execute_with(&manager, "c_polish", &watcher).unwrap(),
            json!({ "polished": true })
        );
        assert_eq!(watcher.heard.lock().unwrap()[0].what, "polishing");
        watcher.cancelled.store(true, Ordering::Relaxed);
        let error = execute_with(&manager, "c_polish", &watcher).unwrap_err();
        assert!(error.to_string().contains("cancelled"), "{error}");
    }
}

#[test]
fn what_it_prints_corrupts_nothing() {
    // It prints at its load already.
    let manager = Site::new(&[]).manager();
    assert_eq!(execute(&manager, "print").unwrap(), json!("printed"));
    assert_eq!(execute(&manager, "close").unwrap(), json!("closed"));
    assert_eq!(
        execute(&manager, "polish").unwrap(),
        json!({ "polished": true })
    );
}

#[test]
fn it_has_the_stack_and_the_signals_of_a_c_program() {
    let manager = Site::new(&[]).manager();
    assert_eq!(execute(&manager, "large_frame").unwrap(), json!(true));
    assert_eq!(execute(&manager, "signals").unwrap(), json!("as in C"));
}

#[test]
fn a_child_that_it_leaves_has_none_of_our_pipes_and_dies_with_it() {
    let site = Site::new(&[]);
    let manager = site.manager();
    assert_eq!(execute(&manager, "leak").unwrap(), json!("leaked"));
    let child = fs::read_to_string(site.folder().join("child")).unwrap();
    let process = Path::new("/proc").join(child.trim());
    let until = Instant::now() + Duration::from_secs(60);
    // The shell names it before it has become `sleep`: its streams are still being laid.
    while fs::read_to_string(process.join("comm")).unwrap() != "sleep\n" {
        assert!(Instant::now() < until, "the shell's child does not start");
        std::thread::sleep(Duration::from_millis(10));
    }
    let link = |descriptor: u32| {
        fs::read_link(process.join("fd").join(descriptor.to_string()))
            .map(|target| target.to_string_lossy().into_owned())
            .unwrap_or_default()
    };
    assert_eq!(link(0), "/dev/null");
    let log = link(2);
    assert!(log.starts_with("pipe:"), "{log}");
    let pipes: Vec<_> = (0..64)
        .filter(|&number| link(number).starts_with("pipe:"))
        .collect();
    assert!(pipes.iter().all(|&number| link(number) == log), "{pipes:?}");
    drop(manager);
    let until = Instant::now() + Duration::from_secs(60);
    // A zombie, until somebody reaps it, has no descriptors.
    while process.join("fd/0").read_link().is_ok() {
        assert!(Instant::now() < until, "the child lives on");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_crash_in_a_step_names_plugin_and_signal() {
    let error = fault(&Site::new(&[]).manager(), "crash");
    assert!(
        error.contains("faulty was killed by signal SIGSEGV"),
        "{error}"
    );
}

#[test]
fn a_crash_at_its_load_is_told() {
    let why = Site::new(&["-DCRASH_AT_LOAD"]);
    let installed = Installed::start(&why.options, &devices());
    let why = &installed.refused()[0].why;
    assert!(
        why.contains("was killed by signal SIGABRT during handshake"),
        "{why}"
    );
}

#[test]
fn a_panic_in_a_rust_library_is_an_error_of_its_call() {
    let site = Site::empty();
    fs::create_dir(site.folder()).unwrap();
    let target = target().join("dynamic");
    run(Command::new(env!("CARGO"))
        .current_dir(TOP)
        .env("RUSTFLAGS", "-C target-feature=-crt-static")
        .args([
            "rustc",
            "--release",
            "--locked",
            "--quiet",
            "-p",
            "farrier-plugin-host",
        ])
        .args([
            "--example",
            "panicking",
            "--crate-type",
            "cdylib",
            "--target-dir",
        ])
        .arg(&target));
    fs::copy(
        target.join("x86_64-unknown-linux-gnu/release/examples/libpanicking.so"),
        site.library(),
    )
    .unwrap();
    let manager = site.manager();
    let error = fault(&manager, "panic");
    assert!(
        error.contains("panicked in execute_step: the card is on fire"),
        "{error}"
    );
}

/// Where cargo builds: this executable is in `TARGET/x86_64-unknown-linux-gnu/debug/deps`.
fn target() -> &'static Path {
    built().ancestors().nth(3).unwrap()
}

#[test]
fn answers_that_are_none_are_told() {
    let manager = Site::new(&[]).manager();
    for (step, why) in [
        ("no_json", "is not JSON"),
        ("latin_1", "is not JSON"),
        ("no_status", "returned 7"),
        ("no_reason", "without a failure"),
        ("nonsense", "not a JSON object"),
    ] {
        let error = fault(&manager, step);
        assert!(error.contains(why), "{step}: {error}");
    }
    assert_eq!(execute(&manager, "empty").unwrap(), Value::Null);
    assert!(execute(&manager, "unheard_of").unwrap_err().declines());
}

#[test]
fn it_asks_and_tells_the_agent() {
    let manager = Site::new(&[]).manager();
    assert_eq!(execute(&manager, "disks").unwrap()[0]["name"], "/dev/sda");
    let watcher = Watcher::default();
    execute_with(&manager, "progress", &watcher).unwrap();
    let heard = watcher.heard.lock().unwrap();
    assert_eq!((heard.len(), heard[0].done), (1, 1));
}

#[test]
fn it_hears_of_a_cancel() {
    let manager = Site::new(&[]).manager();
    let watcher = Watcher::default();
    let error = std::thread::scope(|scope| {
        let step = scope.spawn(|| execute_with(&manager, "until_cancelled", &watcher));
        // Somebody asks for it as soon as the call is on its way, and only then.
        while watcher.asked.load(Ordering::Relaxed) < 3 {
            assert!(!step.is_finished(), "it was not asked again and again");
            std::thread::sleep(Duration::from_millis(10));
        }
        watcher.cancelled.store(true, Ordering::Relaxed);
        step.join().unwrap().unwrap_err()
    });
    assert!(error.to_string().contains("it was cancelled"), "{error}");
}

#[test]
fn two_calls_run_at_once_where_it_takes_two() {
    let manager = Site::new(&["-DCONCURRENT=2"]).manager();
    let met: Vec<Result<Value, ManagerError>> = std::thread::scope(|scope| {
        let calls = [(); 2].map(|()| scope.spawn(|| execute(&manager, "meet")));
        calls.map(|call| call.join().unwrap()).into()
    });
    for met in met {
        assert_eq!(met.unwrap(), json!(true));
    }
}

#[test]
fn what_cannot_be_used_is_refused_by_name_and_reason() {
    for (flag, why) in [
        ("-DABI=2u", "version 2 of the plugin ABI"),
        ("-DSIZE=16", "16 bytes long"),
        ("-DCALL=NULL", "lacks the function call"),
        ("-DOBJECT=another_name", "no object farrier_plugin"),
        ("-DNOT_INTRODUCED", "the licence has expired"),
        (r#"-DINTRODUCTION="who, me?""#, "introduction"),
        (r#"-DINTRODUCTION="{}""#, "class_name"),
    ] {
        let refusal = Site::new(&[flag]).refusal();
        assert!(refusal.contains(why), "{flag}: {refusal}");
    }
}

#[test]
fn what_is_no_library_for_this_machine_is_refused_by_reason() {
    let site = Site::new(&[]);
    // e_machine: EM_AARCH64.
    site.patch(|bytes| bytes[18] = 183);
    let refusal = site.refusal();
    assert!(refusal.contains("aarch64"), "{refusal}");
    // e_type: ET_EXEC.
    site.patch(|bytes| (bytes[18], bytes[16]) = (62, 2));
    let refusal = site.refusal();
    assert!(refusal.contains("another kind of ELF file"), "{refusal}");
    site.patch(|bytes| bytes[0] = b'#');
    let refusal = site.refusal();
    assert!(refusal.contains("not an ELF file"), "{refusal}");
    site.patch(|bytes| {
        bytes[..20].copy_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0");
        bytes.truncate(40);
    });
    let refusal = site.refusal();
    assert!(refusal.contains("cannot be loaded"), "{refusal}");
}

/// A library that was linked on a system with a newer C library, and one whose own library was
/// forgotten.
#[test]
fn what_it_lacks_is_named() {
    let newer = tempfile::tempdir().unwrap();
    let newer_c = newer.path().join("libc.so.6");
    let script = newer.path().join("versions");
    let source = newer.path().join("tomorrow.c");
    fs::write(&source, "int of_tomorrow(void) { return 0; }\n").unwrap();
    fs::write(&script, "GLIBC_9.99 { of_tomorrow; };\n").unwrap();
    run(Command::new("cc")
        .args(["-shared", "-nostdlib", "-Wl,-soname,libc.so.6", "-o"])
        .arg(&newer_c)
        .arg(format!("-Wl,--version-script={}", script.display()))
        .arg(&source));
    let refusal = Site::new(&["-DNEWER_C", newer_c.to_str().unwrap()]).refusal();
    assert!(
        refusal.contains("needs glibc 9.99 or newer, and here is glibc 2."),
        "{refusal}"
    );

    let forgotten = newer.path().join("libacme.so");
    run(Command::new("cc")
        .args(["-shared", "-Wl,-soname,libacme.so.3", "-o"])
        .arg(&forgotten)
        .arg(&source));
    let refusal = Site::new(&["-DNEWER_C", forgotten.to_str().unwrap()]).refusal();
    assert!(refusal.contains("libacme.so.3"), "{refusal}");
    assert!(refusal.contains("$ORIGIN"), "{refusal}");

    let refusal = Site::new(&["-DNEWER_C"]).refusal();
    assert!(
        refusal.contains("undefined symbol: of_tomorrow"),
        "{refusal}"
    );
}

fn arguments(values: &Value) -> StepArguments {
    StepArguments {
        values: values.as_object().cloned().unwrap_or_default(),
        ..StepArguments::default()
    }
}
