//! The kernel's virtual terminals (`/dev/tty1` to `/dev/tty63`): what a monitor or a BMC's remote screen shows.

#![expect(unsafe_code, reason = "ioctl")]

use std::fs;
use std::mem;
use std::os::fd::{AsFd, AsRawFd};

mod ioctl {
    nix::ioctl_read_bad!(window_size, libc::TIOCGWINSZ, libc::winsize);
}

/// Lines and columns, as long as nothing changes them: the driver of a graphics card that is found later does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Size {
    pub(crate) rows: u16,
    pub(crate) columns: u16,
}

/// The size of the terminal behind this file; `None` of what is none, and of one that does not say.
pub(crate) fn size(terminal: &impl AsFd) -> Option<Size> {
    // SAFETY: winsize is plain data; all zero bytes are a valid value of it.
    let mut found: libc::winsize = unsafe { mem::zeroed() };
    // SAFETY: the descriptor is open, and TIOCGWINSZ fills a winsize that lives across the call.
    unsafe { ioctl::window_size(terminal.as_fd().as_raw_fd(), &raw mut found) }.ok()?;
    (found.ws_row > 0 && found.ws_col > 0).then_some(Size {
        rows: found.ws_row,
        columns: found.ws_col,
    })
}

/// The virtual terminal that a name of a console means: `tty1` for `tty1`, and for `tty0`, which is whichever one is shown, the
/// one that is shown now. `None` of what is no virtual terminal (`ttyS0`, `hvc0`).
pub(crate) fn named(name: &str) -> Option<String> {
    let number = name.strip_prefix("tty")?;
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    if number != "0" {
        return Some(name.to_owned());
    }
    let active = fs::read_to_string("/sys/class/tty/tty0/active").ok()?;
    Some(active.trim().to_owned())
}

/// What a screen shows now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Shown {
    /// Where the cursor is, counted from 0, up to 255.
    pub(crate) row: u16,
    pub(crate) column: u16,
    /// A byte of the font for each cell, line after line. Fonts have ASCII where ASCII has it.
    pub(crate) cells: Vec<u8>,
}

/// Read `/dev/vcsa<number>` of this virtual terminal (vcs(4)): four bytes for the size and the cursor, then two for each cell.
/// `None` where the kernel has no such file.
pub(crate) fn shown(name: &str) -> Option<Shown> {
    let number = name.strip_prefix("tty")?;
    parse(&fs::read(format!("/dev/vcsa{number}")).ok()?)
}

fn parse(bytes: &[u8]) -> Option<Shown> {
    let (head, cells) = bytes.split_at_checked(4)?;
    Some(Shown {
        column: head[2].into(),
        row: head[3].into(),
        cells: cells.chunks(2).map(glyph).collect(),
    })
}

/// Low byte first or last, by the machine's own order.
fn glyph(cell: &[u8]) -> u8 {
    let low = if cfg!(target_endian = "little") { 0 } else { 1 };
    cell.get(low).copied().unwrap_or(b' ')
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn only_virtual_terminals_are_named() {
        assert_eq!(named("tty3").as_deref(), Some("tty3"));
        for name in [
            "ttyS0",
            "ttyAMA0",
            "hvc0",
            "tty",
            "ttyprintk",
            "console",
            "",
        ] {
            assert_eq!(named(name), None, "{name}");
        }
    }

    #[test]
    fn what_is_no_terminal_has_no_size() {
        assert_eq!(size(&File::open("/dev/null").unwrap()), None);
    }

    #[test]
    fn a_screen_is_read_by_cells() {
        let found = parse(&[2, 3, 1, 0, b'a', 7, b'b', 0x70, b' ', 7]).unwrap();
        assert_eq!((found.row, found.column), (0, 1));
        assert_eq!(found.cells, b"ab ");
        assert_eq!(parse(b"123"), None);
    }
}
