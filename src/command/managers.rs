//! The managers until the room `hardware` is merged: the same door, without ranking.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use farrier_plugin::{
    Context, ErrorKind, HardwareManager, Inventory, ManagerError, Node, Port, Step, StepArguments,
    StepKind,
};
use serde_json::Value;

use crate::config::Live;

/// All hardware managers of this machine.
pub struct Managers {
    managers: Vec<Arc<dyn HardwareManager>>,
    node: Mutex<Option<Node>>,
}

#[expect(missing_docs, reason = "leaves with the merge of hardware")]
impl Managers {
    pub fn from_managers(
        _options: Live,
        managers: Vec<Arc<dyn HardwareManager>>,
        _context: &dyn Context,
    ) -> Result<Self, ManagerError> {
        Ok(Self {
            managers,
            node: Mutex::new(None),
        })
    }

    pub fn steps(
        &self,
        kind: StepKind,
        node: &Node,
        ports: &[Port],
    ) -> Result<BTreeMap<String, Vec<Step>>, ManagerError> {
        let mut all = BTreeMap::new();
        for manager in &self.managers {
            all.insert(
                manager.class_name().to_owned(),
                manager.steps(kind, node, ports)?,
            );
        }
        Ok(all)
    }

    pub fn versions(&self) -> BTreeMap<String, String> {
        self.managers
            .iter()
            .map(|manager| (manager.version().name, manager.version().version))
            .collect()
    }

    pub fn execute_step(
        &self,
        context: &dyn Context,
        _kind: StepKind,
        name: &str,
        node: &Node,
        ports: &[Port],
        arguments: &StepArguments,
    ) -> Result<Value, ManagerError> {
        self.first(name, |manager| {
            manager.execute_step(context, name, node, ports, arguments)
        })
    }

    pub fn set_node(&self, node: Node) {
        *self.node.lock().unwrap_or_else(PoisonError::into_inner) = Some(node);
    }

    pub fn node(&self) -> Option<Node> {
        self.node
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub fn inventory_uncached(&self) -> Result<Inventory, ManagerError> {
        self.first("list_hardware_info", |manager| manager.list_hardware_info())
    }

    pub fn collect_logs(&self) -> Result<Vec<u8>, ManagerError> {
        let mut all = Vec::new();
        for manager in &self.managers {
            for (_, content) in manager.collect_system_logs()? {
                all.extend(content);
            }
        }
        Ok(all)
    }

    pub fn full_sync(&self) -> Result<(), ManagerError> {
        self.first("full_sync", |manager| manager.full_sync())
    }

    pub fn install_bootloader(
        &self,
        context: &dyn Context,
        arguments: &StepArguments,
    ) -> Result<(), ManagerError> {
        let node = self.node().unwrap_or_default();
        self.first("install_bootloader", |manager| {
            manager.install_bootloader(context, &node, arguments)
        })
    }

    pub fn partition_uuids(&self) -> Result<Value, ManagerError> {
        self.first("get_partition_uuids", |manager| manager.partition_uuids())
    }

    fn first<T>(
        &self,
        method: &str,
        mut call: impl FnMut(&dyn HardwareManager) -> Result<T, ManagerError>,
    ) -> Result<T, ManagerError> {
        for manager in &self.managers {
            match call(manager.as_ref()) {
                Err(error) if error.declines() => {}
                answer => return answer,
            }
        }
        Err(ManagerError::new(
            ErrorKind::HardwareManagerMethodNotFound,
            format!("Could not find method: {method}"),
        ))
    }
}
