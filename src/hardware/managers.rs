//! All hardware managers of this machine, as the rooms above see them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Instant, SystemTime};

use farrier_plugin::protocol::Method;
use farrier_plugin::{
    BlockDevice, Context, ErrorKind, HardwareManager, Inventory, LldpData, ManagerError, Node,
    Port, Step, StepArguments, StepKind, TlsCertificate, UsbDevice, panic_text,
};
use serde_json::Value;
use tracing::{debug, info, warn};

use crate::block::list;
use crate::config::Live;
use crate::hardware::disk_wait;
use crate::hardware::dispatch::{Dispatcher, Ranked};
use crate::hardware::generic::{self, GenericHardwareManager};
use crate::hardware::logs;
use crate::hardware::plugin::{Devices, Installed, Refused};
use crate::hardware::steps::{self, Offer, StepCall};
use crate::sys::root::Root;
use crate::sys::{log, power};

/// The managers that support this machine, and the node that it is.
///
/// Every method blocks for as long as the hardware needs, so callers run it on a thread of its own.
pub struct Managers {
    pub(super) dispatcher: Arc<Dispatcher>,
    plugins: Installed,
    /// The agent's own, which is among the dispatcher's too; `None` where tests have only others.
    generic: Option<Arc<GenericHardwareManager>>,
    options: Live,
    node: Mutex<Option<Node>>,
    inventory: Mutex<Option<Arc<Inventory>>>,
}

/// One of the managers that answer.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize)]
pub struct RosterEntry {
    /// The key of its steps on the wire.
    pub class_name: String,
    /// Its stable name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// How well it supports this machine; see [`farrier_plugin::support`].
    pub level: u32,
    /// The plugin that it comes from; `None` for the agent's own.
    pub plugin: Option<String>,
    /// The methods that a plugin declared; empty for the agent's own.
    pub methods: Vec<String>,
}

impl Managers {
    /// Find all managers and initialise them: plugins, and the generic one, which can take as long
    /// as the options let it wait for the root disk.
    ///
    /// Disks are only ever erased or written where `/` lies in memory, as in the ramdisk.
    pub fn discover(options: Live, context: &dyn Context) -> Result<Self, ManagerError> {
        Self::discover_at(options, Root::system(), power::root_is_in_memory(), context)
    }

    /// The same for the agent itself, to which the machine is left: before that, disks on storage networks that firmware
    /// names are connected (docs/san.md). Not for who looks at the inventory by hand, beside an agent that may be
    /// connecting them.
    pub fn take_over(options: Live, context: &dyn Context) -> Result<Self, ManagerError> {
        if power::root_is_in_memory() {
            generic::san::connect(&Root::system());
        }
        Self::discover(options, context)
    }

    /// As [`Self::discover`], on the machine that this root shows, which can be a recorded one.
    pub fn discover_at(
        options: Live,
        root: Root,
        may_destroy: bool,
        context: &dyn Context,
    ) -> Result<Self, ManagerError> {
        let managers = Self::find(options, root, may_destroy)?;
        managers.initialize(context);
        Ok(managers)
    }

    /// The managers of this machine without initialising any: enough to see which there are and
    /// what they offer, beside an agent that may be at work.
    pub fn survey(options: Live) -> Result<Self, ManagerError> {
        Self::find(options, Root::system(), false)
    }

    fn find(options: Live, root: Root, may_destroy: bool) -> Result<Self, ManagerError> {
        let dispatcher = Arc::<Dispatcher>::default();
        let generic = GenericHardwareManager::new(
            options.clone(),
            root.clone(),
            Arc::downgrade(&dispatcher),
            may_destroy,
        );
        // A recorded machine's plugins are not here, and this one's know nothing of it.
        let plugins = if root.is_system() {
            let started = Instant::now();
            let plugins = Installed::start(
                &options.current(),
                &devices_of(root, Arc::downgrade(&dispatcher)),
            );
            info!(
                plugins = plugins.running().len(),
                milliseconds = started.elapsed().as_millis(),
                "the plugins were started and have evaluated this machine"
            );
            plugins
        } else {
            Installed::default()
        };
        let mut managers: Vec<Arc<dyn HardwareManager>> = plugins.managers().collect();
        let generic = Arc::new(generic);
        managers.push(Arc::clone(&generic) as _);
        Ok(Self {
            generic: Some(generic),
            ..Self::rank(options, dispatcher, plugins, managers)?
        })
    }

    /// Rank these managers by their support for this machine and initialise them in that order.
    ///
    /// A manager that cannot be initialised stays and is logged: its other methods say themselves
    /// what they cannot do.
    ///
    /// `HardwareManagerNotFound` where no manager supports this machine.
    pub fn from_managers(
        options: Live,
        managers: Vec<Arc<dyn HardwareManager>>,
        context: &dyn Context,
    ) -> Result<Self, ManagerError> {
        let managers = Self::rank(options, Arc::default(), Installed::default(), managers)?;
        managers.initialize(context);
        Ok(managers)
    }

    /// The agent's own manager, which may write to this machine's disks, behind another one that
    /// chooses the disk. None is initialised, which would assemble arrays here. For tests alone.
    #[cfg(test)]
    pub(crate) fn behind(
        options: Live,
        other: Arc<dyn HardwareManager>,
    ) -> Result<Self, ManagerError> {
        let dispatcher = Arc::<Dispatcher>::default();
        let root = Root::system();
        let generic = Arc::downgrade(&dispatcher);
        let generic = GenericHardwareManager::new(options.clone(), root, generic, true);
        let generic = Arc::new(generic);
        let managers = vec![other, Arc::clone(&generic) as _];
        Ok(Self {
            generic: Some(generic),
            ..Self::rank(options, dispatcher, Installed::default(), managers)?
        })
    }

    pub(super) fn rank(
        options: Live,
        dispatcher: Arc<Dispatcher>,
        plugins: Installed,
        managers: Vec<Arc<dyn HardwareManager>>,
    ) -> Result<Self, ManagerError> {
        dispatcher.rank(managers)?;
        Ok(Self {
            dispatcher,
            plugins,
            generic: None,
            options,
            node: Mutex::default(),
            inventory: Mutex::default(),
        })
    }

    /// Initialise them, the highest support level first. Those of one level have no order among
    /// themselves in contract/control-plane 8.3, so that none of them can count on another, and all begin
    /// at once; a lower level may count on a higher one and begins when that is done. The agent's
    /// own manager, which waits for the disks that others bring up, comes after all.
    pub(super) fn initialize(&self, context: &dyn Context) {
        let ranked = self.dispatcher.ranked();
        for level in ranked.chunk_by(|one, next| {
            one.level == next.level && next.manager.class_name() != generic::CLASS_NAME
        }) {
            thread::scope(|scope| {
                for Ranked { manager, level } in level {
                    info!(
                        manager = manager.class_name(),
                        version = manager.version().version,
                        level,
                        "hardware manager"
                    );
                    scope.spawn(move || initialize(manager.as_ref(), context));
                }
            });
        }
    }

    /// Who answers on this machine, in the order in which they are asked.
    pub fn roster(&self) -> Vec<RosterEntry> {
        self.dispatcher
            .ranked()
            .iter()
            .map(|ranked| {
                let class_name = ranked.manager.class_name();
                let version = ranked.manager.version();
                let plugin = self
                    .plugins
                    .running()
                    .iter()
                    .find(|plugin| plugin.class_name() == class_name);
                RosterEntry {
                    class_name: class_name.to_owned(),
                    name: version.name,
                    version: version.version,
                    level: ranked.level,
                    plugin: plugin.map(|plugin| plugin.name().to_owned()),
                    methods: plugin.map_or_else(Vec::new, |plugin| plugin.methods().to_vec()),
                }
            })
            .collect()
    }

    /// The steps of one kind that all managers offer, by class name. Where several offer one of the
    /// same name, one of them is reported (contract/control-plane 7.4).
    ///
    /// One manager's failure fails the whole: the conductor must not clean with half of the steps.
    pub fn steps(
        &self,
        kind: StepKind,
        node: &Node,
        ports: &[Port],
    ) -> Result<BTreeMap<String, Vec<Step>>, ManagerError> {
        self.require()?;
        let method = Method::steps_of(kind);
        let offers = self
            .dispatcher
            .all(method, |manager| manager.steps(kind, node, ports))?
            .into_iter()
            .map(|(ranked, steps)| Offer {
                class_name: ranked.manager.class_name(),
                level: ranked.level,
                steps,
            })
            .collect();
        Ok(steps::winners(offers))
    }

    /// Name and version of every manager. The conductor compares them between runs, for equality.
    pub fn versions(&self) -> BTreeMap<String, String> {
        self.dispatcher
            .ranked()
            .iter()
            .map(|ranked| {
                let version = ranked.manager.version();
                (version.name, version.version)
            })
            .collect()
    }

    /// Run the step of this name on the first manager that does not decline it, which need not be
    /// the one that reported it, nor need it be reported at all.
    ///
    /// `HardwareManagerMethodNotFound` where nobody has it, with the reasons that were given.
    pub(crate) fn execute_step(
        &self,
        context: &dyn Context,
        kind: StepKind,
        step: &StepCall<'_>,
    ) -> Result<Value, ManagerError> {
        // Once more: one that has been dropped since must not be stood in for either.
        self.require()?;
        info!(kind = kind.word(), step = step.name, "executing step");
        self.dispatcher.first(step.name, |manager| {
            let own = self.generic.as_deref();
            match own.filter(|own| std::ptr::addr_eq(*own, manager)) {
                Some(own) => own.run(context, step),
                None => {
                    manager.execute_step(context, step.name, step.node, step.ports, step.arguments)
                }
            }
        })
    }

    /// The plugins that are not used, with the reason.
    pub fn refused(&self) -> Vec<Refused> {
        self.plugins
            .refused()
            .iter()
            .cloned()
            .chain(self.plugins.idle())
            .collect()
    }

    /// Fails where a manager that the site requires does not answer.
    fn require(&self) -> Result<(), ManagerError> {
        let names: Vec<String> = self
            .dispatcher
            .ranked()
            .iter()
            .flat_map(|ranked| {
                let manager = &ranked.manager;
                [manager.class_name().to_owned(), manager.version().name]
            })
            .collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        self.plugins
            .require(&self.options.current().required_hardware_managers, &names)
    }

    /// This machine is that node from now on. Where its UUID or its root device hints are others than
    /// before, waits for the root disk, at most 45 s. (The reference waits for another UUID alone, and
    /// hints that come with a deploy meet a disk that nobody has waited for.)
    pub fn set_node(&self, node: Node) {
        let is_new = {
            let mut current = lock(&self.node);
            let is_new = current
                .as_ref()
                .is_none_or(|current| identity(current) != identity(&node));
            *current = Some(node.clone());
            is_new
        };
        if is_new {
            disk_wait::wait_for_root_disk(
                &self.dispatcher,
                &self.options.current(),
                Some(&node),
                generic::CLASS_NAME,
            );
        }
    }

    /// The node that this machine is, once a lookup or a command said so.
    pub fn node(&self) -> Option<Node> {
        lock(&self.node).clone()
    }

    /// The inventory as it was when it was first asked for: lookup and inspection agree on it, and
    /// the slow parts are read once.
    pub fn inventory(&self) -> Result<Arc<Inventory>, ManagerError> {
        // Held while it is gathered, so that two callers do not gather it twice.
        let mut cached = lock(&self.inventory);
        if let Some(inventory) = &*cached {
            return Ok(Arc::clone(inventory));
        }
        let inventory = Arc::new(self.inventory_uncached()?);
        *cached = Some(Arc::clone(&inventory));
        Ok(inventory)
    }

    /// The inventory where it was gathered already.
    pub fn gathered_inventory(&self) -> Option<Arc<Inventory>> {
        lock(&self.inventory).clone()
    }

    /// Have the inventory gathered anew when it is asked for next: the machine may have changed.
    pub fn forget_inventory(&self) {
        *lock(&self.inventory) = None;
    }

    /// The inventory as it is now.
    pub fn inventory_uncached(&self) -> Result<Inventory, ManagerError> {
        let mut inventory = self.dispatcher.first(Method::ListHardwareInfo, |manager| {
            manager.list_hardware_info()
        })?;
        // Not kept with the node, as in the reference: the next command replaces the node by one that
        // says nothing of it.
        if self.options.current().skip_bmc_detect {
            inventory.bmc_address = None;
            inventory.bmc_v6address = None;
            inventory.bmc_mac = None;
        }
        Ok(inventory)
    }

    /// What switches announce by LLDP. The first caller waits for it, as long as the options let
    /// it.
    pub fn collect_lldp_data(&self) -> Result<LldpData, ManagerError> {
        self.dispatcher.first(Method::CollectLldpData, |manager| {
            manager.collect_lldp_data(None)
        })
    }

    /// USB devices of no common kind.
    pub fn usb_devices(&self) -> Result<Vec<UsbDevice>, ManagerError> {
        self.dispatcher
            .first(Method::GetUsbDevices, |manager| manager.usb_devices())
    }

    /// A certificate for the agent's API at this address, valid by the conductor's time.
    pub fn generate_tls_certificate(
        &self,
        ip_address: IpAddr,
        now: SystemTime,
    ) -> Result<TlsCertificate, ManagerError> {
        self.dispatcher
            .first(Method::GenerateTlsCertificate, |manager| {
                manager.generate_tls_certificate(ip_address, now)
            })
    }

    /// Why there is no disk that an image could go to, as was found when it was last waited for; `None` where
    /// there is one. Does not wait.
    pub(crate) fn missing_disk(&self) -> Option<String> {
        self.dispatcher.missing_disk()
    }

    /// The disk that an image would go to now, by the node's root device hints.
    ///
    /// `DeviceNotFound` where no disk fits.
    pub fn os_install_device(&self) -> Result<BlockDevice, ManagerError> {
        let node = self.node();
        let found = self.dispatcher.first_expecting(
            ErrorKind::DeviceNotFound,
            Method::GetOsInstallDevice,
            |manager| manager.os_install_device(node.as_ref(), false),
        );
        if found.is_ok() {
            self.dispatcher.set_missing_disk(None);
        }
        found
    }

    /// Make the installed system bootable.
    pub fn install_bootloader(
        &self,
        context: &dyn Context,
        arguments: &StepArguments,
    ) -> Result<(), ManagerError> {
        let node = self.node().unwrap_or_default();
        self.dispatcher.first(Method::InstallBootloader, |manager| {
            manager.install_bootloader(context, &node, arguments)
        })
    }

    /// What was written in this run of the agent.
    pub fn partition_uuids(&self) -> Result<Value, ManagerError> {
        self.dispatcher
            .first("get_partition_uuids", |manager| manager.partition_uuids())
    }

    /// The log archive for the conductor, a gzipped tar: our own log as `journal`, the options in
    /// force, who answers on this machine, and what every manager adds.
    ///
    /// A manager that fails is noted in the archive's `errors`: logs are collected because
    /// something is broken.
    pub fn collect_logs(&self) -> Result<Vec<u8>, ManagerError> {
        let options = format!("{:#?}\n", self.options.current());
        let mut members = vec![
            ("journal".to_owned(), log::text()),
            ("options".to_owned(), options.into_bytes()),
            ("plugins".to_owned(), self.plugins_text().into_bytes()),
        ];
        let mut errors = String::new();
        for Ranked { manager, .. } in self.dispatcher.ranked() {
            match manager.collect_system_logs() {
                Ok(added) => members.extend(added),
                Err(error) if error.declines() => {}
                Err(error) => {
                    warn!(
                        manager = manager.class_name(),
                        error = error.chain(),
                        "logs could not be collected"
                    );
                    errors.push_str(&format!("{}: {}\n", manager.class_name(), error.chain()));
                }
            }
        }
        if !errors.is_empty() {
            members.push(("errors".to_owned(), errors.into_bytes()));
        }
        logs::archive(members).map_err(|error| {
            ManagerError::new(
                ErrorKind::CommandExecution,
                "The log archive could not be packed",
            )
            .with_source(error)
        })
    }

    /// Who answers on this machine, and which plugins do not, with the reason.
    fn plugins_text(&self) -> String {
        let mut text = String::new();
        for entry in self.roster() {
            let plugin = entry.plugin.map_or_else(
                || "built in".to_owned(),
                |plugin| format!("plugin {plugin}, {}", entry.methods.join(" ")),
            );
            text.push_str(&format!(
                "{} {} {}, level {}, {plugin}\n",
                entry.class_name, entry.name, entry.version, entry.level
            ));
        }
        for refused in self.refused() {
            text.push_str(&format!("{} not used: {}\n", refused.name, refused.why));
        }
        text
    }

    /// Bring everything that was written onto the media, on all managers.
    pub fn full_sync(&self) -> Result<(), ManagerError> {
        self.dispatcher
            .all(Method::FullSync, |manager| manager.full_sync())?;
        Ok(())
    }
}

fn initialize(manager: &dyn HardwareManager, context: &dyn Context) {
    let started = Instant::now();
    let initialized = catch_unwind(AssertUnwindSafe(|| manager.initialize(context)));
    let manager = manager.class_name();
    match initialized {
        Ok(Ok(())) => debug!(
            manager,
            milliseconds = started.elapsed().as_millis(),
            "initialised"
        ),
        Ok(Err(error)) => warn!(
            manager,
            error = error.chain(),
            "a hardware manager could not be initialised"
        ),
        Err(panic) => warn!(
            manager,
            error = panic_text(&*panic),
            "initialising a hardware manager ended in a panic"
        ),
    }
}

/// What the wait for the root disk depends on.
fn identity(node: &Node) -> (Option<&str>, [Option<&Value>; 2]) {
    let hints = ["instance_info", "properties"].map(|part| node.field(part, "root_device"));
    (node.uuid(), hints)
}

/// The machine's disks for plugins that ask for them: read from the kernel, never by dispatch, which
/// would call back into the plugin that asks. What was hidden at the last listing is left out.
fn devices_of(root: Root, dispatcher: Weak<Dispatcher>) -> Devices {
    Arc::new(move |include_partitions| {
        let mut devices =
            list::list_block_devices(&root, include_partitions).map_err(|source| {
                ManagerError::new(ErrorKind::BlockDevice, "Block devices could not be listed")
                    .with_source(source)
            })?;
        if let Some(dispatcher) = dispatcher.upgrade() {
            let hidden = dispatcher.hidden();
            devices.retain(|device| !hidden.contains(&device.name));
        }
        Ok(devices)
    })
}

/// What a mutex guards is replaced whole, so a panic elsewhere cannot have left it half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
