//! The C ABI between `farrier-plugin-host` and a shared library: the Rust form of
//! `include/farrier_plugin.h`, which says what each function has to keep. Both sides use it.
#![allow(
    unsafe_code,
    reason = "texts pass between host and library as pointers with a length"
)]

use std::ffi::{CStr, c_void};
use std::ptr;

/// `FARRIER_PLUGIN_ABI`: the host loads libraries of its own version only.
pub const VERSION: u32 = 1;

/// The name of the object that a library exports, a [`Plugin`].
pub const SYMBOL: &CStr = c"farrier_plugin";

/// `FARRIER_OK`: the answer is a result.
pub const OK: i32 = 0;

/// `FARRIER_FAILED`: the answer is a failure, in the form of the protocol's `error`.
pub const FAILED: i32 = 1;

/// `struct farrier_text`: UTF-8, with its length in bytes.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Text {
    /// May be null where the length is 0.
    pub data: *const u8,
    /// Bytes, without the 0 that may follow them.
    pub length: usize,
}

/// `struct farrier_agent`: the way back to the agent during one call.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Agent {
    /// The size of this structure where the host was made.
    pub size: usize,
    /// The host's own.
    pub call: *const c_void,
    /// Ask the agent and wait.
    pub request: unsafe extern "C" fn(
        agent: *const Self,
        method: Text,
        params: Text,
        answer: *mut Text,
    ) -> i32,
    /// Tell the agent something.
    pub notify: unsafe extern "C" fn(agent: *const Self, method: Text, params: Text),
    /// 1 once the call is cancelled.
    pub is_cancelled: unsafe extern "C" fn(agent: *const Self) -> i32,
    /// Hand back an answer of `request`.
    pub release: unsafe extern "C" fn(answer: Text),
}

/// `struct farrier_plugin`: what a library exports. A function that is missing is null, so that a
/// table of another making can be read.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Plugin {
    /// [`VERSION`]; read before anything else.
    pub abi_version: u32,
    /// The size of this structure where the library was made.
    pub size: u32,
    /// Who the manager is.
    pub introduce: Option<unsafe extern "C" fn(answer: *mut Text) -> i32>,
    /// Run a method.
    pub call: Option<
        unsafe extern "C" fn(
            agent: *const Agent,
            method: Text,
            params: Text,
            answer: *mut Text,
        ) -> i32,
    >,
    /// Take back an answer.
    pub release: Option<unsafe extern "C" fn(answer: Text)>,
}

impl Text {
    /// No text.
    pub const EMPTY: Self = Self {
        data: ptr::null(),
        length: 0,
    };

    /// A text that stays with its owner, for the time of a call. `text` should end with a 0 that
    /// does not count.
    pub fn lend(text: &CStr) -> Self {
        Self {
            data: text.as_ptr().cast(),
            length: text.count_bytes(),
        }
    }

    /// A text that is the other side's until it hands it back to [`Text::take_back`]. A byte 0
    /// follows it.
    pub fn give(text: impl Into<Vec<u8>>) -> Self {
        let mut bytes = text.into();
        let length = bytes.len();
        bytes.push(0);
        Self {
            data: Box::into_raw(bytes.into_boxed_slice()).cast(),
            length,
        }
    }

    /// The end of a text from [`Text::give`] of this very program or library. Without data nothing
    /// happens.
    ///
    /// # Safety
    /// It comes from `give`, is as it was given, and nobody uses it any more.
    pub unsafe fn take_back(self) {
        if self.data.is_null() {
            return;
        }
        // The byte after the text belongs to it.
        let bytes = ptr::slice_from_raw_parts_mut(self.data.cast_mut(), self.length + 1);
        // SAFETY: `give` made exactly this slice from a box, and the caller gives it back once.
        drop(unsafe { Box::from_raw(bytes) });
    }

    /// Its bytes.
    ///
    /// # Safety
    /// Where there is data, `length` bytes of it can be read for as long as `'t`.
    pub unsafe fn bytes<'t>(self) -> &'t [u8] {
        if self.data.is_null() || self.length == 0 {
            return &[];
        }
        // SAFETY: by the caller's promise.
        unsafe { std::slice::from_raw_parts(self.data, self.length) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_comes_back_and_ends_with_a_zero() {
        for given in ["", "{}", "grün"] {
            let text = Text::give(given);
            // SAFETY: it was just given, with a 0 behind it, and is taken back once.
            unsafe {
                assert_eq!(text.bytes(), given.as_bytes());
                assert_eq!(*text.data.add(text.length), 0);
                text.take_back();
            }
        }
        // SAFETY: there is no data.
        unsafe {
            assert_eq!(Text::EMPTY.bytes(), b"");
            Text::EMPTY.take_back();
        }
    }
}
