//! The flags of `farrier erase`.

use std::path::PathBuf;

/// What is to be erased, and how.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Arguments {
    pub(super) devices: Vec<String>,
    pub(super) plan: bool,
    /// Whoever types this knows that the data is gone afterwards.
    pub(super) destroy_data: bool,
    pub(super) metadata: bool,
    pub(super) passes: u32,
    pub(super) no_zeros: bool,
    pub(super) wipe_special_filesystems: bool,
    pub(super) force: bool,
    pub(super) json: bool,
    pub(super) replay: Option<PathBuf>,
}

impl Arguments {
    pub(super) fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut parsed = Self {
            devices: Vec::new(),
            plan: false,
            destroy_data: false,
            metadata: false,
            passes: 1,
            no_zeros: false,
            wipe_special_filesystems: false,
            force: false,
            json: false,
            replay: None,
        };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let (name, value) = match argument.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
                _ => (argument.as_str(), None),
            };
            let switch = match name {
                "--plan" => &mut parsed.plan,
                "--destroy-data" => &mut parsed.destroy_data,
                "--metadata" => &mut parsed.metadata,
                "--no-zeros" => &mut parsed.no_zeros,
                "--wipe-special-filesystems" => &mut parsed.wipe_special_filesystems,
                "--force" => &mut parsed.force,
                "--json" => &mut parsed.json,
                "--passes" | "--replay" => {
                    let value = value
                        .or_else(|| rest.next().cloned())
                        .filter(|value| !value.is_empty())
                        .ok_or_else(|| format!("The flag {name} needs a value"))?;
                    if name == "--replay" {
                        parsed.replay = Some(value.into());
                    } else {
                        parsed.passes = value
                            .parse()
                            .map_err(|_| "The value of --passes is a whole number".to_owned())?;
                    }
                    continue;
                }
                _ if name.starts_with('-') => return Err(format!("The flag {name} is not known")),
                _ => {
                    parsed.devices.push(argument.clone());
                    continue;
                }
            };
            if value.is_some() {
                return Err(format!("The flag {name} takes no value"));
            }
            *switch = true;
        }
        parsed.check()?;
        Ok(parsed)
    }

    fn check(&self) -> Result<(), String> {
        if self.plan {
            if self.destroy_data {
                return Err("--plan touches nothing, --destroy-data does: give one".to_owned());
            }
            return Ok(());
        }
        if self.replay.is_some() {
            return Err("A recorded machine has no disks to erase; give --plan".to_owned());
        }
        if self.devices.is_empty() {
            return Err("farrier erase needs --plan, or the devices to erase".to_owned());
        }
        if !self.destroy_data {
            return Err(format!(
                "Everything on {} would be lost; where that is meant, give --destroy-data",
                self.devices.join(", ")
            ));
        }
        if self.passes == 0 && self.no_zeros && !self.metadata {
            return Err("--passes 0 with --no-zeros would overwrite nothing".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Arguments, String> {
        let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Arguments::parse(&arguments)
    }

    #[test]
    fn the_command_line_is_read() {
        let arguments = parsed(
            "/dev/sda --destroy-data --passes=3 --no-zeros --force --json /dev/disk/by-id/a=b",
        )
        .unwrap();
        assert_eq!(arguments.devices, ["/dev/sda", "/dev/disk/by-id/a=b"]);
        assert_eq!((arguments.passes, arguments.no_zeros), (3, true));
        assert!(arguments.force && arguments.json && !arguments.metadata);
        let arguments = parsed("--plan --replay tree").unwrap();
        assert_eq!(arguments.replay, Some("tree".into()));
        assert!(arguments.devices.is_empty());
    }

    #[test]
    fn a_wrong_command_line_is_refused() {
        for line in [
            "",
            "/dev/sda",
            "--destroy-data",
            "--destroy-data --plan",
            "--destroy-data /dev/sda --passes",
            "--destroy-data /dev/sda --passes many",
            "--destroy-data /dev/sda --passes 0 --no-zeros",
            "--destroy-data=no /dev/sda",
            "--destroy-data /dev/sda --replay tree",
            "--destroy-data /dev/sda --yes",
        ] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }
}
