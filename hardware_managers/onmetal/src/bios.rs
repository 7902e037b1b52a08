//! The steps that update the BIOS and set it up, with programs of the server's maker (contract/onmetal 7).

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
    // It would be killed in the middle: a plugin has ten seconds after a cancel.
    if context.is_cancelled() {
        return Err(failed(
            ErrorKind::CommandExecution,
            format!("{what} was not begun: the command was cancelled"),
        ));
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

#[cfg(test)]
mod tests {
    use std::fs;

    use farrier_plugin::{HardwareManager, StepKind};

    use super::*;
    use crate::stand_in::{Agent, Tree, node};
    use crate::steps::{APPLY_PROFILE, UPDATE_BIOS};

    const BIOS: &str = "\
        [bios]\nupdate = ['flash', '--image', '{file}']\n\
        [[bios.profiles]]\nname = 'decommission'\napply = ['set', 'a']\npriority = 80\n\
        [[bios.profiles]]\nname = 'customer'\napply = ['set', 'b']\ncheck = ['check']\n\
        reboot = false\n";

    fn machine(bios: &str) -> Tree {
        let tree = Tree::new();
        let text = fs::read_to_string(tree.path("plugin/onmetal.toml")).unwrap();
        fs::write(tree.path("plugin/onmetal.toml"), text + bios).unwrap();
        fs::create_dir_all(tree.path("sys/class/dmi/id")).unwrap();
        fs::write(tree.path("sys/class/dmi/id/bios_version"), "A13\n").unwrap();
        fs::write(tree.path("plugin/bios.bin"), "a BIOS").unwrap();
        for program in ["flash", "set", "check"] {
            tree.add_program(program, "echo \"${0##*/} $*\" >> \"${0%/*}/programs.log\"");
        }
        tree
    }

    fn run(tree: &Tree, step: &str, arguments: Value) -> Result<Value, ManagerError> {
        let arguments = StepArguments {
            values: serde_json::from_value(arguments).unwrap(),
            ..StepArguments::default()
        };
        tree.manager()
            .execute_step(&Agent::default(), step, &node(json!({})), &[], &arguments)
    }

    fn programs(tree: &Tree) -> String {
        let root = tree.path("").display().to_string();
        fs::read_to_string(tree.path("plugin/programs.log"))
            .unwrap_or_default()
            .replace(&root, "/")
    }

    fn digest(tree: &Tree) -> String {
        sha256(&tree.path("plugin/bios.bin")).unwrap()
    }

    #[test]
    fn an_image_that_lies_here_is_flashed() {
        for url in ["bios.bin", "file://"] {
            let tree = machine(BIOS);
            let url = match url {
                "file://" => format!("file://{}", tree.path("plugin/bios.bin").display()),
                name => name.to_owned(),
            };
            let sum = digest(&tree).to_uppercase();
            let arguments = json!({ "url": url, "checksum": sum, "version": "A14" });
            let result = run(&tree, UPDATE_BIOS, arguments).unwrap();
            assert_eq!(result["changed"], true);
            assert_eq!(result["version_before"], "A13");
            assert_eq!(programs(&tree), "flash --image /plugin/bios.bin\n");
        }
    }

    #[test]
    fn what_must_not_be_flashed_is_not() {
        let tree = machine(BIOS);
        let sum = digest(&tree);
        for (arguments, word) in [
            (
                json!({ "url": "https://x/bios.bin", "checksum": sum }),
                "downloads nothing",
            ),
            (json!({ "url": "bios.bin" }), "checksum"),
            (
                json!({ "url": "bios.bin", "checksum": "0".repeat(64) }),
                &*sum,
            ),
            (json!({ "url": "other.bin", "checksum": sum }), "other.bin"),
            (json!({ "checksum": sum }), "\"url\""),
            (json!({ "url": 7 }), "must be a text"),
        ] {
            let error = run(&tree, UPDATE_BIOS, arguments).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidCommandParams);
            assert!(
                error.chain().contains(word),
                "no {word:?}: {}",
                error.chain()
            );
        }
        let same = run(&tree, UPDATE_BIOS, json!({ "version": "A13" })).unwrap();
        assert_eq!(same["changed"], false);
        assert_eq!(programs(&tree), "");
    }

    #[test]
    fn a_program_that_fails_is_told_with_what_it_said() {
        let tree = machine(BIOS);
        tree.add_program("set", "echo 'no such setting'; exit 5");
        let error = run(&tree, APPLY_PROFILE, json!({ "profile": "decommission" })).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CommandExecution);
        assert!(error.to_string().contains("exit status 5"), "{error}");
        assert!(error.to_string().contains("no such setting"), "{error}");
        fs::remove_file(tree.path("plugin/set")).unwrap();
        let error = run(&tree, APPLY_PROFILE, json!({ "profile": "decommission" })).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::HardwareManagerConfiguration);
    }

    #[test]
    fn a_profile_is_applied_where_its_check_says_so() {
        let tree = machine(BIOS);
        let result = run(&tree, APPLY_PROFILE, json!({ "profile": "customer" })).unwrap();
        assert_eq!(result, json!({ "profile": "customer", "changed": false }));
        tree.add_program("check", "exit 1");
        let result = run(&tree, APPLY_PROFILE, json!({ "profile": "customer" })).unwrap();
        assert_eq!(result["changed"], true);
        tree.add_program("check", "exit 2");
        assert!(run(&tree, APPLY_PROFILE, json!({ "profile": "customer" })).is_err());
        run(&tree, "onmetal_apply_bios_profile_decommission", json!({})).unwrap();
        assert_eq!(programs(&tree), "check \nset b\nset a\n");
        let error = run(&tree, APPLY_PROFILE, json!({ "profile": "x" })).unwrap_err();
        assert!(error.to_string().contains("decommission"), "{error}");
    }

    #[test]
    fn steps_are_offered_where_they_are_configured() {
        let names = |bios: &str| -> Vec<(String, i64, bool)> {
            machine(bios)
                .manager()
                .steps(StepKind::Clean, &node(json!({})), &[])
                .unwrap()
                .into_iter()
                .filter(|step| step.step.contains("bios"))
                .map(|step| (step.step, step.priority, step.reboot_requested))
                .collect()
        };
        assert_eq!(names(""), []);
        assert_eq!(
            names(BIOS),
            [
                (UPDATE_BIOS.to_owned(), 0, true),
                (APPLY_PROFILE.to_owned(), 0, true),
                (
                    "onmetal_apply_bios_profile_decommission".to_owned(),
                    80,
                    true
                ),
            ]
        );
        let tree = machine("");
        assert!(run(&tree, UPDATE_BIOS, json!({})).unwrap_err().declines());
    }
}
