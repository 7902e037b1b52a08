//! Steps in lines for a person.

use std::collections::BTreeMap;
use std::fmt::Display;

use farrier_plugin::Step;

use crate::sys::printable;

/// Steps by the class name of their manager.
pub(super) type Steps = BTreeMap<String, Vec<Step>>;

/// In the order in which the conductor would run them: by priority.
pub(super) fn draw(text: &mut String, steps: &Steps) {
    let mut all: Vec<(&str, &Step)> = steps
        .iter()
        .flat_map(|(class, steps)| steps.iter().map(move |step| (class.as_str(), step)))
        .collect();
    all.sort_by_key(|(_, step)| (std::cmp::Reverse(step.priority), &step.step));
    for (class, step) in all {
        let mut remarks = String::new();
        if step.reboot_requested {
            remarks.push_str(", then a reboot");
        }
        if step.abortable == Some(true) {
            remarks.push_str(", abortable");
        }
        add(
            text,
            format_args!(
                "    {:>4}  {:<28} {:<8} {class}{remarks}",
                step.priority, step.step, step.interface
            ),
        );
        for (name, argument) in step.argsinfo.iter().flatten() {
            let optional = if argument.required { "" } else { " (optional)" };
            add(
                text,
                format_args!("              {name}{optional}: {}", argument.description),
            );
        }
    }
}

/// One more line, which nothing that a plugin says can end.
pub(super) fn add(text: &mut String, line: impl Display) {
    text.push_str(&printable::line(&line.to_string()));
    text.push('\n');
}
