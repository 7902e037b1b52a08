//! The agent's options: the reference's names, defaults and precedence.

mod options;

pub use options::{Curve, Live, Options, TlsVersion};
