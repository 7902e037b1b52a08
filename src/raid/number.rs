//! Which number a new array gets.

use super::error::RaidError;
use crate::sys::root::Root;

/// From here on the kernel numbers arrays by itself, those that are made by name (`next_minor` of `md.c`).
pub(crate) const NUMBERS: usize = 512;

/// The device of the first array from this number on that there is none of: `/dev/md0`.
///
/// # Errors
/// [`RaidError::NoNumber`] where all are taken.
pub(crate) fn free_device(root: &Root, from: usize) -> Result<String, RaidError> {
    let is_free = |number: &usize| {
        let directory = format!("/sys/block/md{number}");
        // The kernel keeps the device of an array that was stopped for a while.
        root.names(format!("{directory}/slaves")).is_empty()
            && !matches!(
                root.attribute(format!("{directory}/md/array_state")).as_deref(),
                Some(state) if state != "clear"
            )
    };
    let number = (from..NUMBERS).find(is_free).ok_or(RaidError::NoNumber)?;
    Ok(format!("/dev/md{number}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::recording::Recording;

    #[test]
    fn the_first_number_without_an_array_is_taken() {
        let recording = Recording::unpack(
            "/sys/block/md0/md/array_state = clean\n/sys/block/md0/slaves/sda1/\n\
             /sys/block/md1/md/array_state = inactive\n/sys/block/md2/slaves/sdb1/\n\
             /sys/block/md3/md/array_state = clear\n",
        );
        let free = |from| free_device(&recording.root(), from).unwrap();
        assert_eq!(
            (free(0), free(4)),
            ("/dev/md3".to_owned(), "/dev/md4".to_owned())
        );
    }

    #[test]
    fn a_machine_that_has_all_of_them_is_told() {
        let taken = |number| format!("/sys/block/md{number}/md/array_state = clean\n");
        let all: String = (0..NUMBERS).map(taken).collect();
        let recording = Recording::unpack(&all);
        let error = free_device(&recording.root(), 0).unwrap_err().to_string();
        assert!(error.contains("md0 to md511"), "{error}");
    }
}
