//! The types that a hardware manager and the agent share.
//!
//! A *hardware manager* knows one kind of hardware: how to list it, erase it and prepare it for an
//! image. The agent asks its managers in the order of their support level, and the first that does
//! not decline answers. The agent's own generic manager implements [`HardwareManager`] exactly as a
//! vendor's manager does.
//!
//! The trait is synchronous, object-safe and `Send + Sync`; a method that this manager does not
//! know declines with [`ManagerError::unsupported`], which is what every default body does.

pub mod abi;
pub mod aligned;
mod context;
mod error;
pub mod export;
mod inventory;
mod keystream;
mod large_strings;
mod manager;
mod node;
pub mod protocol;
mod serve;
mod split_mix;
mod step;

pub use aligned::AlignedBuffer;
pub use context::{
    CancelledContext, Context, LogLevel, ProgramOutput, ProgramRequest, Progress, SilentContext,
};
pub use error::{ErrorKind, ManagerError, chain, panic_text};
pub use inventory::{
    BlockDevice, BootInfo, Cpu, Device, Firmware, Inventory, LldpData, LldpTlvs, Memory,
    NetworkInterface, SystemVendor, TlsCertificate, UsbDevice,
};
pub use keystream::Keystream;
pub use large_strings::{LARGE_STRING, LargeStrings};
pub use manager::{HardwareManager, ManagerVersion, support};
pub use node::{Node, Port};
pub use serve::{Agent, Handler, private_streams, serve, serve_handler};
pub use split_mix::SplitMix;
pub use step::{ArgumentInfo, Step, StepArguments, StepKind};
