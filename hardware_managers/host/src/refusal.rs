//! Why a library is not used.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;

use farrier_plugin::abi;

/// Why a library is not used. `Display` is a sentence that names the library and says what to do.
/// Written out, since thiserror's macros would be compiled for these few alone.
#[derive(Debug)]
pub(crate) enum Refusal {
    Unreadable {
        path: PathBuf,
        source: io::Error,
    },
    NotElf {
        path: PathBuf,
    },
    NotShared {
        path: PathBuf,
    },
    Architecture {
        path: PathBuf,
        theirs: String,
        /// The machine that the host is made for.
        ours: &'static str,
    },
    /// It was linked with a newer C library than this machine's.
    NewerC {
        path: PathBuf,
        needed: String,
        present: String,
    },
    /// A library that it links to is not found.
    NoDependency {
        path: PathBuf,
        why: String,
    },
    /// Whatever else the loader says; it names the file itself.
    Loader {
        why: String,
    },
    NoSymbol {
        path: PathBuf,
    },
    AbiVersion {
        path: PathBuf,
        theirs: u32,
    },
    /// What is wrong with the exported object, as the rest of a sentence about it.
    Table {
        path: PathBuf,
        what: String,
    },
    /// No introduction as the protocol has it.
    Introduction {
        path: PathBuf,
        source: serde_json::Error,
    },
    /// The library itself says why not.
    NotIntroduced {
        path: PathBuf,
        why: String,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, .. } => write!(f, "{} cannot be read", path.display()),
            Self::NotElf { path } => write!(
                f,
                "{} is not a shared library: it is not an ELF file",
                path.display()
            ),
            Self::NotShared { path } => write!(
                f,
                "{} is not a shared library, but another kind of ELF file (compile it with -shared \
                 -fPIC, in Rust with crate-type cdylib)",
                path.display()
            ),
            Self::Architecture { path, theirs, ours } => write!(
                f,
                "{} is made for {theirs}, and this machine is {ours}",
                path.display()
            ),
            Self::NewerC {
                path,
                needed,
                present,
            } => write!(
                f,
                "{} needs glibc {needed} or newer, and here is glibc {present}: build it on a \
                 system with glibc {present} or older",
                path.display()
            ),
            Self::NoDependency { path, why } => write!(
                f,
                "{} needs a library that is not here ({why}): put it beside the plugin in the \
                 plugin's folder, and link with -Wl,-rpath,'$ORIGIN'",
                path.display()
            ),
            Self::Loader { why } => write!(f, "The plugin cannot be loaded: {why}"),
            Self::NoSymbol { path } => write!(
                f,
                "{} exports no object {}, so it is no hardware manager of farrier (in Rust \
                 export_hardware_manager! makes it, in C see farrier_plugin.h)",
                path.display(),
                abi::SYMBOL.to_string_lossy()
            ),
            Self::AbiVersion { path, theirs } => write!(
                f,
                "{} is made for version {theirs} of the plugin ABI, and this farrier has version \
                 {}: build it with this farrier's SDK",
                path.display(),
                abi::VERSION
            ),
            Self::Table { path, what } => {
                write!(f, "The object farrier_plugin of {} {what}", path.display())
            }
            Self::Introduction { path, .. } => {
                write!(f, "The introduction of {} cannot be read", path.display())
            }
            Self::NotIntroduced { path, why } => {
                write!(f, "{} could not introduce itself: {why}", path.display())
            }
        }
    }
}

impl Error for Refusal {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Unreadable { source, .. } => Some(source),
            Self::Introduction { source, .. } => Some(source),
            _ => None,
        }
    }
}
