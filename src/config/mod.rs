//! The agent's options: the reference's names, defaults and precedence.

mod error;
mod flags;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod ini;
mod kernel;
mod live;
mod load;
mod names;
mod options;
mod rows;
mod secret;
mod support_key;
mod value;

pub(crate) use error::{ConfigError, Origin};
pub(crate) use flags::Flags;
pub(crate) use kernel::KernelParameters;
pub use live::Live;
pub(crate) use load::{Loaded, Sources, load};
pub(crate) use names::secret_names;
pub use options::Options;
pub use rows::{Row, rows};
pub(crate) use secret::Secret;
pub(crate) use support_key::SupportKey;
pub(crate) use value::{Curve, TlsVersion};
