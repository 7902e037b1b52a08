//! Why a library is not used.

use std::io;
use std::path::PathBuf;

use farrier_plugin::abi;

/// Why a library is not used, as a sentence that names it and says what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("{path} cannot be read")]
    Unreadable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{path} is not a shared library: it is not an ELF file")]
    NotElf { path: PathBuf },
    #[error(
        "{path} is not a shared library, but another kind of ELF file (compile it with -shared \
         -fPIC, in Rust with crate-type cdylib)"
    )]
    NotShared { path: PathBuf },
    #[error("{path} is made for {theirs}, and this machine is {ours}", ours = crate::elf::OURS)]
    Architecture { path: PathBuf, theirs: String },
    #[error(
        "{path} needs glibc {needed} or newer, and here is glibc {present}: build it on a system \
         with glibc {present} or older"
    )]
    NewerC {
        path: PathBuf,
        needed: String,
        present: String,
    },
    #[error(
        "{path} needs a library that is not here ({why}): put it beside the plugin in the plugin's \
         folder, and link with -Wl,-rpath,'$ORIGIN'"
    )]
    NoDependency { path: PathBuf, why: String },
    /// Whatever else the loader says; it names the file itself.
    #[error("The plugin cannot be loaded: {why}")]
    Loader { why: String },
    #[error(
        "{path} exports no object {symbol}, so it is no hardware manager of farrier (in Rust \
         export_hardware_manager! makes it, in C see farrier_plugin.h)",
        symbol = abi::SYMBOL.to_string_lossy()
    )]
    NoSymbol { path: PathBuf },
    #[error(
        "{path} is made for version {theirs} of the plugin ABI, and this farrier has version {ours}: \
         build it with this farrier's SDK",
        ours = abi::VERSION
    )]
    AbiVersion { path: PathBuf, theirs: u32 },
    #[error("The object farrier_plugin of {path} {what}")]
    Table { path: PathBuf, what: String },
    #[error("The introduction of {path} cannot be read")]
    Introduction {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    #[error("{path} could not introduce itself: {why}")]
    NotIntroduced { path: PathBuf, why: String },
}
