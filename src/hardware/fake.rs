//! A manager for tests, of this room and those above: says what it was told to say.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use farrier_plugin::{
    BlockDevice, Context, Device, ErrorKind, HardwareManager, Inventory, ManagerError,
    ManagerVersion, NetworkInterface, Node, Port, Step, StepArguments, StepKind, TlsCertificate,
    UsbDevice,
};
use serde_json::Value;

/// What a fake manager answers to the questions that tests ask.
#[derive(Clone)]
pub(crate) enum Answer {
    Text(&'static str),
    Null,
    Fail(ErrorKind, &'static str),
}

/// What is answered whenever it is asked for.
type Told<T> = Box<dyn Fn() -> Result<T, ManagerError> + Send + Sync>;

pub(crate) struct FakeManager {
    class_name: &'static str,
    version: ManagerVersion,
    level: Option<u32>,
    answer: Option<Answer>,
    executes: bool,
    hides: Vec<&'static str>,
    protects: Vec<&'static str>,
    steps: Vec<Step>,
    inventory: Option<Told<Inventory>>,
    root_disk: Option<Told<BlockDevice>>,
    certificate: Option<TlsCertificate>,
    /// How often its inventory was gathered.
    pub(crate) gathered: AtomicUsize,
    pub(crate) erased: Mutex<Vec<String>>,
    pub(crate) root_disks: Mutex<Vec<Result<BlockDevice, ManagerError>>>,
}

impl FakeManager {
    pub(crate) fn new(class_name: &'static str, level: u32) -> Self {
        Self {
            class_name,
            version: ManagerVersion {
                name: class_name.to_lowercase(),
                version: "1".to_owned(),
            },
            level: Some(level),
            answer: None,
            executes: true,
            hides: Vec::new(),
            protects: Vec::new(),
            steps: Vec::new(),
            inventory: None,
            root_disk: None,
            certificate: None,
            gathered: AtomicUsize::new(0),
            erased: Mutex::default(),
            root_disks: Mutex::default(),
        }
    }

    /// Cannot even be evaluated.
    pub(crate) fn broken(class_name: &'static str) -> Self {
        Self {
            level: None,
            ..Self::new(class_name, 0)
        }
    }

    pub(crate) fn answering(mut self, answer: Answer) -> Self {
        self.answer = Some(answer);
        self
    }

    /// Calls itself so.
    pub(crate) fn called(mut self, name: &str, version: &str) -> Self {
        self.version = ManagerVersion {
            name: name.to_owned(),
            version: version.to_owned(),
        };
        self
    }

    /// Knows the machine: this inventory, no USB device, and what is to be flushed.
    pub(crate) fn knowing(
        mut self,
        inventory: impl Fn() -> Inventory + Send + Sync + 'static,
    ) -> Self {
        self.inventory = Some(Box::new(move || Ok(inventory())));
        self
    }

    /// Gives this for the root disk, whenever it is asked.
    pub(crate) fn choosing(
        mut self,
        disk: impl Fn() -> Result<BlockDevice, ManagerError> + Send + Sync + 'static,
    ) -> Self {
        self.root_disk = Some(Box::new(disk));
        self
    }

    /// Makes this certificate for the API, where there is one.
    pub(crate) fn certifying(mut self, certificate: Option<TlsCertificate>) -> Self {
        self.certificate = certificate;
        self
    }

    /// Hides the devices of these names, and makes every other one its own.
    pub(crate) fn hiding(mut self, names: &[&'static str]) -> Self {
        self.hides = names.to_vec();
        self
    }

    /// Adds the devices or volumes of these names to every skip list.
    pub(crate) fn protecting(mut self, names: &[&'static str]) -> Self {
        self.protects = names.to_vec();
        self
    }

    /// Answers no step, whatever else it answers.
    pub(crate) fn only_erasing(mut self) -> Self {
        self.executes = false;
        self
    }

    pub(crate) fn offering(mut self, name: &str, priority: i64) -> Self {
        self.steps.push(Step {
            step: name.to_owned(),
            priority,
            interface: "deploy".to_owned(),
            reboot_requested: false,
            abortable: None,
            argsinfo: None,
        });
        self
    }

    fn answer(&self, method: &str) -> Result<Option<String>, ManagerError> {
        match &self.answer {
            None => Err(ManagerError::unsupported(method)),
            Some(Answer::Text(text)) => Ok(Some((*text).to_owned())),
            Some(Answer::Null) => Ok(None),
            Some(Answer::Fail(kind, details)) => Err(ManagerError::new(*kind, *details)),
        }
    }
}

impl HardwareManager for FakeManager {
    fn class_name(&self) -> &str {
        self.class_name
    }

    fn version(&self) -> ManagerVersion {
        self.version.clone()
    }

    fn evaluate_hardware_support(&self) -> Result<u32, ManagerError> {
        self.level.ok_or_else(|| {
            ManagerError::new(ErrorKind::HardwareManagerConfiguration, "no tool found")
        })
    }

    fn filter_device(&self, device: &Device) -> Result<Option<Device>, ManagerError> {
        if self.hides.is_empty() {
            return Err(ManagerError::unsupported("filter_device"));
        }
        if self.hides.contains(&"everything") {
            return Err(ManagerError::new(ErrorKind::CommandExecution, "no answer"));
        }
        if self.hides.contains(&device.name()) {
            return Ok(None);
        }
        let mut device = device.clone();
        match &mut device {
            Device::Block(device) => device.vendor = Some("VENDOR".to_owned()),
            Device::Network(interface) => interface.biosdevname = Some("em1".to_owned()),
            Device::Usb(device) => device.vendor = "VENDOR".to_owned(),
        }
        Ok(Some(device))
    }

    fn interface_info(&self, interface_name: &str) -> Result<NetworkInterface, ManagerError> {
        if self.hides.is_empty() {
            return Err(ManagerError::unsupported("get_interface_info"));
        }
        Ok(NetworkInterface {
            name: interface_name.to_owned(),
            client_id: Some("ff:00".to_owned()),
            ..NetworkInterface::default()
        })
    }

    fn skip_list_for_disks(
        &self,
        _node: &Node,
        _devices: Option<&[BlockDevice]>,
    ) -> Result<Option<BTreeSet<String>>, ManagerError> {
        let names = self.protects.iter().map(|name| (*name).to_owned());
        Ok(Some(names.collect()))
    }

    fn skip_list_for_raids(&self, node: &Node) -> Result<Option<BTreeSet<String>>, ManagerError> {
        self.skip_list_for_disks(node, None)
    }

    fn bmc_address(&self) -> Result<Option<String>, ManagerError> {
        self.answer("get_bmc_address")
    }

    fn list_hardware_info(&self) -> Result<Inventory, ManagerError> {
        if let Some(inventory) = &self.inventory {
            self.gathered.fetch_add(1, Ordering::SeqCst);
            return inventory();
        }
        Ok(Inventory {
            bmc_address: self.answer("list_hardware_info")?,
            ..Inventory::default()
        })
    }

    fn os_install_device(
        &self,
        _node: Option<&Node>,
        _permit_refresh: bool,
    ) -> Result<BlockDevice, ManagerError> {
        if let Some(root_disk) = &self.root_disk {
            return root_disk();
        }
        let mut disks = self.root_disks.lock().unwrap();
        if disks.is_empty() {
            return Err(ManagerError::unsupported("get_os_install_device"));
        }
        disks.remove(0)
    }

    fn usb_devices(&self) -> Result<Vec<UsbDevice>, ManagerError> {
        match self.inventory {
            Some(_) => Ok(Vec::new()),
            None => Err(ManagerError::unsupported("get_usb_devices")),
        }
    }

    fn generate_tls_certificate(
        &self,
        _ip_address: IpAddr,
        _now: SystemTime,
    ) -> Result<TlsCertificate, ManagerError> {
        self.certificate
            .clone()
            .ok_or_else(|| ManagerError::unsupported("generate_tls_certificate"))
    }

    fn full_sync(&self) -> Result<(), ManagerError> {
        match self.inventory {
            Some(_) => Ok(()),
            None => Err(ManagerError::unsupported("full_sync")),
        }
    }

    fn erase_block_device(
        &self,
        _context: &dyn Context,
        _node: &Node,
        device: &BlockDevice,
    ) -> Result<Value, ManagerError> {
        let answer = self.answer("erase_block_device")?;
        self.erased.lock().unwrap().push(device.name.clone());
        Ok(answer.map_or(Value::Null, Value::String))
    }

    fn collect_system_logs(&self) -> Result<Vec<(String, Vec<u8>)>, ManagerError> {
        let text = self.answer("collect_system_logs")?.unwrap_or_default();
        Ok(vec![(
            format!("{}.log", self.class_name.to_lowercase()),
            text.into_bytes(),
        )])
    }

    fn steps(
        &self,
        _kind: StepKind,
        _node: &Node,
        _ports: &[Port],
    ) -> Result<Vec<Step>, ManagerError> {
        Ok(self.steps.clone())
    }

    /// `until_told` goes on until it is told to stop, and calls that a result.
    fn execute_step(
        &self,
        context: &dyn Context,
        step: &str,
        _node: &Node,
        _ports: &[Port],
        _arguments: &StepArguments,
    ) -> Result<Value, ManagerError> {
        if !self.executes {
            return Err(ManagerError::unsupported(step));
        }
        if step == "until_told" {
            while !context.is_cancelled() {
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            return Ok("stopped in order".into());
        }
        Ok(self.answer(step)?.map_or(Value::Null, Value::String))
    }
}
