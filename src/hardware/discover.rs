//! Which hardware managers there are.

use farrier_plugin::{Context, ManagerError};

use super::Managers;
use crate::config::Live;

impl Managers {
    /// Find the managers of this ramdisk and rank them.
    pub fn discover(options: Live, context: &dyn Context) -> Result<Self, ManagerError> {
        Self::from_managers(options, Vec::new(), context)
    }
}
