//! The plans of one step, made for all of its devices before the first of them is touched.

use std::collections::BTreeMap;
use std::sync::Mutex;

use crate::erase::plan::Plan;
use crate::erase::step::scopes::lock;

/// The plans of the devices whose turn has not come, by the device's name.
#[derive(Debug, Default)]
pub struct Plans(Mutex<BTreeMap<String, Plan>>);

impl Plans {
    /// A new step begins with these; those of the last one count no more.
    pub fn begin(&self, plans: impl IntoIterator<Item = Plan>) {
        *lock(&self.0) = plans
            .into_iter()
            .map(|plan| (plan.device.name.clone(), plan))
            .collect();
    }

    /// The plan of the device whose turn it is, once.
    pub fn take(&self, device: &str) -> Option<Plan> {
        lock(&self.0).remove(device)
    }
}
