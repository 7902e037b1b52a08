//! A plugin as the agent's dispatch sees it: a hardware manager like every other.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use farrier_plugin::protocol::answers::{FilteredDevice, RootDisk};
use farrier_plugin::protocol::method::{Call, EvaluateHardwareSupport, FilterDevice};
use farrier_plugin::protocol::parameters::{Filter, Nothing};
use farrier_plugin::protocol::{self, Method};
use farrier_plugin::{
    BlockDevice, Context, Device, ErrorKind, ManagerError, Node, SilentContext, StepArguments,
    chain,
};
use serde_json::{Map, Value, json};

use super::answers::{Answers, Devices};
use super::keeper::Keeper;
use super::{Found, Limits, PluginError};

/// A hardware manager in a process of its own.
pub(in crate::hardware) struct PluginManager {
    pub(super) keeper: Keeper,
    devices: Devices,
    /// What it last said of each device, by name. What it hid stays hidden when it is dropped: a
    /// disk that it protected must not be erased because it crashed once too often.
    opinions: Mutex<BTreeMap<String, Opinion>>,
    /// Asked for while the managers start side by side, and told when they are ranked.
    pub(super) level: OnceLock<Result<u32, String>>,
}

/// An answer to `filter_device`.
struct Opinion {
    about: Device,
    /// `None` where it declined, `Some(None)` where it hides the device.
    said: Option<Option<Device>>,
}

impl Opinion {
    fn hides(&self) -> bool {
        self.said == Some(None)
    }
}

impl PluginManager {
    /// Start a plugin, hear who it is, and ask how well it supports this machine.
    pub(in crate::hardware) fn start(
        found: Found,
        devices: Devices,
        limits: Limits,
    ) -> Result<Self, PluginError> {
        let manager = Self {
            keeper: Keeper::start(found, limits)?,
            devices,
            opinions: Mutex::default(),
            level: OnceLock::new(),
        };
        let level = manager.question::<EvaluateHardwareSupport>();
        let _ = manager.level.set(level.map_err(|error| error.chain()));
        Ok(manager)
    }

    /// The plugin's name.
    pub(in crate::hardware) fn name(&self) -> &str {
        self.keeper.name()
    }

    /// The methods that it declared.
    pub(in crate::hardware) fn methods(&self) -> &[String] {
        &self.keeper.introduction().methods
    }

    /// Whether this is one of its names: the plugin's, the manager's or the class's.
    pub(in crate::hardware) fn is_called(&self, name: &str) -> bool {
        let introduction = self.keeper.introduction();
        [
            self.keeper.name(),
            &introduction.name,
            &introduction.class_name,
        ]
        .contains(&name)
    }

    /// Why it is not used any more, where that is so.
    pub(in crate::hardware) fn dropped(&self) -> Option<String> {
        self.keeper.dropped()
    }

    /// The plugin's answer to this method, which is asked where it has it.
    pub(super) fn ask<M: Call>(
        &self,
        context: &dyn Context,
        arguments: impl FnOnce() -> M::Arguments,
    ) -> Result<M::Answer, ManagerError> {
        let method = M::METHOD;
        if !self.keeper.has(method) || self.keeper.dropped().is_some() {
            return Err(ManagerError::unsupported(method));
        }
        let mut callbacks = Answers::new(self.keeper.name(), &self.devices);
        let answer = self
            .keeper
            .call(method, json!(arguments()), context, &mut callbacks)
            .map_err(|error| failed(error, method))?;
        serde_json::from_value(answer).map_err(|source| self.strange(method, source))
    }

    /// The answer to a question without parameters.
    pub(super) fn question<M: Call<Arguments = Nothing>>(&self) -> Result<M::Answer, ManagerError> {
        self.ask::<M>(&SilentContext, || Nothing {})
    }

    /// A root device, told as an object or, as the reference's managers do it, by its name alone.
    pub(super) fn device_of(&self, disk: RootDisk) -> Result<BlockDevice, ManagerError> {
        let name = match disk {
            RootDisk::Device(device) => return Ok(device.0),
            RootDisk::Name(name) => name,
        };
        (self.devices)(true)?
            .into_iter()
            .find(|device| device.name == name)
            .ok_or_else(|| {
                ManagerError::new(
                    ErrorKind::DeviceNotFound,
                    format!(
                        "{}: {} gave {name}, which this machine does not have",
                        self.keeper.name(),
                        Method::GetOsInstallDevice
                    ),
                )
            })
    }

    /// What it says of a device of a listing. In the middle of a long step, and once it is dropped,
    /// it cannot be asked; then what it said last holds.
    pub(super) fn filter(&self, device: &Device) -> Result<Option<Device>, ManagerError> {
        const METHOD: Method = Method::FilterDevice;
        // First of all: most managers do not have it, and a listing asks for every device.
        if !self.keeper.has(METHOD) {
            return Err(ManagerError::unsupported(METHOD));
        }
        let name = device.name();
        if self.keeper.dropped().is_some() {
            return match self.opinions().get(name) {
                Some(opinion) if opinion.hides() => Ok(None),
                _ => Err(ManagerError::unsupported(METHOD)),
            };
        }
        if self.keeper.is_busy()
            && let Some(opinion) = self.opinions().get(name)
            && (opinion.about == *device || opinion.hides())
        {
            return match &opinion.said {
                Some(kept) => Ok(kept.clone()),
                None => Err(ManagerError::unsupported(METHOD)),
            };
        }
        let answer = self.ask::<FilterDevice>(&SilentContext, || Filter(device.clone()));
        let said = match answer {
            Ok(FilteredDevice(wire)) => Ok(protocol::filtered_from_wire(device, &wire)
                .map_err(|source| self.strange(METHOD, source))?),
            Err(error) if error.declines() => Err(error),
            Err(error) => return Err(error),
        };
        let opinion = Opinion {
            about: device.clone(),
            said: said.as_ref().ok().cloned(),
        };
        self.opinions().insert(name.to_owned(), opinion);
        said
    }

    fn opinions(&self) -> MutexGuard<'_, BTreeMap<String, Opinion>> {
        self.opinions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn strange(&self, method: Method, source: serde_json::Error) -> ManagerError {
        let error = PluginError::Result {
            name: self.keeper.name().to_owned(),
            method: method.to_string(),
            source,
        };
        ManagerError::new(ErrorKind::CommandExecution, chain(&error)).unexpected()
    }

    /// The node as this manager may see it: without the tenant's config drive, unless it says that
    /// it needs it.
    pub(super) fn node(&self, node: &Node) -> Node {
        let mut node = node.clone();
        if !self.keeper.introduction().capabilities.config_drive
            && let Some(Value::Object(instance)) = node.0.get_mut("instance_info")
        {
            instance.remove("configdrive");
        }
        node
    }

    /// The same in a step, whose large strings stand in the node as marks.
    pub(super) fn node_of_step(&self, node: &Node, arguments: &StepArguments) -> Node {
        Node(self.large(self.node(node).0, arguments))
    }

    pub(super) fn arguments(&self, arguments: &StepArguments) -> Map<String, Value> {
        let mut values = arguments.values.clone();
        if !self.keeper.introduction().capabilities.config_drive {
            values.remove("configdrive");
            if let Some(Value::Object(image)) = values.get_mut("image_info") {
                image.remove("configdrive");
            }
        }
        self.large(values, arguments)
    }

    fn large(&self, values: Map<String, Value>, arguments: &StepArguments) -> Map<String, Value> {
        let values = Value::Object(values);
        let values = if self.keeper.introduction().capabilities.config_drive {
            arguments.large.restore(&values)
        } else {
            arguments.large.elide(&values)
        };
        match values {
            Value::Object(values) => values,
            // Strings alone are replaced.
            _ => Map::new(),
        }
    }
}

/// The error of a call that gave no result. A failure without a class gets that of the method.
fn failed(error: PluginError, method: Method) -> ManagerError {
    let fallback = match method {
        Method::Initialize => ErrorKind::HardwareManagerConfiguration,
        Method::WaitForDisks => ErrorKind::DeviceNotFound,
        Method::EraseBlockDevice | Method::EraseDevices => ErrorKind::BlockDeviceErase,
        _ => ErrorKind::CommandExecution,
    };
    match error {
        PluginError::Failed {
            name,
            method,
            failure,
        } => {
            // The wire's text names the manager; a refusal stays one.
            let error = failure.into_error(&method, fallback);
            if error.declines() {
                return error;
            }
            let named = ManagerError::new(error.kind(), format!("{name}: {error}"));
            match error.is_unexpected() {
                true => named.unexpected(),
                false => named,
            }
        }
        error => ManagerError::new(fallback, chain(&error)).unexpected(),
    }
}
