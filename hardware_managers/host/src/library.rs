//! A loaded library, as the one who answers the agent's requests.
#![allow(
    unsafe_code,
    reason = "loading a library runs its code, and its functions follow C's rules"
)]

use std::ffi::{CStr, CString};
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};

use farrier_plugin::abi::{self, Text};
use farrier_plugin::protocol::{self, Failure, INTERNAL_ERROR, Introduction};
use farrier_plugin::{Agent, Handler};
use libloading::os::unix;
use serde_json::Value;

use crate::agent;
use crate::refusal::Refusal;

/// A library that introduced itself. It stays loaded until the process ends: its threads may still
/// run, and what it put aside for the end of the process points into it.
pub(crate) struct Library {
    introduction: Introduction,
    call: Call,
    release: Release,
}

type Introduce = unsafe extern "C" fn(*mut Text) -> i32;
type Call = unsafe extern "C" fn(*const abi::Agent, Text, Text, *mut Text) -> i32;
type Release = unsafe extern "C" fn(Text);

impl Library {
    /// Load the library at this absolute path, and hear who it is.
    pub(crate) fn load(path: &Path) -> Result<Self, Refusal> {
        // Every symbol is looked for now, so that none is missing in the middle of an erase, and
        // what the library exports is seen by itself alone.
        expect_signals_as_in_c();
        // SAFETY: whatever the library's constructors do, this process is there for it.
        let library = unsafe { unix::Library::open(Some(path), libc::RTLD_NOW | libc::RTLD_LOCAL) }
            .map_err(|error| loader_refusal(path, &error))?;
        let library = ManuallyDrop::new(library);
        let table = table(path, &library)?;
        let (introduce, call, release) = functions(path, &table)?;
        Ok(Self {
            introduction: introduction(path, introduce, release)?,
            call,
            release,
        })
    }
}

impl Handler for Library {
    fn introduction(&self) -> Result<Introduction, Failure> {
        Ok(self.introduction.clone())
    }

    fn call(&self, agent: &dyn Agent, method: &str, params: Value) -> Result<Value, Failure> {
        let context = agent::of_call(&agent);
        let (name, params) = (c_text(method), c_text(&params.to_string()));
        // SAFETY: agent and texts live until the library has returned, and there is room for one
        // answer.
        let (status, answer) = unsafe {
            asked(
                |answer| {
                    (self.call)(
                        &raw const context,
                        Text::lend(&name),
                        Text::lend(&params),
                        answer,
                    )
                },
                self.release,
            )
        };
        let value = answer.map_err(|error| {
            Failure::new(
                INTERNAL_ERROR,
                format!("The library's answer to {method} is not JSON: {error}"),
            )
        })?;
        match status {
            abi::OK => Ok(value),
            abi::FAILED => Err(failure(&value)),
            _ => Err(Failure::new(
                INTERNAL_ERROR,
                format!("The library returned {status} from {method}, which is no status"),
            )),
        }
    }
}

/// Rust's programs ignore SIGPIPE, and hand that on to what they start: a vendor's `system("yes | …")`
/// would not end. Where the agent is gone, the signal is a good end for this process too.
fn expect_signals_as_in_c() {
    // SAFETY: the default action is no function of ours.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}

/// What the library exports, once it is known to be readable.
fn table(path: &Path, library: &unix::Library) -> Result<abi::Plugin, Refusal> {
    let fault = |what: &str| Refusal::Table {
        path: path.to_owned(),
        what: what.to_owned(),
    };
    // SAFETY: the symbol is only taken as an address here.
    let address = unsafe { library.get::<*const abi::Plugin>(abi::SYMBOL.to_bytes_with_nul()) }
        .map_err(|_| Refusal::NoSymbol {
            path: path.to_owned(),
        })?
        .into_raw()
        .cast::<abi::Plugin>()
        .cast_const();
    if address.is_null() {
        return Err(fault("is null"));
    }
    if !address.is_aligned() {
        return Err(fault("is not aligned as a structure: it is something else"));
    }
    // SAFETY: the version is the first member in every version of the ABI.
    let theirs = unsafe { (*address).abi_version };
    if theirs != abi::VERSION {
        return Err(Refusal::AbiVersion {
            path: path.to_owned(),
            theirs,
        });
    }
    // SAFETY: in this version the size follows.
    let size = unsafe { (*address).size } as usize;
    if size < size_of::<abi::Plugin>() {
        return Err(fault(&format!(
            "is {size} bytes long by its own size, and must be {} at least",
            size_of::<abi::Plugin>()
        )));
    }
    // SAFETY: of this version and long enough.
    Ok(unsafe { address.read() })
}

fn functions(path: &Path, table: &abi::Plugin) -> Result<(Introduce, Call, Release), Refusal> {
    let missing = |name: &str| Refusal::Table {
        path: path.to_owned(),
        what: format!("lacks the function {name}: it is null"),
    };
    Ok((
        table.introduce.ok_or_else(|| missing("introduce"))?,
        table.call.ok_or_else(|| missing("call"))?,
        table.release.ok_or_else(|| missing("release"))?,
    ))
}

fn introduction(
    path: &Path,
    introduce: Introduce,
    release: Release,
) -> Result<Introduction, Refusal> {
    // SAFETY: it is the library's own, and there is room for one answer.
    let (status, answer) = unsafe { asked(|answer| introduce(answer), release) };
    let unreadable = |source| Refusal::Introduction {
        path: path.to_owned(),
        source,
    };
    let mut value = answer.map_err(unreadable)?;
    if status != abi::OK {
        return Err(Refusal::NotIntroduced {
            path: path.to_owned(),
            why: failure(&value).message,
        });
    }
    // The protocol is ours, not the library's.
    if let Value::Object(members) = &mut value {
        members.insert("protocol".to_owned(), protocol::VERSION.into());
    }
    serde_json::from_value(value).map_err(unreadable)
}

/// Let the library write an answer, copy it, and hand it back.
///
/// # Safety
/// `ask` calls a function of the library by the ABI's rules, and `release` is that library's.
unsafe fn asked(
    ask: impl FnOnce(*mut Text) -> i32,
    release: Release,
) -> (i32, serde_json::Result<Value>) {
    let mut answer = Text::EMPTY;
    let status = ask(&raw mut answer);
    // SAFETY: the library's answer is valid until it is released.
    let bytes = unsafe { answer.bytes() };
    let value = if bytes.is_empty() {
        Ok(Value::Null)
    } else {
        serde_json::from_slice(bytes)
    };
    if !answer.data.is_null() {
        // SAFETY: once, as it was given, and `value` borrows nothing of it.
        unsafe { release(answer) };
    }
    (status, value)
}

fn failure(value: &Value) -> Failure {
    Failure::read(value).unwrap_or_else(|_| {
        Failure::new(
            INTERNAL_ERROR,
            format!("The library failed without a failure as the protocol has it: {value}"),
        )
    })
}

/// JSON and the names of methods have no byte 0; a name that has one is empty, which is no method.
fn c_text(text: &str) -> CString {
    CString::new(text).unwrap_or_default()
}

/// The loader's words as a sentence that helps.
fn loader_refusal(path: &Path, error: &libloading::Error) -> Refusal {
    understood(path.to_owned(), error.to_string(), &c_library())
}

fn understood(path: PathBuf, why: String, present: &str) -> Refusal {
    // "/lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.38' not found (required by …)"
    let needed = why
        .split_once("version `GLIBC_")
        .and_then(|(_, rest)| rest.split_once('\''))
        .map(|(version, _)| version.to_owned());
    if let Some(needed) = needed
        && needed.starts_with(|first: char| first.is_ascii_digit())
    {
        return Refusal::NewerC {
            path,
            needed,
            present: present.to_owned(),
        };
    }
    // "libacme.so.3: cannot open shared object file: No such file or directory"
    if why.contains("cannot open shared object file") {
        return Refusal::NoDependency { path, why };
    }
    Refusal::Loader { why }
}

fn c_library() -> String {
    // SAFETY: it takes nothing and returns a constant text.
    unsafe { CStr::from_ptr(libc::gnu_get_libc_version()) }
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use super::*;

    #[test]
    fn the_loaders_words_become_sentences() {
        let told = |why: &str| understood("/p/a.so".into(), why.to_owned(), "2.36").to_string();
        let newer = told(
            "/lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.38' not found (required by /p/a.so)",
        );
        assert!(newer.contains("/p/a.so needs glibc 2.38"), "{newer}");
        assert!(newer.contains("here is glibc 2.36"), "{newer}");
        let relr = told(
            "/lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_ABI_DT_RELR' not found (required by \
             /p/a.so)",
        );
        assert!(relr.contains("GLIBC_ABI_DT_RELR"), "{relr}");
        let missing =
            told("libacme.so.3: cannot open shared object file: No such file or directory");
        assert!(missing.contains("libacme.so.3"), "{missing}");
        assert!(missing.contains("$ORIGIN"), "{missing}");
        let other = told("/p/a.so: undefined symbol: acme_erase");
        assert!(other.contains("undefined symbol: acme_erase"), "{other}");
    }

    #[test]
    fn the_abis_members_lie_where_the_header_has_them() {
        assert_eq!(offset_of!(abi::Plugin, abi_version), 0);
        assert_eq!(offset_of!(abi::Plugin, size), 4);
        assert_eq!(offset_of!(abi::Plugin, introduce), 8);
        assert_eq!(size_of::<abi::Plugin>(), 32);
        assert_eq!(size_of::<abi::Agent>(), 48);
    }
}
