//! How much memory the results of commands may take together.
//!
//! The conductor reads the result of a command when that ends, and looks at the last command of the
//! list afterwards. So the newest results are kept, and of older ones how long they were.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::omission::length;
use super::outcome::Command;

/// A result of so many bytes of JSON is small: a command of its own takes as much.
const SMALL: usize = 512;

/// What results that are not small may take together, in bytes of JSON. The newest is kept whatever
/// its length; a log archive has some MiB.
const ALL: usize = 16 * 1024 * 1024;

/// The results that are kept in full.
#[derive(Default)]
pub(super) struct Results(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    /// Oldest first, with the length of its result.
    commands: VecDeque<(Arc<Command>, usize)>,
    bytes: usize,
}

impl Results {
    /// A command has ended. Its result is kept, and what is too much of older ones forgotten.
    pub(super) fn keep(&self, command: &Arc<Command>) {
        let Some(outcome) = command.outcome() else {
            return;
        };
        let length = length(&outcome.result);
        if length <= SMALL {
            return;
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.commands.push_back((Arc::clone(command), length));
        kept.bytes += length;
        while kept.bytes > ALL
            && kept.commands.len() > 1
            && let Some((oldest, length)) = kept.commands.pop_front()
        {
            kept.bytes -= length;
            oldest.forget_result(SMALL);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::command::outcome::Outcome;

    fn ended(length: usize) -> Arc<Command> {
        let result = json!("x".repeat(length));
        let outcome = Outcome::succeeded(result);
        Arc::new(Command::over(Uuid::new_v4(), "execute_clean_step", outcome))
    }

    fn length_of(command: &Command) -> usize {
        command.outcome().unwrap().result.as_str().unwrap().len()
    }

    #[test]
    fn the_newest_are_kept_and_the_newest_always() {
        let results = Results::default();
        let small = ended(SMALL / 2);
        let many: Vec<_> = (0..40).map(|_| ended(1 << 20)).collect();
        results.keep(&small);
        many.iter().for_each(|command| results.keep(command));
        let kept: Vec<_> = many
            .iter()
            .map(|command| length_of(command) == 1 << 20)
            .collect();
        assert_eq!(kept, [[false].repeat(25), [true].repeat(15)].concat());
        let forgotten = many[0].outcome().unwrap();
        assert_eq!(forgotten.result, json!("<1048576 bytes omitted>"));
        let larger_than_all = ended(2 * ALL);
        results.keep(&larger_than_all);
        assert_eq!(length_of(&larger_than_all), 2 * ALL);
        assert_eq!(length_of(&many[39]), "<1048576 bytes omitted>".len());
        assert_eq!(length_of(&small), SMALL / 2);
    }
}
