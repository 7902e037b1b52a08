//! The executable's command line: what it says and how it ends.

use farrier::testing::sys::{Output, Program};

fn farrier(arguments: &[&str]) -> Output {
    arguments
        .iter()
        .fold(
            Program::new(env!("CARGO_BIN_EXE_farrier")),
            |program, argument| program.arg(*argument),
        )
        .output()
        .expect("the executable starts")
}

#[test]
fn version_and_help_are_told() {
    let version = farrier(&["--version"]);
    assert_eq!(version.status.code(), Some(0));
    assert!(version.stdout.contains("13.0.0+farrier."), "{version:?}");
    let help = farrier(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    for part in [
        "farrier inventory",
        "--api_url <VALUE>",
        "(kernel: ipa-api-url)",
    ] {
        assert!(help.stdout.contains(part), "{part} is not in {help:?}");
    }
}

/// The agent's child for a tenant's files takes orders from the agent alone.
#[test]
fn the_part_that_mounts_images_is_not_started_by_hand() {
    let folder = tempfile::tempdir().unwrap();
    let part = folder.path().join("farrier-image-tree");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_farrier"), &part).unwrap();
    let output = Program::new(part.display().to_string()).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stderr.contains("part of the agent"), "{output:?}");
}

#[test]
fn wrong_usage_ends_with_64() {
    for (arguments, shown) in [
        (&["nonsense"][..], "nonsense"),
        (&["run", "--api-url", "http://h"], "--api_url"),
        (&["--no-such-flag"], "--no-such-flag"),
        (&["inventory", "--xml"], "--xml"),
        (&["write", "--url", "/tmp/only-a-source"], "--device"),
        (
            &["write", "--url", "/tmp/a", "--device", "/tmp/b"],
            "--checksum",
        ),
        (
            &[
                "write",
                "--url=/tmp/a",
                "--device=/tmp/b",
                "--checksum",
                "crc32:00",
            ],
            "--checksum",
        ),
        (
            &["--agent_token=secret-token", "--no-such-flag"],
            "--no-such-flag",
        ),
        (&["--agent_token", "secret-token", "stray"], "stray"),
    ] {
        let output = farrier(arguments);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {output:?}");
        assert!(output.stderr.contains("--help"), "{output:?}");
        assert!(output.stderr.contains(shown), "{output:?}");
        assert!(!output.stderr.contains("secret-token"), "{output:?}");
    }
}

#[test]
fn a_bad_value_ends_with_78_and_is_named() {
    let output = farrier(&["run", "--listen_port=many", "--agent_token", "secret-token"]);
    assert_eq!(output.status.code(), Some(78), "{output:?}");
    assert_eq!(
        output.stderr,
        "farrier: The option listen_port cannot be \"many\" (from the flag --listen_port): it is a \
         whole number from 0 to 65535\n"
    );
}

#[test]
fn init_is_for_pid_1_only() {
    let output = farrier(&["init"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}
