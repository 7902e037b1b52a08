//! The agent's flags: every option of the group DEFAULT under its own name
//! (contract/control-plane 1.1).

use std::fmt::Write as _;
use std::path::PathBuf;

use super::options::{ENTRIES, Entry};
use super::{ConfigError, Origin};

/// Flags of the reference's logging library; where the log goes is not theirs to say here.
const LOG_SWITCHES: [&str; 7] = [
    "watch-log-file",
    "use-syslog",
    "use-journal",
    "use-json",
    "use-stderr",
    "log-color",
    "use-eventlog",
];

/// The same, with a value.
const LOG_VALUES: [&str; 6] = [
    "log-file",
    "log-dir",
    "logdir",
    "logfile",
    "log-config-append",
    "log-date-format",
];

/// What a command line says.
#[derive(Default)]
pub(super) struct Flags {
    /// Files and directories with configuration, in order.
    pub(super) files: Vec<Place>,
    /// Options with their values.
    pub(super) values: Vec<(&'static Entry, String, Origin)>,
    /// Flags that are accepted and do nothing.
    pub(super) without_effect: Vec<String>,
}

/// Where configuration lies.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Place {
    /// `--config-dir`.
    Directory(PathBuf),
    /// `--config-file`.
    File(PathBuf),
}

/// Read a command line, without the program's name and the sub-command.
pub(super) fn parse(arguments: &[String]) -> Result<Flags, ConfigError> {
    let mut flags = Flags::default();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let Some(long) = argument.strip_prefix("--").filter(|long| !long.is_empty()) else {
            return Err(ConfigError::Usage(format!(
                "The argument {argument:?} is not known"
            )));
        };
        let (name, inline) = match long.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (long, None),
        };
        let mut value = || {
            inline
                .clone()
                .or_else(|| rest.next().cloned())
                .ok_or_else(|| ConfigError::Usage(format!("The flag --{name} needs a value")))
        };
        if name == "config-file" {
            flags.files.push(Place::File(value()?.into()));
        } else if name == "config-dir" {
            flags.files.push(Place::Directory(value()?.into()));
        } else if LOG_VALUES.contains(&name) {
            value()?;
            flags.without_effect.push(format!("--{name}"));
        } else if LOG_SWITCHES
            .iter()
            .any(|switch| *switch == name || name == format!("no{switch}"))
        {
            flags.without_effect.push(format!("--{name}"));
        } else {
            let (entry, fixed) = option(name)
                .ok_or_else(|| ConfigError::Usage(format!("The flag --{name} is not known")))?;
            let value = match (fixed, &inline) {
                (Some(_), Some(_)) => {
                    return Err(ConfigError::Usage(format!(
                        "The flag --{name} takes no value"
                    )));
                }
                (Some(fixed), None) => fixed.to_owned(),
                (None, _) => value()?,
            };
            let origin = Origin::Flag {
                flag: format!("--{name}"),
            };
            flags.values.push((entry, value, origin));
        }
    }
    Ok(flags)
}

/// The flags as `--help` lists them.
pub(crate) fn help() -> String {
    let mut text = "  --config-file FILE      read this file in place of the default ones\n  \
                    --config-dir DIRECTORY  read this directory's *.conf in place of the default \
                    ones\n"
        .to_owned();
    for entry in ENTRIES.iter().filter(|entry| entry.group == "DEFAULT") {
        let value = if entry.switch { "" } else { " VALUE" };
        let no = if entry.switch {
            format!(", --no{}", entry.name)
        } else {
            String::new()
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  --{}{no}{value}  {}", entry.name, entry.help());
    }
    text
}

/// The option of this flag, with the value that the flag stands for where it takes none.
fn option(name: &str) -> Option<(&'static Entry, Option<&'static str>)> {
    ENTRIES
        .iter()
        .filter(|entry| entry.group == "DEFAULT")
        .find_map(|entry| {
            if entry.name == name {
                Some((entry, entry.switch.then_some("true")))
            } else if entry.switch && name.strip_prefix("no") == Some(entry.name) {
                Some((entry, Some("false")))
            } else {
                None
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Flags, ConfigError> {
        let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse(&arguments)
    }

    #[test]
    fn flags_are_spelled_as_the_reference_spells_them() {
        let flags = parsed(
            "--config-dir /etc/x --api_url http://h:1 --listen_port=1 --debug --noinsecure \
             --noguard-special-filesystems --config-file=/y --log-file /dev/null",
        )
        .unwrap();
        assert_eq!(
            flags.files,
            [Place::Directory("/etc/x".into()), Place::File("/y".into())]
        );
        let values: Vec<_> = flags
            .values
            .iter()
            .map(|(entry, value, _)| (entry.name, value.as_str()))
            .collect();
        assert_eq!(
            values,
            [
                ("api_url", "http://h:1"),
                ("listen_port", "1"),
                ("debug", "true"),
                ("insecure", "false"),
                ("guard-special-filesystems", "false"),
            ]
        );
        assert_eq!(flags.without_effect, ["--log-file"]);
    }

    #[test]
    fn wrong_usage_is_named() {
        for line in [
            "--api-url x",
            "--api_url",
            "--debug=1",
            "stray",
            "--efi_system_partition_size 1",
            "--",
        ] {
            assert!(matches!(parsed(line), Err(ConfigError::Usage(_))), "{line}");
        }
    }
}
