//! What lies on a disk beside the arrays that stay on it: found, overwritten, and proven.
//!
//! Of a member the kernel uses what its superblock says; all else of the disk but its partition table belongs to nobody,
//! and may be of any time before the array was made.

use std::ops::Range;

use farrier_plugin::Context;

use crate::block::exclusive::{self, NotOpened};
use crate::block::raid_superblock::{Footprint, Unknown};
use crate::block::table::Table;
use crate::erase::error::EraseError;
use crate::erase::medium::overwrite::{Passes, overwrite};
use crate::erase::medium::pieces::Pieces;
use crate::erase::proof::{Kept, Verification};
use crate::raid::{Array, Member, arrays};
use crate::sys::block_device::Medium;
use crate::sys::root::Root;

/// Bytes of the kernel's unit of places.
const SECTOR: u64 = 512;

/// Write over it, with the arrays running, and prove that it is gone and that nothing else is.
pub(super) fn erase_beside(
    root: &Root,
    device: &str,
    passes: Passes,
    context: &dyn Context,
) -> Result<Verification, EraseError> {
    if context.is_cancelled() {
        return Err(EraseError::Cancelled {
            device: device.to_owned(),
        });
    }
    let opened = exclusive::open_beside_holders(root, device, context);
    let disk = opened.map_err(|NotOpened { users, source }| EraseError::Open {
        device: device.to_owned(),
        users: match users.as_slice() {
            [] => String::new(),
            users => format!(" ({})", users.join(", ")),
        },
        source,
    })?;
    let kept = kept(root, device, &disk)?;
    let pieces = beside(&kept, disk.size(), u64::from(disk.logical_block_size()));
    let view = Pieces::of(&disk, &pieces);
    let verification =
        overwrite(&view, device, passes, context).map_err(|error| view.placed(error))?;
    // Had it been written over, or had an array begun to use the disk otherwise meanwhile, it would not be found again.
    if self::kept(root, device, &disk)? != kept {
        return Err(EraseError::ArraysChanged {
            device: device.to_owned(),
        });
    }
    Ok(verification.of_pieces(kept, |offset, length| view.places(offset, length)))
}

/// What stays of this disk: its table, and what the arrays on it use.
fn kept(root: &Root, device: &str, disk: &dyn Medium) -> Result<Vec<Kept>, EraseError> {
    let all = arrays(root).map_err(|error| not_known(device, &error.to_string()))?;
    let on_disk = |member: &Member| member.device == device || member.disk == device;
    let mut kept = Vec::new();
    let mut table = None;
    for array in &all {
        for member in array.members.iter().filter(|member| on_disk(member)) {
            demand_in_use(root, device, array, member)?;
            let place = if member.device == device {
                0..disk.size()
            } else {
                if table.is_none() {
                    table = Some(read_table(device, disk, &mut kept)?);
                }
                place_of(root, device, member, table.as_ref())?
            };
            let footprint = footprint(root, device, disk, array, member, &place)?;
            for (range, what) in [(footprint.data, "data"), (footprint.notes, "notes")] {
                kept.push(Kept {
                    place: place.start + range.start..place.start + range.end,
                    what: format!("{what} of {}", array.device),
                });
            }
        }
    }
    if kept.is_empty() {
        return Err(EraseError::ArraysChanged {
            device: device.to_owned(),
        });
    }
    kept.sort_by_key(|kept| kept.place.start);
    Ok(kept)
}

/// The table by which the arrays' members are found again.
fn read_table(device: &str, disk: &dyn Medium, kept: &mut Vec<Kept>) -> Result<Table, EraseError> {
    let table = Table::read(disk).map_err(|error| {
        not_known(
            device,
            &format!("its partition table is not understood: {error}"),
        )
    })?;
    kept.extend(table.places().into_iter().map(|place| Kept {
        place,
        what: "partition table".to_owned(),
    }));
    Ok(table)
}

/// Where the member's partition is, by the table on the disk, which the kernel has to agree with.
fn place_of(
    root: &Root,
    device: &str,
    member: &Member,
    table: Option<&Table>,
) -> Result<Range<u64>, EraseError> {
    let partitions = table.map(Table::partitions).unwrap_or_default();
    let partition = partitions
        .iter()
        .find(|partition| Some(partition.number) == member.partition);
    let kname = member.device.trim_start_matches("/dev/").replace('/', "!");
    let bytes = |name: &str| {
        let sectors = root.number(format!("/sys/class/block/{kname}/{name}"))?;
        sectors.checked_mul(SECTOR)
    };
    let agrees = |offset: u64, length: u64| {
        // A partition of a multipath map is a volume, and has no start.
        bytes("size") == Some(length) && bytes("start").is_none_or(|start| start == offset)
    };
    match partition {
        Some(found) if agrees(found.offset, found.length) => {
            Ok(found.offset..found.offset.saturating_add(found.length))
        }
        _ => Err(not_known(
            device,
            &format!("{} is not where its partition table has it", member.device),
        )),
    }
}

/// A member that is written by its array: what is in one that waits as a spare, or has failed, is not erased through
/// the array, and what is in an array that does not run is not either.
fn demand_in_use(
    root: &Root,
    device: &str,
    array: &Array,
    member: &Member,
) -> Result<(), EraseError> {
    if !array.is_active {
        return Err(EraseError::NotRunning {
            device: device.to_owned(),
            part: member.device.clone(),
            array: array.device.clone(),
        });
    }
    let directory = format!("/sys/block/{}/md", array.kname);
    let attribute = |name: &str| {
        root.attribute(format!("{directory}/{name}"))
            .unwrap_or_default()
    };
    let state = attribute(&format!("dev-{}/state", sysfs_name(member)));
    let is = |wanted: &str| state.split(',').any(|word| word == wanted);
    // One that is being filled gets all writes, as the others do; it has its slot by then, which others that wait have not.
    let slot = attribute(&format!("dev-{}/slot", sysfs_name(member)));
    let is_filled = attribute("sync_action") == "recover" && slot.parse::<u32>().is_ok();
    let waits = is("spare") && !is_filled;
    if is("faulty") || is("journal") || waits {
        return Err(not_known(
            device,
            &format!("{} is in {} as {state}", member.device, array.device),
        ));
    }
    Ok(())
}

/// What the array uses of a member, which the kernel has to agree with.
fn footprint(
    root: &Root,
    device: &str,
    disk: &dyn Medium,
    array: &Array,
    member: &Member,
    place: &Range<u64>,
) -> Result<Footprint, EraseError> {
    let unknown = |why: &str| not_known(device, &format!("{} {why}", member.device));
    let metadata = array
        .metadata
        .ok_or_else(|| unknown("is in an array without superblocks"))?;
    let size = place.end - place.start;
    let read = |offset: u64, length: usize| {
        let mut buffer = vec![0; length];
        let end = offset.checked_add(length as u64)?;
        (end <= size).then_some(())?;
        disk.read_at(place.start + offset, &mut buffer).ok()?;
        Some(buffer)
    };
    let found = Footprint::read(metadata, size, disk.logical_block_size(), &read)
        .map_err(|Unknown(why)| unknown(&why))?;
    let number = |name: &str| {
        let member = sysfs_name(member);
        root.number(format!("/sys/block/{}/md/dev-{member}/{name}", array.kname))
    };
    let start = number("offset").and_then(|sectors| sectors.checked_mul(SECTOR));
    if start.is_some_and(|start| start != found.data.start) {
        return Err(unknown(
            "has a superblock of which the kernel knows nothing",
        ));
    }
    Ok(found)
}

/// The name of a member in its array's directory.
fn sysfs_name(member: &Member) -> String {
    member.device.trim_start_matches("/dev/").replace('/', "!")
}

/// The rest of the disk in whole blocks, ascending; `kept` is in the order of its places.
fn beside(kept: &[Kept], size: u64, block: u64) -> Vec<Range<u64>> {
    let mut pieces = Vec::new();
    let mut next = 0;
    for Kept { place, .. } in kept {
        let start = place.start / block * block;
        if start > next {
            pieces.push(next..start);
        }
        next = next.max(place.end.next_multiple_of(block));
    }
    if next < size {
        pieces.push(next..size);
    }
    pieces
}

fn not_known(device: &str, reason: &str) -> EraseError {
    EraseError::BesideUnknown {
        device: device.to_owned(),
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests;
