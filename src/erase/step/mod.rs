//! One running step: each device has its turn, and what several turns share is here.

mod passwords;
mod plans;
mod release;
mod scopes;
mod side_by_side;
mod turn;

pub use passwords::take_passwords_off;
pub use plans::Plans;
pub use release::release;
pub use scopes::Scopes;
pub use side_by_side::{Failure, Outcome, in_parallel};
pub use turn::{erase_device, erase_metadata};
