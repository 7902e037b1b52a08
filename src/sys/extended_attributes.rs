//! Extended attributes of open files (xattr(7)).
#![expect(
    unsafe_code,
    reason = "the library has no functions for extended attributes"
)]

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;

/// The largest value that Linux knows, in bytes; a file's names take as much together.
const LIMIT: usize = 64 << 10;

/// The label that SELinux gives to a file.
pub(crate) const SELINUX_LABEL: &CStr = c"security.selinux";

/// The value of this attribute; `None` where the file has none, or its file system knows none.
pub(crate) fn get(file: &impl AsFd, name: &CStr) -> Result<Option<Vec<u8>>, Errno> {
    let mut value = vec![0; LIMIT];
    // SAFETY: the kernel writes at most as many bytes as the buffer has, and reads the name up to its end.
    let length = unsafe {
        libc::fgetxattr(
            file.as_fd().as_raw_fd(),
            name.as_ptr(),
            value.as_mut_ptr().cast(),
            value.len(),
        )
    };
    match Errno::result(length) {
        Ok(length) => {
            value.truncate(length.unsigned_abs());
            Ok(Some(value))
        }
        Err(Errno::ENODATA | Errno::EOPNOTSUPP) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// The names of all attributes; none where the file system knows none.
pub(crate) fn names(file: &impl AsFd) -> Result<Vec<CString>, Errno> {
    let mut names = vec![0_u8; LIMIT];
    // SAFETY: the kernel writes at most as many bytes as the buffer has.
    let length = unsafe {
        libc::flistxattr(
            file.as_fd().as_raw_fd(),
            names.as_mut_ptr().cast(),
            names.len(),
        )
    };
    match Errno::result(length) {
        Ok(length) => names.truncate(length.unsigned_abs()),
        Err(Errno::EOPNOTSUPP) => return Ok(Vec::new()),
        Err(errno) => return Err(errno),
    }
    Ok(names
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .filter_map(|name| CString::new(name).ok())
        .collect())
}

/// Set this attribute.
pub(crate) fn set(file: &impl AsFd, name: &CStr, value: &[u8]) -> Result<(), Errno> {
    // SAFETY: the kernel reads the value's bytes and the name up to its end, and writes nothing.
    let answer = unsafe {
        libc::fsetxattr(
            file.as_fd().as_raw_fd(),
            name.as_ptr(),
            value.as_ptr().cast(),
            value.len(),
            0,
        )
    };
    Errno::result(answer).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_set_is_read_and_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(get(&file, c"user.farrier").unwrap(), None);
        match set(&file, c"user.farrier", b"shod") {
            // A temporary folder whose file system has none.
            Err(Errno::EOPNOTSUPP) => return,
            outcome => outcome.unwrap(),
        }
        assert_eq!(get(&file, c"user.farrier").unwrap().unwrap(), b"shod");
        assert!(names(&file).unwrap().contains(&c"user.farrier".to_owned()));
    }
}
