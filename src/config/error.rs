//! What is wrong with the configuration, and where it was written.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Where a value comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Origin {
    /// The kernel's command line, or the parameters on virtual media.
    Kernel {
        /// The parameter's name.
        key: String,
    },
    /// A configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// The line in it, counted from 1.
        line: usize,
    },
    /// An environment variable.
    Environment {
        /// Its name.
        name: String,
    },
    /// A command line flag.
    Flag {
        /// The flag with its dashes.
        flag: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel { key } => write!(f, "the kernel parameter {key}"),
            Self::File { path, line } => write!(f, "{} line {line}", path.display()),
            Self::Environment { name } => write!(f, "the environment variable {name}"),
            Self::Flag { flag } => write!(f, "the flag {flag}"),
        }
    }
}

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// A value does not fit its option.
    #[error("The option {option} cannot be {value:?} (from {origin}): {reason}")]
    Value {
        /// The option, with its group where that is not DEFAULT.
        option: String,
        /// The value; `***` where it is a secret.
        value: String,
        /// Where it was written.
        origin: Origin,
        /// What it should be.
        reason: String,
    },
    /// A line of a file is neither a section nor an assignment nor a comment.
    #[error("{path} line {line} is not `name = value`: {reason}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong.
        reason: &'static str,
    },
    /// A file or a directory that was named cannot be read.
    #[error("Could not read the configuration {path}")]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}
