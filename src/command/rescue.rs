//! Turning the ramdisk into a rescue system (contract/control-plane 6.8, 10.2).
//!
//! The agent's part is to write down the password's hash and never to come back; PID 1 makes the
//! user and starts the log-in service.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use farrier_plugin::{Context, ErrorKind, ManagerError};
use serde_json::Value;
use tracing::{info, warn};

use super::parameters::{Parameters, Signature, invalid};
use super::registry::{Definition, Mode, no_validation};
use super::{Environment, Signal, crypt};

/// The commands of this extension.
pub(super) const COMMANDS: &[Definition] = &[Definition {
    name: "finalize_rescue",
    mode: Mode::Sync,
    signature: Signature::of(&[], &["rescue_password", "hashed"]),
    validate: no_validation,
    run: |environment, _: &dyn Context, parameters| {
        finalize(environment, parameters, Path::new("/"))
    },
}];

/// Where the hash goes, below the root.
const PASSWORD_FILE: &str = "etc/ipa-rescue-config/ipa-rescue-password";

/// While this file is there, no agent serves (contract/control-plane 1.2, step 13).
const MARKER: &str = "etc/.rescued";

fn finalize(
    environment: &Environment,
    parameters: &Parameters,
    root: &Path,
) -> Result<Value, ManagerError> {
    let password = parameters.text("rescue_password")?;
    let hash = if parameters.flag("hashed")? {
        check_hash(&password)?;
        password.to_string()
    } else {
        if password.is_empty() {
            // The reference would open the machine to everybody.
            return Err(invalid("The rescue password is empty"));
        }
        crypt::sha256(password.as_bytes(), &crypt::random_salt())
    };
    write_hash(&root.join(PASSWORD_FILE), &hash).map_err(|error| {
        ManagerError::new(
            ErrorKind::CommandExecution,
            format!("The rescue password could not be written to /{PASSWORD_FILE}"),
        )
        .with_source(error)
    })?;
    if let Err(error) = fs::write(root.join(MARKER), "") {
        warn!(%error, "/{MARKER} could not be written; a restarted agent would serve again");
    }
    info!("the rescue password is set; the agent ends");
    environment.send(Signal::Rescued);
    Ok(Value::Null)
}

/// A hash becomes a field of /etc/shadow: what would end the field or the line is refused.
fn check_hash(hash: &str) -> Result<(), ManagerError> {
    let fits = hash.starts_with('$')
        && hash.len() <= 512
        && hash
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b':');
    if fits {
        return Ok(());
    }
    Err(invalid(
        "The hashed rescue password is not a crypt(5) hash of the form $id$…",
    ))
}

fn write_hash(path: &Path, hash: &str) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)?;
    }
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?
        .write_all(hash.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use serde_json::json;

    use super::*;
    use crate::command::fake;

    fn call(params: Value, root: &Path) -> (Result<Value, ManagerError>, Vec<Signal>) {
        let (environment, mut signals) = fake::environment(Vec::new(), root);
        let Value::Object(values) = params else {
            unreachable!()
        };
        let result = finalize(
            &environment,
            &Parameters::new(values, std::sync::Arc::default()),
            root,
        );
        (result, fake::drain(&mut signals))
    }

    #[test]
    fn the_hash_is_written_without_a_newline_and_for_root_only() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("etc")).unwrap();
        let (result, signals) = call(
            json!({"rescue_password": "$6$salt$hash", "hashed": true}),
            root.path(),
        );
        assert_eq!(result.unwrap(), Value::Null);
        let path = root.path().join(PASSWORD_FILE);
        assert_eq!(fs::read_to_string(&path).unwrap(), "$6$salt$hash");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert!(root.path().join(MARKER).exists());
        assert_eq!(signals, [Signal::Rescued]);
    }

    #[test]
    fn a_plain_password_is_hashed() {
        let root = tempfile::tempdir().unwrap();
        call(json!({"rescue_password": "open sesame"}), root.path())
            .0
            .unwrap();
        let hash = fs::read_to_string(root.path().join(PASSWORD_FILE)).unwrap();
        let salt = hash.split('$').nth(2).unwrap();
        assert_eq!(hash, crypt::sha256(b"open sesame", salt));
    }

    #[test]
    fn what_is_no_hash_is_refused_and_nothing_ends() {
        let root = tempfile::tempdir().unwrap();
        for password in ["", "plain", "$6$a$b:0:0:", "$6$a$b\nroot::0:0"] {
            let (result, signals) = call(
                json!({"rescue_password": password, "hashed": true}),
                root.path(),
            );
            assert_eq!(result.unwrap_err().kind(), ErrorKind::InvalidCommandParams);
            assert!(signals.is_empty());
        }
        let (result, _) = call(json!({}), root.path());
        assert_eq!(result.unwrap_err().kind(), ErrorKind::InvalidCommandParams);
        assert!(!root.path().join(PASSWORD_FILE).exists());
    }

    #[test]
    fn a_file_that_cannot_be_written_fails_the_command() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("etc"), "in the way").unwrap();
        let (result, signals) = call(
            json!({"rescue_password": "$6$salt$hash", "hashed": true}),
            root.path(),
        );
        assert_eq!(result.unwrap_err().kind(), ErrorKind::CommandExecution);
        assert!(signals.is_empty());
    }
}
