//! The configuration file: what belongs to one site.

mod check;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use sha2::{Digest, Sha256};

/// The file's name, in the folder of the program.
const FILE: &str = "onmetal.toml";

/// Stands for all SATADOM models in an expectation.
pub(crate) const SATADOM: &str = "@satadom";

/// What the file says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Configuration {
    /// The cards' tool, `ddoemcli`; like every path, relative to the file's folder or absolute.
    tool: PathBuf,
    #[serde(default = "Limits::format")]
    format_timeout_s: u64,
    #[serde(default = "Limits::firmware")]
    firmware_timeout_s: u64,
    #[serde(default = "Limits::command")]
    command_timeout_s: u64,
    #[serde(default = "Limits::settle")]
    settle_timeout_s: u64,
    #[serde(default)]
    wait_for_cards_s: u64,
    /// The models of flash cards.
    pub(crate) cards: Vec<CardModel>,
    /// The models of small boot disks that `@satadom` stands for.
    #[serde(default)]
    pub(crate) satadom_models: Vec<String>,
    #[serde(default = "Programs::smartctl")]
    smartctl: PathBuf,
    #[serde(default = "Programs::agent")]
    agent: PathBuf,
    /// What names a switch in its announcements.
    #[serde(default)]
    pub(crate) switch_identity: SwitchIdentity,
    /// What a node must consist of.
    #[serde(default)]
    pub(crate) expect: Vec<Expectation>,
    /// How the BIOS is updated and set up; without it there are no such steps.
    #[serde(default)]
    pub(crate) bios: Bios,
    #[serde(skip)]
    folder: PathBuf,
    #[serde(skip)]
    digest: String,
}

/// A model of flash card, with the firmware that it shall have.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CardModel {
    /// As disk and tool both name it.
    pub(crate) model: String,
    /// The package version that a card shall have at least; without it no card is flashed.
    pub(crate) firmware: Option<String>,
    /// Flashed before the package: the new flasher.
    pub(crate) preflash: Option<PathBuf>,
    /// The firmware package.
    pub(crate) package: Option<PathBuf>,
    #[serde(default)]
    sha256: Digests,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Digests {
    preflash: Option<String>,
    package: Option<String>,
}

/// A file with the digest that it must have.
#[derive(Debug)]
pub(crate) struct FirmwareFile {
    pub(crate) path: PathBuf,
    pub(crate) sha256: String,
}

/// What names a switch in its announcements.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SwitchIdentity {
    /// The chassis ID (TLV 1), which Ironic keeps as `switch_id`.
    #[default]
    ChassisId,
    /// The system name (TLV 5), which the 2015 module took for the chassis; `switch_info`.
    SystemName,
}

/// What a node must consist of, where the rule is about it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expectation {
    /// A trait of the node that makes this rule its own.
    #[serde(rename = "trait")]
    pub(crate) node_trait: Option<String>,
    /// Properties that all have to be these.
    #[serde(default)]
    pub(crate) property: BTreeMap<String, serde_json::Value>,
    /// How many disks of each model; `@satadom` is all SATADOM models together.
    #[serde(default)]
    pub(crate) models: BTreeMap<String, u32>,
    /// The BIOS's version.
    pub(crate) bios_version: Option<String>,
}

/// Programs for the BIOS.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bios {
    /// The program that flashes it, with its arguments; `{file}` is the image's path.
    #[serde(default)]
    pub(crate) update: Vec<String>,
    /// Seconds that one program may take.
    #[serde(default = "Limits::firmware")]
    timeout_s: u64,
    /// Sets of settings.
    #[serde(default)]
    pub(crate) profiles: Vec<Profile>,
}

/// A set of BIOS settings, and the programs that know it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    /// Small letters, digits and `_`: it becomes part of a step's name.
    pub(crate) name: String,
    /// The program that applies it, with its arguments.
    pub(crate) apply: Vec<String>,
    /// A program that ends with 0 where nothing needs to be changed, with 1 where it does.
    #[serde(default)]
    pub(crate) check: Vec<String>,
    /// Whether it needs a reboot to count.
    #[serde(default = "yes")]
    pub(crate) reboot: bool,
    /// The priority of a clean step of its own; 0 for none.
    #[serde(default)]
    pub(crate) priority: u32,
}

/// Why there is no usable configuration. Every text names the file, and the key where it is one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigurationError {
    /// It cannot be read.
    #[error(
        "The configuration file {} cannot be read; onmetal.example.toml shows what belongs in it",
        .path.display()
    )]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// It is not TOML, or has a key that is not known or of the wrong kind.
    #[error("The configuration file {} cannot be understood", .path.display())]
    Parse {
        path: PathBuf,
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A value cannot be.
    #[error("In the configuration file {}, \"{key}\" {what}", .path.display())]
    Value {
        path: PathBuf,
        key: String,
        what: String,
    },
}

impl Configuration {
    /// The configuration in this folder.
    pub(crate) fn in_folder(folder: &Path) -> Result<Self, ConfigurationError> {
        let path = folder.join(FILE);
        let text = fs::read_to_string(&path).map_err(|source| ConfigurationError::Read {
            path: path.clone(),
            source,
        })?;
        let mut configuration: Self =
            toml::from_str(&text).map_err(|source| ConfigurationError::Parse {
                path: path.clone(),
                source: Box::new(source),
            })?;
        configuration
            .check()
            .map_err(|(key, what)| ConfigurationError::Value { path, key, what })?;
        configuration.folder = folder.to_owned();
        configuration.digest = hexadecimal(&Sha256::digest(text.as_bytes())[..4]);
        Ok(configuration)
    }

    /// The first digits of the file's digest: what steps do depends on it, so it is part of the
    /// manager's version.
    pub(crate) fn digest(&self) -> &str {
        &self.digest
    }

    /// The card model of a disk.
    pub(crate) fn card(&self, model: &str) -> Option<&CardModel> {
        self.cards.iter().find(|card| card.model == model)
    }

    /// All card models.
    pub(crate) fn models(&self) -> Vec<&str> {
        self.cards.iter().map(|card| card.model.as_str()).collect()
    }

    /// A path of the file: relative ones start at its folder.
    pub(crate) fn path(&self, path: &Path) -> PathBuf {
        self.folder.join(path)
    }

    /// The cards' tool.
    pub(crate) fn tool(&self) -> PathBuf {
        self.path(&self.tool)
    }

    /// `smartctl`.
    pub(crate) fn smartctl(&self) -> PathBuf {
        self.path(&self.smartctl)
    }

    /// The agent, which listens to LLDP.
    pub(crate) fn agent(&self) -> PathBuf {
        self.path(&self.agent)
    }

    /// How long one format may take.
    pub(crate) fn format_timeout(&self) -> Duration {
        Duration::from_secs(self.format_timeout_s)
    }

    /// How long one flashing may take.
    pub(crate) fn firmware_timeout(&self) -> Duration {
        Duration::from_secs(self.firmware_timeout_s)
    }

    /// How long a question to a program may take.
    pub(crate) fn command_timeout(&self) -> Duration {
        Duration::from_secs(self.command_timeout_s)
    }

    /// How long a disk may be away after its card was formatted.
    pub(crate) fn settle_timeout(&self) -> Duration {
        Duration::from_secs(self.settle_timeout_s)
    }

    /// How long a card may take to appear after the boot, before the machine counts as one without.
    pub(crate) fn wait_for_cards(&self) -> Duration {
        Duration::from_secs(self.wait_for_cards_s)
    }

    /// How long a program for the BIOS may take.
    pub(crate) fn bios_timeout(&self) -> Duration {
        Duration::from_secs(self.bios.timeout_s)
    }
}

impl CardModel {
    /// The files to flash, in their order: preflash and package.
    pub(crate) fn files(&self) -> (Option<FirmwareFile>, Option<FirmwareFile>) {
        let file = |path: &Option<PathBuf>, sha256: &Option<String>| {
            Some(FirmwareFile {
                path: path.clone()?,
                sha256: sha256.clone()?.to_ascii_lowercase(),
            })
        };
        (
            file(&self.preflash, &self.sha256.preflash),
            file(&self.package, &self.sha256.package),
        )
    }
}

/// Why a program must not be run: others than root, or than whoever runs this, could have put it
/// there. `None` for one that may.
pub(crate) fn fault_of_program(path: &Path) -> Option<String> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => return Some(format!("{} cannot be used: {error}", path.display())),
    };
    let own = fs::metadata("/proc/self").map_or(0, |own| own.uid());
    let why = if !metadata.is_file() || metadata.mode() & 0o111 == 0 {
        "is no executable file"
    } else if metadata.mode() & 0o022 != 0 || ![0, own].contains(&metadata.uid()) {
        "could be changed by others than root"
    } else {
        return None;
    };
    Some(format!("{} {why}", path.display()))
}

/// Bytes as small hexadecimal digits.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Default for Bios {
    fn default() -> Self {
        Self {
            update: Vec::new(),
            timeout_s: Limits::firmware(),
            profiles: Vec::new(),
        }
    }
}

fn yes() -> bool {
    true
}

struct Limits;

impl Limits {
    fn format() -> u64 {
        7200
    }

    fn firmware() -> u64 {
        1800
    }

    fn command() -> u64 {
        60
    }

    fn settle() -> u64 {
        60
    }
}

struct Programs;

impl Programs {
    fn smartctl() -> PathBuf {
        "/usr/sbin/smartctl".into()
    }

    fn agent() -> PathBuf {
        "/usr/bin/farrier".into()
    }
}
