//! The firmware's list of boot entries (UEFI specification 2.10, section 3.1): `Boot####` and their order.

use farrier_plugin::chain;
use tracing::{info, warn};

use super::boot_entry::{BootEntry, LoadOption};
use super::error::DeployError;
use crate::sys::efivars::{EfiError, EfiVariables, Variables};
use crate::sys::root::Root;

/// EFI_GLOBAL_VARIABLE.
const VENDOR: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";

const ORDER: &str = "BootOrder";
const NEXT: &str = "BootNext";

/// The list of this machine.
pub(super) struct BootEntries(Box<dyn Variables>);

/// An entry that is there.
struct Present {
    number: u16,
    value: Vec<u8>,
}

impl BootEntries {
    /// The list of the machine that was booted by UEFI.
    pub(super) fn open(root: &Root) -> Result<Self, DeployError> {
        Ok(Self(Box::new(EfiVariables::open(root, VENDOR)?)))
    }

    /// Make this entry the first that is booted, and remove all others of the same label: entries
    /// of earlier deployments of the same system, which may point to a disk that is gone.
    ///
    /// As with efibootmgr, the entry gets the lowest free number, and the order of the others
    /// stays. Unlike there, the old entries go when the firmware was seen to have the new one and to boot it
    /// first: memory that is full or locked costs nothing, and at no moment does the order lead to nothing.
    pub(super) fn put_first(&self, entry: &BootEntry) -> Result<u16, DeployError> {
        let value = entry.encode();
        let present = self.present()?;
        let (namesakes, others): (Vec<_>, Vec<_>) = present.into_iter().partition(|present| {
            LoadOption::parse(&present.value).is_some_and(|option| option.label == entry.label)
        });
        let kept = namesakes.iter().find(|namesake| namesake.value == value);
        let number = match kept {
            // What does not change costs nothing of a memory that wears out.
            Some(same) => same.number,
            None => self.add(&value, &namesakes, &others)?,
        };
        if self.0.read(&name(number))?.is_none() {
            return Err(DeployError::BootEntryLost { name: name(number) });
        }
        let before = self.order()?;
        let mut order = vec![number];
        order.extend(before.iter().copied().filter(|listed| {
            *listed != number && others.iter().any(|other| other.number == *listed)
        }));
        if let Err(error) = self.set_order(&order) {
            // An entry that is in no order boots nothing, and takes memory.
            if namesakes.iter().all(|namesake| namesake.number != number) {
                self.drop_entry(number);
            }
            return Err(error.into());
        }
        // Some firmware orders anew, but not back to what was.
        let now = self.order()?;
        if !now.contains(&number) || (now == before && now != order) {
            return Err(DeployError::BootEntryLost { name: name(number) });
        }
        for namesake in namesakes {
            if namesake.number != number {
                self.drop_entry(namesake.number);
            }
        }
        Ok(number)
    }

    /// Remove every entry whose device path matches, whether it is in the order or not. All are tried, whatever
    /// the firmware says of one.
    pub(super) fn remove_matching(
        &self,
        matches: impl Fn(&str) -> bool,
    ) -> Result<(), DeployError> {
        let mut removed = Vec::new();
        let mut failures = Vec::new();
        for number in self.numbers()? {
            let value = match self.0.read(&name(number)) {
                Ok(Some(value)) => value,
                Ok(None) => continue,
                Err(error) => {
                    failures.push(chain(&error));
                    continue;
                }
            };
            let Some(LoadOption { label, device_path }) = LoadOption::parse(&value) else {
                continue;
            };
            if !matches(&device_path) {
                continue;
            }
            match self.0.remove(&name(number)) {
                Ok(()) => {
                    info!(label, device_path, "boot entry {} removed", name(number));
                    removed.push(number);
                }
                Err(error) => failures.push(chain(&error)),
            }
        }
        // Last, though the order leads to nothing for a moment: a memory that is full takes no new order before
        // something was removed, and firmware passes over a number without an entry.
        if let Err(error) = self.forget(&removed) {
            failures.push(chain(&error));
        }
        if failures.is_empty() {
            return Ok(());
        }
        Err(DeployError::BootEntriesKept {
            removed: removed.len(),
            failures: failures.join("; "),
        })
    }

    /// Write a new entry under the lowest free number, or, where the memory has no room for one more, over one of
    /// its namesakes: firmware replaces a variable as a whole or not at all.
    fn add(
        &self,
        value: &[u8],
        namesakes: &[Present],
        others: &[Present],
    ) -> Result<u16, DeployError> {
        let number = (0..=u16::MAX)
            .find(|number| {
                namesakes
                    .iter()
                    .chain(others)
                    .all(|present| present.number != *number)
            })
            .ok_or(DeployError::BootEntriesFull)?;
        match (self.0.write(&name(number), value), namesakes.first()) {
            (Ok(()), _) => Ok(number),
            (Err(error), Some(namesake)) if error.is_full() => {
                let name = name(namesake.number);
                self.0.write(&name, value)?;
                // It may be kept in other words, but not in the old ones.
                if self.0.read(&name)?.as_ref() == Some(&namesake.value) {
                    return Err(DeployError::BootEntryLost { name });
                }
                Ok(namesake.number)
            }
            (Err(error), _) => Err(error.into()),
        }
    }

    /// Remove an entry that is in no order: if it stays, nothing boots it.
    fn drop_entry(&self, number: u16) {
        if let Err(error) = self.0.remove(&name(number)) {
            warn!(
                error = %chain(&error),
                "the boot entry {} stays, but is in no order",
                name(number)
            );
        }
    }

    /// Take entries that are gone out of the order, and out of what is to be booted next.
    fn forget(&self, removed: &[u16]) -> Result<(), EfiError> {
        let order = self.order()?;
        let left: Vec<u16> = order
            .iter()
            .copied()
            .filter(|number| !removed.contains(number))
            .collect();
        if left != order {
            self.set_order(&left)?;
        }
        // An entry that comes later may get that number.
        let next = numbers_in(&self.0.read(NEXT)?.unwrap_or_default());
        if next.iter().any(|number| removed.contains(number)) {
            self.0.remove(NEXT)?;
        }
        Ok(())
    }

    fn present(&self) -> Result<Vec<Present>, EfiError> {
        let mut present = Vec::new();
        for number in self.numbers()? {
            if let Some(value) = self.0.read(&name(number))? {
                present.push(Present { number, value });
            }
        }
        Ok(present)
    }

    /// The numbers of all `Boot####` variables.
    fn numbers(&self) -> Result<Vec<u16>, EfiError> {
        Ok(self
            .0
            .names()?
            .iter()
            .filter_map(|name| {
                let digits = name
                    .strip_prefix("Boot")
                    .filter(|digits| digits.len() == 4)?;
                u16::from_str_radix(digits, 16).ok()
            })
            .collect())
    }

    fn order(&self) -> Result<Vec<u16>, EfiError> {
        Ok(numbers_in(&self.0.read(ORDER)?.unwrap_or_default()))
    }

    /// An empty order is none: a variable without content cannot be.
    fn set_order(&self, order: &[u16]) -> Result<(), EfiError> {
        if order.is_empty() {
            return self.0.remove(ORDER);
        }
        let bytes: Vec<u8> = order
            .iter()
            .flat_map(|number| number.to_le_bytes())
            .collect();
        self.0.write(ORDER, &bytes)
    }
}

fn name(number: u16) -> String {
    format!("Boot{number:04X}")
}

fn numbers_in(value: &[u8]) -> Vec<u16> {
    value
        .chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .collect()
}

#[cfg(test)]
mod tests;
