//! The page: what stands on top of a machine's screen for as long as the ramdisk runs. A few fixed lines say which server this
//! is, what it is doing, and what went wrong last; the log runs below them.
//!
//! Facts come from the agent as messages (see [`console_fact`](crate::sys::console_fact)), from the firmware's tables, and from
//! the kernel's list of network cards. What is shown is ASCII alone: whichever font a screen has, and whether or not its terminal
//! reads UTF-8 (in one that does not, the second byte of `Û` begins an escape sequence).

mod cards;
mod drawing;
mod facts;
mod layout;
mod machine;
mod screen;

pub(super) use self::drawing::Drawing;
pub(super) use self::facts::Page;

#[cfg(test)]
mod tests;
