//! The agent's flags: every option of the group DEFAULT under its own name
//! (contract/control-plane 1.1).

use std::ffi::OsStr;
use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, Id, value_parser};

use super::Origin;
use super::options::{ENTRIES, Entry};

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

/// What a command line says to the agent.
#[derive(Clone, Default)]
pub(crate) struct Flags {
    /// Files and directories with configuration, in order.
    pub(super) files: Vec<Place>,
    /// Options with their values, in order.
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

/// What the page of the agent says after its flags.
const PRECEDENCE: &str = "\
The agent's flags beat the environment (FARRIER_<OPTION>), which beats configuration files
(/etc/ironic-python-agent.conf, /etc/farrier.conf, /etc/ironic-python-agent.d/*.conf), which beat
the kernel command line (kernel: the parameter). What takes no VALUE is a switch, and --no<SWITCH>
turns it off.";

impl Args for Flags {
    fn augment_args(command: Command) -> Command {
        let with_value = |name: &'static str, value: &'static str| {
            let arg = Arg::new(name).long(name).value_name(value);
            // A token may begin with a hyphen.
            arg.action(ArgAction::Append).allow_hyphen_values(true)
        };
        let switch = |name: &'static str| {
            let on = Arg::new(name).long(name).action(ArgAction::SetTrue);
            let name = format!("no{name}");
            let off = Arg::new(&name).long(name).action(ArgAction::SetTrue);
            [on, off.hide(true)]
        };
        let places = [
            with_value("config-file", "FILE")
                .value_parser(value_parser!(PathBuf))
                .help("Read this file in place of the default ones"),
            with_value("config-dir", "DIRECTORY")
                .value_parser(value_parser!(PathBuf))
                .help("Read this directory's *.conf in place of the default ones"),
        ];
        let options = with_flag().flat_map(|entry| {
            if entry.switch {
                let [on, off] = switch(entry.name);
                vec![on.help(entry.help()), off]
            } else {
                vec![with_value(entry.name, "VALUE").help(entry.help())]
            }
        });
        let log_switches = LOG_SWITCHES.into_iter().flat_map(switch);
        let log_values = LOG_VALUES.map(|name| with_value(name, "VALUE"));
        command
            .after_help(PRECEDENCE)
            .next_line_help(true)
            .args(places)
            .args(options)
            .args(log_switches.chain(log_values).map(|arg| arg.hide(true)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given =
            |name: &Id| matches.value_source(name.as_str()) == Some(ValueSource::CommandLine);
        let mut all: Vec<(usize, &str, &OsStr)> = Vec::new();
        for name in matches.ids().filter(|name| given(name)).map(Id::as_str) {
            let places = matches.indices_of(name).into_iter().flatten();
            let values = matches.get_raw(name).into_iter().flatten();
            all.extend(
                places
                    .zip(values)
                    .map(|(place, value)| (place, name, value)),
            );
        }
        // The last one of an option counts, and that of a switch's two flags.
        all.sort_unstable_by_key(|(place, ..)| *place);
        let mut flags = Self::default();
        for (_, name, value) in all {
            if name == "config-file" {
                flags.files.push(Place::File(value.into()));
            } else if name == "config-dir" {
                flags.files.push(Place::Directory(value.into()));
            } else if let Some((entry, fixed)) = option(name) {
                let value =
                    fixed.map_or_else(|| value.to_string_lossy().into_owned(), str::to_owned);
                let flag = format!("--{name}");
                flags.values.push((entry, value, Origin::Flag { flag }));
            } else {
                flags.without_effect.push(format!("--{name}"));
            }
        }
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
impl Flags {
    /// The flags of a command line without the program's name.
    pub(super) fn of<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self, clap::Error> {
        let command = Self::augment_args(Command::new("run").no_binary_name(true));
        let matches = command
            .args_override_self(true)
            .try_get_matches_from(words)?;
        Self::from_arg_matches(&matches)
    }
}

/// The options that a flag can set.
fn with_flag() -> impl Iterator<Item = &'static Entry> {
    ENTRIES.iter().filter(|entry| entry.group == "DEFAULT")
}

/// The option of this flag, with the value that the flag stands for where it takes none.
fn option(name: &str) -> Option<(&'static Entry, Option<&'static str>)> {
    with_flag().find_map(|entry| {
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

    fn parsed(line: &str) -> Result<Flags, clap::Error> {
        Flags::of(line.split_whitespace())
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
            "-- stray",
        ] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }
}
