//! Swap space.
#![expect(unsafe_code, reason = "swapoff, which no crate here wraps")]

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Stop swapping to this node or file: what is there is read back into memory first.
///
/// EINVAL where it is not swapped to, ENOMEM where its content has no room in memory.
pub(crate) fn off(path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: the path is a string that ends with a zero and outlives the call.
    match unsafe { libc::swapoff(path.as_ptr()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_swapped_to_cannot_be_switched_off() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = off(file.path()).unwrap_err();
        // Without root nobody may ask.
        let codes = [Some(libc::EINVAL), Some(libc::EPERM)];
        assert!(codes.contains(&error.raw_os_error()), "{error}");
        assert!(off(Path::new("a\0b")).is_err());
    }
}
