//! Turning the ramdisk into a rescue system (contract/control-plane 6.8, 10.2).
//!
//! This ramdisk has no login service, so the command never succeeds: a password that nothing reads
//! would leave an operator with a rescue system that lets nobody in.

use farrier_plugin::{Context, ErrorKind, ManagerError};
use serde_json::Value;

use super::definition::{Definition, Mode, no_validation};
use super::environment::Environment;
use super::parameters::{Parameters, Signature, invalid};

/// The command that Ironic answers a refusal of with the password in plain text: where hashed
/// passwords are not required, any status from 400 on makes it send the command again so. Its
/// errors are therefore results, see [`super::CommandTable::issue`].
pub(super) const FINALIZE: &str = "finalize_rescue";

/// The commands of this extension.
pub(super) const COMMANDS: &[Definition] = &[Definition {
    name: FINALIZE,
    mode: Mode::Sync,
    signature: Signature::of(&[], &["rescue_password", "hashed"]),
    validate: no_validation,
    run: finalize,
}];

/// Parts of a crypt(5) hash between its dollar signs: id, perhaps parameters, salt, hash.
const FEWEST_PARTS: usize = 3;

/// The longest hash that is taken, in bytes; crypt(5) knows none above 384.
const LONGEST_HASH: usize = 512;

fn finalize(
    _: &Environment,
    _: &dyn Context,
    parameters: &Parameters,
) -> Result<Value, ManagerError> {
    let password = parameters.text("rescue_password")?;
    if parameters.flag("hashed")? {
        check_hash(&password)?;
    } else if password.is_empty() {
        // The reference would open the machine to everybody.
        return Err(invalid("The rescue password is empty"));
    }
    Err(ManagerError::new(
        ErrorKind::CommandExecution,
        "This ramdisk has no login service yet, so it cannot become a rescue system and nothing \
         was done with the password; rescue the node with another rescue_ramdisk",
    ))
}

/// A hash becomes a field of /etc/shadow: what would end the field or the line is refused, and so
/// is what no password can have as its hash.
fn check_hash(hash: &str) -> Result<(), ManagerError> {
    let fits = hash.len() <= LONGEST_HASH
        && hash
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b':')
        && hash.strip_prefix('$').is_some_and(|parts| {
            let parts: Vec<&str> = parts.split('$').collect();
            parts.len() >= FEWEST_PARTS && parts.iter().all(|part| !part.is_empty())
        });
    if fits {
        return Ok(());
    }
    Err(invalid(
        "The hashed rescue password is not a crypt(5) hash of the form $id$salt$hash",
    ))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use farrier_plugin::SilentContext;
    use serde_json::json;

    use super::*;
    use crate::command::fake;

    fn error_of(params: Value) -> ManagerError {
        let state = tempfile::tempdir().unwrap();
        let (environment, mut signals) = fake::environment(Vec::new(), state.path());
        let Value::Object(values) = params else {
            unreachable!()
        };
        let parameters = Parameters::new(values, Arc::default());
        let error = finalize(&environment, &SilentContext, &parameters).unwrap_err();
        assert!(fake::drain(&mut signals).is_empty());
        error
    }

    #[test]
    fn a_rescue_system_without_logins_is_no_success() {
        for params in [
            json!({"rescue_password": "$6$salt$hash", "hashed": true}),
            json!({"rescue_password": "$6$rounds=5000$salt$hash", "hashed": true}),
            json!({"rescue_password": "open sesame"}),
            json!({"rescue_password": "open sesame", "hashed": false}),
        ] {
            let error = error_of(params);
            assert_eq!(error.kind(), ErrorKind::CommandExecution);
            assert!(error.to_string().contains("no login service"), "{error}");
            assert!(!error.to_string().contains("sesame"), "{error}");
        }
    }

    #[test]
    fn what_is_no_hash_is_refused_by_name() {
        for password in [
            "",
            "$",
            "$$",
            "$$$",
            "$6",
            "$6$",
            "$6$salt",
            "$6$salt$",
            "$6$$hash",
            "plain",
            "6$salt$hash",
            "$6$a$b:0:0:",
            "$6$a$b\nroot::0:0",
        ] {
            let error = error_of(json!({"rescue_password": password, "hashed": true}));
            assert_eq!(error.kind(), ErrorKind::InvalidCommandParams);
            assert!(
                error.to_string().contains("crypt(5)"),
                "{password}: {error}"
            );
        }
        let long = format!("$6$salt${}", "h".repeat(LONGEST_HASH));
        let error = error_of(json!({"rescue_password": long, "hashed": true}));
        assert!(error.to_string().contains("crypt(5)"), "{error}");
        let error = error_of(json!({}));
        assert_eq!(error.kind(), ErrorKind::InvalidCommandParams);
    }
}
