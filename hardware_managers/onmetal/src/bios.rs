//! The steps that update the BIOS and set it up, with programs of the server's maker (contract 7).

use std::path::Path;

use farrier_plugin::{Context, ErrorKind, ManagerError, ProgramRequest, StepArguments};
use serde_json::{Value, json};

use crate::configuration::{Configuration, Profile, fault_of_program};
use crate::failures::{excerpt, failed};
use crate::firmware::sha256;
use crate::machine::Machine;
use crate::tool::{status, told};

/// Stands for the image's path in the configured command.
const FILE: &str = "{file}";

/// Flash the BIOS, unless it has the version already.
pub(crate) fn update(
    configuration: &Configuration,
    machine: &Machine,
    context: &dyn Context,
    arguments: &StepArguments,
) -> Result<Value, ManagerError> {
    let before = machine.bios_version();
    let wanted = text(arguments, "version")?;
    if wanted.is_some() && wanted == before {
        return Ok(json!({ "changed": false, "version": before }));
    }
    let command = &configuration.bios.update;
    let image = text(arguments, "url")?;
    let needs_image = command.iter().any(|word| word.contains(FILE));
    if needs_image != image.is_some() {
        return Err(failed(
            ErrorKind::InvalidCommandParams,
            if needs_image {
                "onmetal_update_bios needs \"url\", the BIOS image to flash"
            } else {
                "onmetal_update_bios takes no \"url\" here: the configured program brings its image"
            },
        ));
    }
    let path = match image {
        Some(url) => checked(configuration, &url, text(arguments, "checksum")?)?,
        None => String::new(),
    };
    let words: Vec<String> = command
        .iter()
        .map(|word| word.replace(FILE, &path))
        .collect();
    run(configuration, context, "flashing the BIOS", &words, &[0])?;
    Ok(json!({
        "changed": true, "version_before": before, "version_wanted": wanted,
        // The firmware's tables are those of the start: only the next one shows the version.
        "version_now": "known after the reboot",
    }))
}

/// Apply a set of settings, unless its check says that nothing needs to be changed.
pub(crate) fn apply(
    configuration: &Configuration,
    context: &dyn Context,
    profile: &Profile,
) -> Result<Value, ManagerError> {
    let what = |doing: &str| format!("{doing} the BIOS profile {}", profile.name);
    if !profile.check.is_empty()
        && run(
            configuration,
            context,
            &what("checking"),
            &profile.check,
            &[0, 1],
        )? == 0
    {
        return Ok(json!({ "profile": profile.name, "changed": false }));
    }
    run(
        configuration,
        context,
        &what("applying"),
        &profile.apply,
        &[0],
    )?;
    Ok(json!({ "profile": profile.name, "changed": true }))
}

/// The profile that a step's argument names.
pub(crate) fn profile<'c>(
    configuration: &'c Configuration,
    arguments: &StepArguments,
) -> Result<&'c Profile, ManagerError> {
    let name = text(arguments, "profile")?.unwrap_or_default();
    let profiles = &configuration.bios.profiles;
    profiles
        .iter()
        .find(|profile| profile.name == name)
        .ok_or_else(|| {
            let known: Vec<&str> = profiles.iter().map(|profile| &*profile.name).collect();
            failed(
                ErrorKind::InvalidCommandParams,
                format!("\"profile\" must be one of {known:?}, and is \"{name}\""),
            )
        })
}

/// The path of the image, whose content is what was promised. It has to be here already: the
/// protocol offers no download, and one by a program beside it would not keep the agent's rules
/// for certificates, proxies and credentials.
fn checked(
    configuration: &Configuration,
    url: &str,
    checksum: Option<String>,
) -> Result<String, ManagerError> {
    let wrong = |details: String| Err(failed(ErrorKind::InvalidCommandParams, details));
    let path = match url.split_once("://") {
        None => Path::new(url),
        Some(("file", path)) if path.starts_with('/') => Path::new(path),
        Some(_) => {
            return wrong(format!(
                "The BIOS image {url} is not on this server: this manager downloads nothing. Pack \
                 it beside the manager (make plugin-initrd) and name it by its file name, or by \
                 file:///path"
            ));
        }
    };
    let Some(wanted) = checksum.map(|sum| sum.to_ascii_lowercase()) else {
        return wrong("\"checksum\", the SHA-256 of the BIOS image, is missing".to_owned());
    };
    let path = configuration.path(path);
    let found = sha256(&path).map_err(|error| {
        failed(
            ErrorKind::InvalidCommandParams,
            format!("The BIOS image {} cannot be read", path.display()),
        )
        .with_source(error)
    })?;
    if found == wanted {
        return Ok(path.display().to_string());
    }
    wrong(format!(
        "The BIOS image {} is not the one that was promised: its SHA-256 is {found}, and should \
         be {wanted}",
        path.display()
    ))
}

/// The program's exit status, one of those that it may have.
fn run(
    configuration: &Configuration,
    context: &dyn Context,
    what: &str,
    words: &[String],
    statuses: &[i32],
) -> Result<i32, ManagerError> {
    let Some((program, arguments)) = words.split_first() else {
        // Both callers have one: steps without a program are not offered.
        return Err(failed(
            ErrorKind::HardwareManagerConfiguration,
            format!("No program is configured for {what}"),
        ));
    };
    let path = configuration.path(Path::new(program));
    if let Some(fault) = fault_of_program(&path) {
        return Err(failed(ErrorKind::HardwareManagerConfiguration, fault));
    }
    let request = ProgramRequest {
        arguments: arguments.to_vec(),
        ..ProgramRequest::new(path.display().to_string()).timeout(configuration.bios_timeout())
    };
    let output = told(context, what, || context.run_program(&request))?;
    match output.exit_code {
        Some(code) if statuses.contains(&code) => Ok(code),
        code => Err(failed(
            ErrorKind::CommandExecution,
            format!(
                "{} ended with {} when {what}, and said: {}",
                path.display(),
                status(code),
                excerpt(&format!("{} {}", output.stdout, output.stderr))
            ),
        )),
    }
}

/// An argument that is a text, or absent.
fn text(arguments: &StepArguments, name: &str) -> Result<Option<String>, ManagerError> {
    match arguments.values.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(other) => Err(failed(
            ErrorKind::InvalidCommandParams,
            format!("\"{name}\" must be a text, and is {other}"),
        )),
    }
}
