//! What values of the configuration file can be, beyond their kind.

use std::collections::BTreeSet;

use super::{CardModel, Configuration, Expectation, SATADOM};
use crate::firmware::Version;

/// Longest time limit that the agent takes, in seconds: a day.
const LONGEST: u64 = 86_400;

/// Longest wait for cards, in seconds: the agent gives `evaluate_hardware_support` 60.
const LONGEST_WAIT: u64 = 45;

/// The key that is wrong, and what is wrong with it.
type Wrong = (String, String);

impl Configuration {
    pub(super) fn check(&self) -> Result<(), Wrong> {
        let wrong = |key: String, what: &str| Err((key, what.to_owned()));
        for (key, seconds) in [
            ("format_timeout_s", self.format_timeout_s),
            ("firmware_timeout_s", self.firmware_timeout_s),
            ("command_timeout_s", self.command_timeout_s),
            ("settle_timeout_s", self.settle_timeout_s),
            ("bios.timeout_s", self.bios.timeout_s),
        ] {
            if !(1..=LONGEST).contains(&seconds) {
                return wrong(
                    key.to_owned(),
                    &format!("must be 1 to {LONGEST} seconds, and is {seconds}"),
                );
            }
        }
        if self.wait_for_cards_s > LONGEST_WAIT {
            return wrong(
                "wait_for_cards_s".to_owned(),
                &format!(
                    "must be 0 to {LONGEST_WAIT} seconds, and is {}",
                    self.wait_for_cards_s
                ),
            );
        }
        if self.cards.is_empty() {
            return wrong("cards".to_owned(), "names no card");
        }
        let mut models = BTreeSet::new();
        for (index, card) in self.cards.iter().enumerate() {
            card.check()
                .map_err(|(key, what)| (format!("cards[{index}].{key}"), what))?;
            if !models.insert(&card.model) {
                return wrong(format!("cards[{index}].model"), "is there twice");
            }
        }
        for (index, rule) in self.expect.iter().enumerate() {
            rule.check(!self.satadom_models.is_empty())
                .map_err(|(key, what)| (format!("expect[{index}]{key}"), what))?;
        }
        let mut names = BTreeSet::new();
        for (index, profile) in self.bios.profiles.iter().enumerate() {
            let key = format!("bios.profiles[{index}]");
            let letters =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
            if profile.name.is_empty() || !profile.name.bytes().all(letters) {
                return wrong(
                    format!("{key}.name"),
                    "must be small letters, digits and \"_\"",
                );
            }
            if !names.insert(&profile.name) {
                return wrong(format!("{key}.name"), "is there twice");
            }
            if profile.apply.is_empty() {
                return wrong(format!("{key}.apply"), "names no program");
            }
        }
        Ok(())
    }
}

impl CardModel {
    fn check(&self) -> Result<(), Wrong> {
        let wrong = |key: &str, what: &str| Err((key.to_owned(), what.to_owned()));
        if self.model.trim().is_empty() || self.model.trim() != self.model {
            return wrong("model", "is empty, or begins or ends with a space");
        }
        if let Some(firmware) = &self.firmware {
            if Version::parse(firmware).is_none() {
                return wrong("firmware", "must be numbers with dots, as 12.22.00.00");
            }
            if self.package.is_none() {
                return wrong(
                    "package",
                    "is missing: \"firmware\" cannot be reached without it",
                );
            }
        }
        for (key, file, digest) in [
            ("preflash", &self.preflash, &self.sha256.preflash),
            ("package", &self.package, &self.sha256.package),
        ] {
            match (file, digest) {
                (Some(_), None) => {
                    return wrong(
                        &format!("sha256.{key}"),
                        "is missing: no file is flashed unchecked",
                    );
                }
                (None, Some(_)) => {
                    return wrong(&format!("sha256.{key}"), "is there without its file");
                }
                (Some(_), Some(digest)) if !is_sha256(digest) => {
                    return wrong(&format!("sha256.{key}"), "must be 64 hexadecimal digits");
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl Expectation {
    fn check(&self, has_satadoms: bool) -> Result<(), Wrong> {
        let wrong = |key: &str, what: &str| Err((key.to_owned(), what.to_owned()));
        if self.node_trait.is_none() && self.property.is_empty() {
            return wrong(
                "",
                "says neither \"trait\" nor \"property\", so it is about no node",
            );
        }
        if self.models.is_empty() && self.bios_version.is_none() {
            return wrong("", "expects nothing");
        }
        for model in self.models.keys() {
            if model.starts_with('@') && (model != SATADOM || !has_satadoms) {
                return wrong(
                    &format!(".models.{model}"),
                    "is no group of models; \"@satadom\" is one where \"satadom_models\" is given",
                );
            }
        }
        Ok(())
    }
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use std::error::Error;
    use std::fs;

    use crate::configuration::{Configuration, ConfigurationError, SwitchIdentity};

    fn read(text: &str) -> Result<Configuration, ConfigurationError> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("onmetal.toml"), text).unwrap();
        Configuration::in_folder(folder.path())
    }

    const LEAST: &str = "tool = 'ddoemcli'\n[[cards]]\nmodel = 'NWD-BLP4-1600'\n";

    #[test]
    fn the_example_file_is_a_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let example = include_str!("../../onmetal.example.toml");
        fs::write(folder.path().join("onmetal.toml"), example).unwrap();
        let configuration = Configuration::in_folder(folder.path()).unwrap();
        assert_eq!(configuration.models(), ["NWD-BLP4-1600"]);
        assert_eq!(configuration.satadom_models.len(), 4);
        assert_eq!(configuration.expect.len(), 3);
        assert_eq!(configuration.digest().len(), 8);
    }

    #[test]
    fn a_tool_and_a_card_are_enough() {
        let configuration = read(LEAST).unwrap();
        assert_eq!(configuration.format_timeout().as_secs(), 7200);
        assert_eq!(configuration.switch_identity, SwitchIdentity::ChassisId);
        assert!(configuration.tool().is_absolute() && configuration.tool().ends_with("ddoemcli"));
        assert!(configuration.card("NWD-BLP4-1600").is_some());
        assert!(configuration.card("NWD-BLP4-160").is_none());
    }

    #[test]
    fn a_missing_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = Configuration::in_folder(folder.path()).unwrap_err();
        assert!(error.to_string().contains("onmetal.toml"), "{error}");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_key() {
        let digest = "0".repeat(64);
        for (more, key) in [
            ("colour = 'red'".to_owned(), "colour"),
            (
                "firmware = '12.x'\npackage = 'p'".to_owned(),
                "cards[0].firmware",
            ),
            ("firmware = '12.1'".to_owned(), "cards[0].package"),
            ("package = 'p'".to_owned(), "cards[0].sha256.package"),
            (
                "preflash = 'p'\nsha256 = {preflash = 'abc'}".to_owned(),
                "cards[0].sha256.preflash",
            ),
            (
                format!("sha256 = {{package = '{digest}'}}"),
                "cards[0].sha256.package",
            ),
            (
                "[[cards]]\nmodel = 'NWD-BLP4-1600'".to_owned(),
                "cards[1].model",
            ),
            ("[[cards]]\nmodel = ' '".to_owned(), "cards[1].model"),
            ("[[expect]]\nmodels = {X = 1}".to_owned(), "expect[0]"),
            ("[[expect]]\ntrait = 'T'".to_owned(), "expect[0]"),
            (
                "[[expect]]\ntrait = 'T'\nmodels = {'@satadom' = 1}".to_owned(),
                "@satadom",
            ),
            ("[bios]\nupdates = []".to_owned(), "updates"),
            ("[bios]\ntimeout_s = 0".to_owned(), "bios.timeout_s"),
            (
                "[[bios.profiles]]\nname = 'A'\napply = ['a']".to_owned(),
                "bios.profiles[0].name",
            ),
            (
                "[[bios.profiles]]\nname = 'a'\napply = []".to_owned(),
                "bios.profiles[0].apply",
            ),
            ("model = 7".to_owned(), "model"),
            ("= 7".to_owned(), "onmetal.toml"),
        ] {
            let error = read(&format!("{LEAST}{more}")).unwrap_err();
            let cause = error.source().map(ToString::to_string).unwrap_or_default();
            let text = format!("{error}: {cause}");
            assert!(
                text.contains("onmetal.toml") && text.contains(key),
                "{more}: {text}"
            );
        }
        for text in ["", "tool = 'x'", "tool = 'x'\ncards = []"] {
            let error = read(text).unwrap_err();
            let cause = error.source().map(ToString::to_string).unwrap_or_default();
            assert!(
                format!("{error}: {cause}").contains("cards") || text.is_empty(),
                "{error}"
            );
        }
    }
}
