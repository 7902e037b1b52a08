//! The agent's options: the reference's names, defaults and precedence.

mod error;
mod flags;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod ini;
mod kernel;
mod load;
mod options;
mod schema;
mod secret;

pub use error::{ConfigError, Origin};
pub use flags::help as flags_help;
pub use kernel::KernelParameters;
pub use load::{Loaded, Sources, load};
pub use options::{Curve, Live, Options, TlsVersion};
pub use schema::secret_names;
pub use secret::Secret;
