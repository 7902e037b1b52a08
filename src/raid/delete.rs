//! Taking all of a machine's software RAID apart (contract/data-plane 6.4).

mod deletion;
mod half_made;
mod machine;
mod survey;

use std::collections::BTreeSet;

use farrier_plugin::{Context, Progress, chain};
use tracing::{info, warn};

pub(crate) use self::deletion::Deletion;
use self::machine::{Machine, System, superblocks, wipe, with_surveyed};
use self::survey::{Found, Survey, key};
use super::error::RaidError;
use super::member_mark;
use crate::block::holders;
use crate::block::list::ListedDevice;
use crate::block::raid_superblock::RaidSuperblock;
use crate::block::raid_verdict::RaidVerdict;
use crate::block::stack::is_holder;
use crate::sys::block_device::Medium;
use crate::sys::root::Root;

/// How often it is tried: what lay hidden in an array that went shows in the second pass.
const PASSES: u32 = 2;

/// Stop every array that is not protected, remove the superblocks of its members, and blank the disks that it lay on;
/// remove superblocks that no array is made of any more, and blank disks that were partitioned for arrays only.
///
/// # Errors
/// [`RaidError::NotInRamdisk`] and [`RaidError::Skip`] with nothing touched, [`RaidError::NotDeleted`] with all that
/// remains and why, [`RaidError::DeletionCancelled`] in between; what was done until then stays done.
pub(crate) fn delete(
    root: &Root,
    deletion: &Deletion<'_>,
    context: &dyn Context,
) -> Result<(), RaidError> {
    delete_from(&System { root, context }, deletion, context)
}

fn delete_from(
    machine: &dyn Machine,
    deletion: &Deletion<'_>,
    context: &dyn Context,
) -> Result<(), RaidError> {
    if !deletion.may_destroy {
        return Err(RaidError::NotInRamdisk);
    }
    let mut pass = Pass {
        machine,
        context,
        blanks: BTreeSet::new(),
        failures: Vec::new(),
    };
    for _ in 0..PASSES {
        pass.failures.clear();
        machine.assemble();
        let survey = Survey::of(machine, deletion)?;
        survey.tell();
        pass.run(&survey)?;
        if pass.failures.is_empty() && remaining(&Survey::of(machine, deletion)?).is_empty() {
            break;
        }
    }
    let survey = Survey::of(machine, deletion)?;
    let remaining = remaining(&survey);
    let refused = survey.arrays.iter().filter_map(|found| {
        let refusal = found.refusal.as_ref()?;
        Some(format!("{}: {refusal}", found.called()))
    });
    let reasons: Vec<String> = refused.chain(pass.failures).collect();
    if remaining.is_empty() && reasons.is_empty() {
        return Ok(());
    }
    Err(RaidError::NotDeleted {
        remaining: remaining.join(", "),
        reasons: match reasons.as_slice() {
            [] => "they were there again after they had been removed".to_owned(),
            reasons => reasons.join("; "),
        },
    })
}

/// What should be gone by now, as it is called.
fn remaining(survey: &Survey) -> Vec<String> {
    let arrays = survey.arrays.iter();
    arrays
        .filter(|found| found.verdict == RaidVerdict::Delete)
        .map(Found::called)
        .chain(survey.half_made.iter().map(|disk| format!("/dev/{disk}")))
        .collect()
}

/// One time through all that there is.
struct Pass<'a> {
    machine: &'a dyn Machine,
    context: &'a dyn Context,
    /// Names of the disks that are to be blank: one that could not be made so is tried again, although no array is on
    /// it any more.
    blanks: BTreeSet<String>,
    failures: Vec<String>,
}

impl Pass<'_> {
    fn run(&mut self, survey: &Survey) -> Result<(), RaidError> {
        let total = survey.arrays.len() as u64;
        for (done, found) in survey.arrays.iter().enumerate() {
            self.context.report_progress(Progress {
                what: format!("taking {} apart", found.called()),
                done: done as u64,
                total: Some(total),
            });
            if found.verdict == RaidVerdict::Wipe && found.refusal.is_none() {
                self.wipe_contents(survey, found)?;
            }
            if found.is_to_go() {
                self.delete(survey, found)?;
            }
        }
        let names = |disks: &BTreeSet<String>| -> Vec<String> {
            let listed = disks.iter().filter_map(|kname| survey.device(kname));
            listed.map(|disk| disk.device.name.clone()).collect()
        };
        let to_go = survey.arrays.iter().filter(|found| found.is_to_go());
        let disks: BTreeSet<String> = to_go
            .flat_map(|found| names(&found.disks))
            .chain(names(&survey.half_made))
            .collect();
        self.blanks.extend(disks);
        for disk in self.blanks.clone() {
            if let Some(listed) = survey.stack().device(&disk) {
                self.blank(survey, listed)?;
            }
        }
        Ok(())
    }

    /// Before each change: a command that was cancelled changes nothing more.
    fn demand_wanted(&self) -> Result<(), RaidError> {
        match self.context.is_cancelled() {
            true => Err(RaidError::DeletionCancelled),
            false => Ok(()),
        }
    }

    fn fail(&mut self, what: impl Into<String>, why: &str) {
        let what = what.into();
        warn!(reason = why, "{what}");
        self.failures.push(format!("{what}: {why}"));
    }

    /// What is in an array goes while it runs: a new one at its place would show it again.
    fn wipe_contents(&mut self, survey: &Survey, found: &Found) -> Result<(), RaidError> {
        let devices = found
            .devices
            .iter()
            .filter_map(|kname| survey.device(kname));
        for device in devices.filter(|device| device.device.size > 0) {
            self.demand_wanted()?;
            let name = &device.device.name;
            let on_it = survey.stack().with_what_lies_on(device).into_iter();
            let on_it = on_it.filter(|other| is_holder(other) && other.kname != device.kname);
            self.machine
                .take_apart(survey.stack().top_first(on_it.collect()));
            self.demand_wanted()?;
            match wipe(self.machine, device) {
                Ok(()) => info!(device = name, "what is in the array is removed"),
                // An array without enough members cannot be written, and need not be where it goes.
                Err(why) if found.is_to_go() => {
                    warn!(
                        device = name,
                        reason = why,
                        "what is in the array could not be removed"
                    );
                }
                Err(why) => self.fail(format!("what is in {name} could not be removed"), &why),
            }
        }
        Ok(())
    }

    fn delete(&mut self, survey: &Survey, found: &Found) -> Result<(), RaidError> {
        self.wipe_contents(survey, found)?;
        self.demand_wanted()?;
        let arrays = found
            .devices
            .iter()
            .filter_map(|kname| survey.device(kname));
        let arrays: Vec<&ListedDevice> = arrays.collect();
        let lying = arrays
            .iter()
            .flat_map(|array| survey.stack().with_what_lies_on(array))
            .filter(|device| is_holder(device));
        let mut holders: Vec<&ListedDevice> = lying.collect();
        holders.sort_by(|one, other| one.kname.cmp(&other.kname));
        holders.dedup_by(|one, other| one.kname == other.kname);
        // A container goes after the volumes in it, which have as much beneath them.
        let mut holders = survey.stack().top_first(holders);
        holders.sort_by_key(|holder| holder.device.size == 0);
        self.machine.take_apart(holders);
        let root = self.machine.root();
        let stays = arrays.iter().find(|array| {
            let slaves = root.names(format!("/sys/block/{}/slaves", array.kname));
            !slaves.is_empty()
        });
        if let Some(array) = stays {
            let name = &array.device.name;
            let users = holders::of(root, name);
            let why = match users.as_slice() {
                [] => "the kernel's log, which is in the log archive, says why".to_owned(),
                users => users.join(", "),
            };
            self.fail(format!("{name} could not be stopped"), &why);
            return Ok(());
        }
        for member in &found.members {
            self.demand_wanted()?;
            if let Some(device) = survey.device(member) {
                self.forget(survey, device);
            }
        }
        Ok(())
    }

    /// Remove the superblocks of a member, but for those of arrays that stay.
    fn forget(&mut self, survey: &Survey, member: &ListedDevice) {
        let to_go: BTreeSet<&str> = survey
            .arrays
            .iter()
            .filter(|found| found.is_to_go())
            .map(|found| found.key.as_str())
            .collect();
        let name = &member.device.name;
        let outcome = with_surveyed(self.machine, member, &mut |medium| {
            remove(medium, &to_go, member.is_partition())
        });
        match outcome {
            Ok(()) => info!(device = name, "is no member of an array any more"),
            Err(why) => self.fail(
                format!("the superblock on {name} could not be removed"),
                &why,
            ),
        }
    }

    /// Remove table and signatures of a disk, unless something of an array is still on it.
    fn blank(&mut self, survey: &Survey, disk: &ListedDevice) -> Result<(), RaidError> {
        let name = &disk.device.name;
        let on_it = survey.stack().with_what_lies_on(disk);
        let stays = survey
            .arrays
            .iter()
            .find(|found| found.disks.contains(&disk.kname) && !found.is_to_go());
        if let Some(found) = stays {
            // Its partition is not reused while that one is there, and says nothing any more.
            info!(
                device = name,
                stays = found.called(),
                "the disk keeps its partitions, since another array on it stays"
            );
            self.blanks.remove(name);
            return Ok(());
        }
        let parts: Vec<&ListedDevice> = on_it
            .iter()
            .copied()
            .filter(|part| part.is_partition() && part.parents.contains(&disk.kname))
            .collect();
        let left = std::iter::once(&disk).chain(&parts);
        if left
            .flat_map(|device| superblocks(self.machine, device))
            .next()
            .is_some()
        {
            // Without the table they would not be found any more, and come up with the next one.
            self.fail(
                format!("{name} keeps its partitions"),
                "a superblock of an array is still on it",
            );
            return Ok(());
        }
        self.demand_wanted()?;
        // Volumes in other partitions, and partitions of a multipath map.
        let holders = on_it.iter().copied().filter(|other| is_holder(other));
        let (maps, others): (Vec<_>, Vec<_>) = holders.partition(|holder| holder.kind == "part");
        self.machine.take_apart(survey.stack().top_first(others));
        // The table goes first: partitions without their marks would be taken for somebody's after a power cut. Maps
        // of partitions keep it until they are gone.
        let is_free = maps.is_empty();
        if is_free && !self.wipe_table(disk)? {
            return Ok(());
        }
        let mut is_whole = true;
        for part in &parts {
            self.demand_wanted()?;
            if let Err(why) = wipe(self.machine, part) {
                is_whole = false;
                self.fail(
                    format!("the metadata of {} could not be removed", part.device.name),
                    &why,
                );
            }
        }
        if !is_whole {
            return Ok(());
        }
        self.machine.take_apart(maps);
        if !is_free && !self.wipe_table(disk)? {
            return Ok(());
        }
        self.machine.reread(name);
        info!(device = name, "the disk is blank");
        self.blanks.remove(name);
        Ok(())
    }

    /// Whether the metadata of a disk itself is gone now.
    fn wipe_table(&mut self, disk: &ListedDevice) -> Result<bool, RaidError> {
        self.demand_wanted()?;
        let outcome = wipe(self.machine, disk);
        if let Err(why) = &outcome {
            self.fail(
                format!(
                    "the partition table of {} could not be removed",
                    disk.device.name
                ),
                why,
            );
        }
        Ok(outcome.is_ok())
    }
}

/// Make zeros of the superblocks of these arrays and see that none of them is left.
///
/// A partition is marked before: should the power fail now, its disk is still known to be one to blank.
fn remove(medium: &dyn Medium, to_go: &BTreeSet<&str>, is_partition: bool) -> Result<(), String> {
    let find = || {
        let read = |offset, length| {
            let mut data = vec![0; length];
            medium.read_at(offset, &mut data).ok().map(|()| data)
        };
        RaidSuperblock::all(medium.size(), medium.logical_block_size(), &read)
            .into_iter()
            .partition(|superblock| to_go.contains(key(superblock).as_str()))
    };
    let (found, others): (Vec<_>, Vec<_>) = find();
    let mut done = 0;
    if is_partition && !found.is_empty() && others.is_empty() {
        done = member_mark::replace(medium).map_err(|error| chain(&error))?;
    }
    for superblock in found.iter().filter(|left| left.place.end > done) {
        let length = superblock.place.end - superblock.place.start;
        medium
            .zero_range(superblock.place.start, length)
            .map_err(|error| chain(&error))?;
    }
    if !found.is_empty() {
        medium.flush().map_err(|error| chain(&error))?;
    }
    match find().0.first() {
        None => Ok(()),
        Some(left) => Err(format!(
            "that of version {} at byte {} is still there after it was removed; replace the disk",
            left.metadata, left.place.start
        )),
    }
}

#[cfg(test)]
mod tests;
