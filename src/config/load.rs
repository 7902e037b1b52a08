//! Options from all their sources, in order of precedence.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use url::Url;

use super::flags::{Flags, Place};
use super::options::{ENTRIES, Entry};
use super::{ConfigError, KernelParameters, Options, Origin, Secret, ini, names};

/// Read where no `--config-file` is given: the first of each line that exists.
const FILES: [&[&str]; 2] = [
    &[
        "~/ironic-python-agent.conf",
        "/etc/ironic-python-agent.conf",
    ],
    &["/etc/farrier.conf"],
];

/// Read where no `--config-dir` is given: the first of each line that exists.
const DIRECTORIES: [&[&str]; 2] = [
    &[
        "~/ironic-python-agent.conf.d",
        "/etc/ironic-python-agent.conf.d",
    ],
    // The reference's service unit names this one.
    &["/etc/ironic-python-agent.d"],
];

/// Where values come from, lowest precedence first.
#[derive(Clone, Default)]
pub(crate) struct Sources {
    /// Parameters of the kernel's command line, with those of virtual media merged over them.
    pub parameters: KernelParameters,
    /// What the paths of configuration files start from; `/` but for tests.
    pub root: PathBuf,
    /// The environment, of which `FARRIER_<OPTION>` and `HOME` count.
    pub environment: Vec<(String, String)>,
    /// The command line's.
    pub flags: Flags,
}

/// Without what they hold: the token among it.
impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources")
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

impl Sources {
    /// These parameters of this boot and this machine's environment, with these flags.
    pub(crate) fn of_machine(parameters: KernelParameters, root: &Path, flags: Flags) -> Self {
        Self {
            parameters,
            root: root.to_owned(),
            environment: std::env::vars_os()
                .filter_map(|(name, value)| {
                    Some((name.into_string().ok()?, value.into_string().ok()?))
                })
                .collect(),
            flags,
        }
    }
}

/// Options, and what should be said about them once there is a log.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    /// The options in force.
    pub options: Options,
    /// Files that were read.
    pub files: Vec<PathBuf>,
    /// What is odd but no error.
    pub warnings: Vec<String>,
    /// Every value that any source gives to an option with a secret value, also one that another
    /// source overrides: the kernel's log shows its command line all the same.
    pub secrets: Vec<Secret>,
}

/// Find out the options (contract/control-plane 1.2 to 1.4): defaults, kernel parameters,
/// configuration files, environment, flags; each beats those before it. Only `ipa-debug` beats a
/// configuration file.
///
/// All values that cannot be used are reported at once.
pub(crate) fn load(sources: &Sources) -> Result<Loaded, Vec<ConfigError>> {
    let mut loading = Loading::default();
    for (entry, value, origin) in kernel_values(&sources.parameters) {
        loading.set(entry, value, origin);
    }
    for path in files(sources, &mut loading.errors) {
        loading.read(&path);
    }
    for (name, value) in &sources.environment {
        if let Some(entry) = ENTRIES.iter().find(|entry| entry.variable() == *name) {
            let name = name.clone();
            loading.set(entry, value, Origin::Environment { name });
        }
    }
    let debug_by_kernel =
        kernel_values(&sources.parameters).find(|(entry, ..)| entry.name == "debug");
    if let Some((entry, value, origin)) = debug_by_kernel {
        loading.set(entry, value, origin);
    }
    for (entry, value, origin) in &sources.flags.values {
        loading.set(entry, value, origin.clone());
    }
    loading.options.boot_interface = sources.parameters.boot_interface().map(str::to_owned);
    for flag in &sources.flags.without_effect {
        loading.warnings.push(format!(
            "the flag {flag} has no effect: the log goes to the console and into the log archive"
        ));
    }
    if loading.errors.is_empty() {
        Ok(Loaded {
            options: loading.options,
            files: loading.files,
            warnings: loading.warnings,
            secrets: loading.secrets,
        })
    } else {
        Err(loading.errors)
    }
}

/// Passwords in the URLs of an option that is no secret by itself.
fn passwords(value: &str) -> impl Iterator<Item = Secret> {
    value.split(',').filter_map(|part| {
        let url = Url::parse(part.trim()).ok()?;
        url.password().map(Secret::from)
    })
}

#[derive(Default)]
struct Loading {
    options: Options,
    files: Vec<PathBuf>,
    warnings: Vec<String>,
    secrets: Vec<Secret>,
    errors: Vec<ConfigError>,
}

impl Loading {
    fn set(&mut self, entry: &Entry, value: &str, origin: Origin) {
        if entry.secret {
            self.secrets.push(value.into());
        } else {
            self.secrets.extend(passwords(value));
        }
        if let Err(reason) = (entry.set)(&mut self.options, value) {
            let value = if entry.secret { "***" } else { value };
            self.errors.push(ConfigError::Value {
                option: entry.full_name(),
                value: value.to_owned(),
                origin,
                reason,
            });
        }
    }

    fn read(&mut self, path: &Path) {
        let text = match fs::read(path) {
            // Editors of Windows put the mark there; it would be part of the first line.
            Ok(bytes) => {
                String::from_utf8_lossy(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes))
                    .into_owned()
            }
            Err(source) => {
                self.errors.push(ConfigError::Read {
                    path: path.to_owned(),
                    source,
                });
                return;
            }
        };
        let assignments = match ini::parse(path, &text) {
            Ok(assignments) => assignments,
            Err(error) => {
                self.errors.push(error);
                return;
            }
        };
        self.files.push(path.to_owned());
        for assignment in assignments {
            let origin = Origin::File {
                path: path.to_owned(),
                line: assignment.line,
            };
            match names::in_file(&assignment.group, &assignment.name) {
                Some(entry) => self.set(entry, &assignment.value, origin),
                None => self.warnings.push(format!(
                    "[{}] {} in {origin} is no option of this agent",
                    assignment.group, assignment.name
                )),
            }
        }
    }
}

fn kernel_values(
    parameters: &KernelParameters,
) -> impl Iterator<Item = (&'static Entry, &str, Origin)> {
    ENTRIES.iter().filter_map(|entry| {
        let key = entry.kernel?;
        let value = parameters.value(key)?;
        let key = key.to_owned();
        Some((entry, value, Origin::Kernel { key }))
    })
}

/// The configuration files to read, in order. A default that does not exist is left out; a place
/// that was named and cannot be read is an error.
fn files(sources: &Sources, errors: &mut Vec<ConfigError>) -> Vec<PathBuf> {
    let named = &sources.flags.files;
    let is_file = |place: &Place| matches!(place, Place::File(_));
    let mut files = Vec::new();
    if !named.iter().any(is_file) {
        files.extend(existing(sources, &FILES));
    }
    if named.iter().all(is_file) {
        for directory in existing(sources, &DIRECTORIES) {
            files.extend(in_directory(&directory).unwrap_or_default());
        }
    }
    for place in named {
        match place {
            Place::File(path) => files.push(under(&sources.root, path)),
            Place::Directory(path) => {
                let path = under(&sources.root, path);
                match in_directory(&path) {
                    Ok(found) => files.extend(found),
                    Err(source) => errors.push(ConfigError::Read { path, source }),
                }
            }
        }
    }
    files
}

fn existing(sources: &Sources, places: &[&[&str]]) -> Vec<PathBuf> {
    let home = sources
        .environment
        .iter()
        .find(|(name, _)| name == "HOME")
        .map(|(_, home)| home.as_str());
    places
        .iter()
        .filter_map(|alternatives| {
            alternatives
                .iter()
                .filter_map(|path| match path.strip_prefix("~/") {
                    Some(rest) => Some(Path::new(home?).join(rest)),
                    None => Some(PathBuf::from(path)),
                })
                .map(|path| under(&sources.root, &path))
                .find(|path| path.exists())
        })
        .collect()
}

/// The `*.conf` files of a directory in sorted order.
fn in_directory(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found: Vec<PathBuf> = fs::read_dir(directory)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "conf")
                && path.is_file()
        })
        .collect();
    found.sort();
    Ok(found)
}

fn under(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Machine {
        root: tempfile::TempDir,
        sources: Sources,
    }

    impl Machine {
        fn new(line: &str) -> Self {
            let root = tempfile::tempdir().unwrap();
            let sources = Sources {
                parameters: KernelParameters::parse(line),
                root: root.path().to_owned(),
                environment: vec![("HOME".to_owned(), "/root".to_owned())],
                flags: Flags::default(),
            };
            Self { root, sources }
        }

        fn file(&self, path: &str, text: &str) {
            let path = self.root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn environment(&mut self, name: &str, value: &str) {
            self.sources
                .environment
                .push((name.to_owned(), value.to_owned()));
        }

        fn flags(&mut self, line: &str) {
            self.sources.flags = Flags::of(line.split_whitespace()).unwrap();
        }

        fn options(&self) -> Options {
            load(&self.sources).unwrap().options
        }
    }

    #[test]
    fn each_source_beats_those_before_it() {
        let mut machine = Machine::new("ipa-listen-port=1 BOOTIF=01-aa-bb-cc-dd-ee-ff");
        assert_eq!(machine.options().listen_port, 1);
        assert_eq!(
            machine.options().boot_interface.as_deref(),
            Some("01-aa-bb-cc-dd-ee-ff")
        );
        machine.file(
            "etc/ironic-python-agent.conf",
            "[DEFAULT]\nlisten_port = 2\n",
        );
        assert_eq!(machine.options().listen_port, 2);
        machine.file("root/ironic-python-agent.conf", "listen_port = 3\n");
        assert_eq!(machine.options().listen_port, 3);
        machine.file("etc/farrier.conf", "listen_port = 4\n");
        assert_eq!(machine.options().listen_port, 4);
        machine.file("etc/ironic-python-agent.conf.d/b.conf", "listen_port = 6\n");
        machine.file("etc/ironic-python-agent.conf.d/a.conf", "listen_port = 5\n");
        machine.file("etc/ironic-python-agent.conf.d/c.txt", "listen_port = 0\n");
        assert_eq!(machine.options().listen_port, 6);
        machine.file("etc/ironic-python-agent.d/a.conf", "listen_port = 7\n");
        assert_eq!(machine.options().listen_port, 7);
        machine.environment("FARRIER_LISTEN_PORT", "8");
        assert_eq!(machine.options().listen_port, 8);
        machine.flags("--listen_port 9");
        assert_eq!(machine.options().listen_port, 9);
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_a_file() {
        let machine = Machine::new("");
        machine.file("etc/farrier.conf", "\u{feff}listen_port = 2\n");
        assert_eq!(machine.options().listen_port, 2);
    }

    #[test]
    fn named_places_replace_the_defaults() {
        let mut machine = Machine::new("");
        machine.file("etc/ironic-python-agent.conf", "listen_port = 2\n");
        machine.file("etc/ironic-python-agent.d/a.conf", "advertise_port = 2\n");
        machine.file("x/one.conf", "lookup_timeout = 3\n");
        machine.flags("--config-dir /x");
        let options = machine.options();
        assert_eq!((options.listen_port, options.advertise_port), (2, 9999));
        assert_eq!(options.lookup_timeout, 3);
        machine.flags("--config-file /x/one.conf");
        let options = machine.options();
        assert_eq!((options.listen_port, options.advertise_port), (9999, 2));
        machine.flags("--config-dir /missing");
        assert!(matches!(
            load(&machine.sources).unwrap_err()[..],
            [ConfigError::Read { .. }]
        ));
    }

    #[test]
    fn the_kernel_decides_about_debug() {
        let mut machine = Machine::new("ipa-debug=1");
        machine.file("etc/ironic-python-agent.conf", "debug = false\n");
        assert!(machine.options().debug);
        machine.flags("--nodebug");
        assert!(!machine.options().debug);
    }

    #[test]
    fn all_bad_values_are_named_and_secrets_are_not_shown() {
        let mut machine = Machine::new("ipa-listen-port=x ipa-insecure=maybe");
        machine.file(
            "etc/farrier.conf",
            "[disk_utils]\nefi_system_partition_size = big\n",
        );
        machine.environment("FARRIER_LOOKUP_TIMEOUT", "-1");
        machine.flags("--tls_min_version=1.1");
        let messages: Vec<String> = load(&machine.sources)
            .unwrap_err()
            .iter()
            .map(ToString::to_string)
            .collect();
        let path = machine.root.path().join("etc/farrier.conf");
        assert_eq!(
            messages,
            [
                "The option listen_port cannot be \"x\" (from the kernel parameter \
                 ipa-listen-port): it is a whole number from 0 to 65535",
                "The option insecure cannot be \"maybe\" (from the kernel parameter \
                 ipa-insecure): it is true, 1, yes or on, or false, 0, no or off",
                &format!(
                    "The option [disk_utils] efi_system_partition_size cannot be \"big\" (from {} \
                     line 2): it is a whole number from 1 to 4294967295",
                    path.display()
                ),
                "The option lookup_timeout cannot be \"-1\" (from the environment variable \
                 FARRIER_LOOKUP_TIMEOUT): it is a whole number from 0 to 4294967295",
                "The option tls_min_version cannot be \"1.1\" (from the flag --tls_min_version): \
                 it is 1.2 or 1.3",
            ]
        );
    }

    #[test]
    fn every_secret_of_every_source_is_known_and_shown_by_nothing() {
        for entry in ENTRIES.iter().filter(|entry| entry.secret) {
            let value = |source: &str| format!("https://u:{source}\"x@h/{}", entry.name);
            let line = entry
                .kernel
                .map_or_else(String::new, |key| format!("{key}={}", value("kernel")));
            let mut machine = Machine::new(&line);
            machine.file(
                "etc/farrier.conf",
                &format!("{} = {}\n", entry.name, value("file")),
            );
            machine.environment(&entry.variable(), &value("environment"));
            let flag = [format!("--{}", entry.name), value("flag")];
            machine.sources.flags = Flags::of(flag.iter().map(String::as_str)).unwrap();
            let loaded = load(&machine.sources).unwrap();
            let sources = ["kernel", "file", "environment", "flag"];
            let given = sources
                .into_iter()
                .skip(usize::from(entry.kernel.is_none()));
            let expected: Vec<Secret> = given.map(|source| value(source).into()).collect();
            assert_eq!(loaded.secrets, expected, "{}", entry.name);
            let dump = format!("{:?}{:#?}", loaded, loaded.options);
            assert!(dump.contains("***"), "{}", entry.name);
            for source in sources {
                assert!(!dump.contains(&format!("u:{source}")), "{dump}");
            }
            assert!(
                names::secret_names().any(|name| entry.variable().to_lowercase().contains(&name)),
                "{}",
                entry.name
            );
        }
    }

    #[test]
    fn a_password_in_any_url_is_a_secret() {
        let machine = Machine::new(
            "ipa-api-url=http://a:6385,http://me:pw-one@b:6385 \
             ipa-inspection-callback-url=https://me:pw-two@c/v1/continue_inspection",
        );
        let secrets = load(&machine.sources).unwrap().secrets;
        assert_eq!(secrets, ["pw-one".into(), "pw-two".into()]);
        let dump = format!("{:?}", machine.sources);
        assert!(!dump.contains("pw-"), "{dump}");
    }

    #[test]
    fn unknown_options_are_told_and_deprecated_ones_work() {
        let machine = Machine::new("");
        machine.file(
            "etc/ironic-python-agent.conf",
            "[ssl]\ncert_file = /a\nkey_file = /b\n[DEFAULT]\nwhatever = 1\n",
        );
        let loaded = load(&machine.sources).unwrap();
        assert_eq!(loaded.options.tls_cert_file, Some("/a".into()));
        assert_eq!(loaded.options.tls_key_file, Some("/b".into()));
        assert_eq!(loaded.warnings.len(), 1, "{:?}", loaded.warnings);
    }

    #[test]
    fn the_conductors_own_file_for_its_ca_works() {
        let machine = Machine::new("");
        machine.file(
            "etc/ironic-python-agent.d/ironic-tls.conf",
            "[DEFAULT]\ncafile = /etc/ironic-python-agent/ironic.crt\n",
        );
        assert_eq!(
            machine.options().cafile,
            Some("/etc/ironic-python-agent/ironic.crt".into())
        );
    }
}
