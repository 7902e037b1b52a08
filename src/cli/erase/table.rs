//! The plan as a table.

use std::fmt::Display;

use serde_json::{Value, json};

use crate::erase::{self, Category, Foreseen};
use crate::sys::printable;

/// One device, for a program.
pub(super) fn to_json(row: &Foreseen) -> Value {
    json!({
        "device": erase::identity(&row.plan.device, row.plan.storage),
        "plan": row.plan.to_json(),
        "not_erased": row.not_erased,
        "taken_apart": row.taken_apart,
    })
}

/// For each device a line, and below it the methods in their order with the reasons.
pub(super) fn for_person(rows: &[Foreseen]) -> String {
    let mut text = String::new();
    if rows.is_empty() {
        text.push_str("This machine has no disks.\n");
    }
    for row in rows {
        let device = &row.plan.device;
        add(
            &mut text,
            format_args!(
                "{:<14} {:>12} {:<22} {}, serial {}",
                device.name,
                size(device.size),
                row.plan.storage.word(),
                device.model.as_deref().unwrap_or("-"),
                device.serial.as_deref().unwrap_or("-"),
            ),
        );
        if let Some(reason) = &row.not_erased {
            add(&mut text, format_args!("    protected: {reason}"));
        }
        if !row.taken_apart.is_empty() {
            let names = row.taken_apart.join(", ");
            add(
                &mut text,
                format_args!("    first: {names} on it is taken apart"),
            );
        }
        for (index, planned) in row.plan.methods.iter().enumerate() {
            let (category, section) = Category::reached(&planned.method, row.plan.storage);
            let section = section.map_or_else(String::new, |section| {
                format!(" (NIST SP 800-88 Rev. 1, {section})")
            });
            add(
                &mut text,
                format_args!(
                    "    {}. {}; touches the {}; {}{section}",
                    index + 1,
                    planned.method,
                    planned.scope.word(),
                    category.word(),
                ),
            );
            add(&mut text, format_args!("       {}", planned.reason));
            if planned.covers.len() > 1 {
                let all = planned.covers.join(", ");
                add(&mut text, format_args!("       erases all of {all}"));
            }
        }
        for left_out in &row.plan.left_out {
            add(
                &mut text,
                format_args!("    -  {}: {}", left_out.method, left_out.reason),
            );
        }
    }
    text
}

/// One more line, which a disk's model or serial number cannot end.
fn add(text: &mut String, line: impl Display) {
    text.push_str(&printable::line(&line.to_string()));
    text.push('\n');
}

/// In decimal units, as disks are sold.
fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    let mut unit = "B";
    for next in ["kB", "MB", "GB", "TB", "PB"] {
        if value < 1000.0 {
            break;
        }
        value /= 1000.0;
        unit = next;
    }
    format!("{value:.1} {unit}")
}

#[cfg(test)]
mod tests {
    use farrier_plugin::{BlockDevice, Node};

    use super::*;
    use crate::erase::{EraseFlags, Plan};
    use crate::sys::root::Root;

    #[test]
    fn a_person_sees_method_worth_and_reason() {
        let device = BlockDevice {
            name: "/dev/sda".to_owned(),
            model: Some("Disk 9000".to_owned()),
            size: 480_103_981_056,
            rotational: true,
            tran: Some("sata".to_owned()),
            ..BlockDevice::default()
        };
        let flags = EraseFlags::from_node(&Node::default()).unwrap();
        let rows = [
            Foreseen {
                plan: Plan::for_device(&Root::at("/nonexistent"), &device, &flags, &|_| true)
                    .unwrap(),
                not_erased: None,
                taken_apart: Vec::new(),
            },
            Foreseen {
                plan: Plan::none(&device),
                not_erased: Some("it is mounted".to_owned()),
                taken_apart: Vec::new(),
            },
        ];
        assert_eq!(
            for_person(&rows),
            "\
/dev/sda           480.1 GB magnetic disk          Disk 9000, serial -
    1. overwrite with 1 pass(es) of random data and one of zeros; touches the device; clear \
(NIST SP 800-88 Rev. 1, A, table A-5)
       overwriting works on every device that can be written
/dev/sda           480.1 GB magnetic disk          Disk 9000, serial -
    protected: it is mounted
"
        );
        assert_eq!(to_json(&rows[1])["not_erased"], "it is mounted");
    }
}
