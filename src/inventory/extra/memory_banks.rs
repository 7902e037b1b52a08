//! Facts of the memory: how much, and each module.

use super::fact::{Fact, Facts};
use crate::inventory::dmi::{MOST_STRUCTURES, memory_words};
use crate::inventory::{Smbios, Structure, memory};
use crate::sys::root::Root;

/// Structure types (DSP0134, 7).
const ARRAY: u8 = 16;
const DEVICE: u8 = 17;

const MIB: u64 = 1 << 20;

/// All memory, by the rule of the inventory.
pub(super) fn add_total(root: &Root, smbios: &Smbios, list: &mut Vec<Fact>) {
    let total = memory(root, Some(smbios))
        .physical_mb
        .filter(|size| *size > 0);
    Facts::of(list, "memory", "total").add("size", total.map(|size| (size * MIB).to_string()));
}

/// The banks (modules and empty slots) of main memory in the firmware's order.
///
/// The reference reports no bank at all where there is only one, since lshw does not number that.
pub(super) fn add_banks(smbios: &Smbios, list: &mut Vec<Fact>) {
    // Video memory, flash, non-volatile memory and caches.
    let others: Vec<u16> = smbios
        .structures()
        .filter(|array| array.kind == ARRAY && matches!(array.byte(0x05), Some(0x04..=0x07)))
        .map(|array| array.handle)
        .collect();
    let mut count = 0u32;
    for device in smbios.structures().take(MOST_STRUCTURES) {
        let is_other = |array: u16| others.contains(&array);
        if device.kind != DEVICE || device.word(0x04).is_some_and(is_other) {
            continue;
        }
        bank(&device, Facts::of(list, "memory", format!("bank:{count}")));
        count += 1;
    }
    if count > 0 {
        Facts::of(list, "memory", "banks").add("count", Some(count.to_string()));
    }
}

fn bank(device: &Structure<'_>, mut facts: Facts<'_>) {
    let size = device.memory_size();
    let speed = device.word(0x15).filter(|speed| *speed > 0);
    facts.add("size", size.map(|size| size.to_string()));
    // The reference's is the rest of a division by 2^32.
    let clock = speed.map(|speed| (u64::from(speed) * 1_000_000).to_string());
    facts.add("clock", clock);
    let mut description = memory_words(device);
    if let Some(speed) = speed {
        let nanoseconds = 1000.0 / f64::from(speed);
        description.push(format!("{speed} MHz ({nanoseconds:.1} ns)"));
    }
    if size.is_none() {
        description.push("[empty]".to_owned());
    }
    facts.add("description", Some(description.join(" ")));
    facts.add("vendor", device.string(0x17));
    facts.add("product", device.string(0x1a));
    facts.add("serial", device.string(0x18));
    facts.add("slot", device.string(0x10));
}
