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
mod secret;
mod value;

pub use error::{ConfigError, Origin};
pub use flags::help as flags_help;
pub use kernel::KernelParameters;
pub use live::Live;
pub use load::{Loaded, Sources, load};
pub use names::secret_names;
pub use options::Options;
pub use secret::Secret;
pub use value::{Curve, TlsVersion};
