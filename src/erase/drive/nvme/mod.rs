//! NVMe drives that erase themselves: by Format NVM, and by Sanitize.

pub(in crate::erase) mod identify;
pub(in crate::erase) mod sanitize;
