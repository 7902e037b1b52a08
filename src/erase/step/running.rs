//! A running step: what is asked of it, and what is looked at and chosen once, at its start.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use farrier_plugin::{BlockDevice, Context, ErrorKind, ManagerError, chain};
use tracing::{info, warn};

use crate::block::skip::SkipList;
use crate::config::Options;
use crate::erase::error::EraseError;
use crate::erase::flags::EraseFlags;
#[cfg(test)]
use crate::erase::guard::ReadOnly;
use crate::erase::guard::{Guard, Policy, SecondLook, Verdict};
use crate::erase::plan::Plan;
use crate::erase::record::{EraseRecord, RecordStore, deliver};
use crate::erase::step::passwords::take_passwords_off;
use crate::erase::step::release::release;
use crate::erase::step::scopes::Scopes;
use crate::erase::step::side_by_side::Failure;
use crate::sys::root::Root;

/// What is to be gone from the devices.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Aim {
    /// All that they hold, so that it can be proven. Records are delivered.
    Data,
    /// What makes them look used.
    Metadata,
    /// The same, and NVMe namespaces are formatted.
    Express,
}

/// What a caller asks of a step.
pub(crate) struct Order {
    /// Where the devices are.
    pub root: Root,
    /// The step's name, in its records.
    pub name: &'static str,
    /// The node's UUID, in its records.
    pub node: Option<String>,
    /// What is to be gone.
    pub aim: Aim,
    /// The node's flags.
    pub flags: EraseFlags,
    /// What the guard allows.
    pub policy: Policy,
    /// What lies on these devices is not taken apart.
    pub skipped: SkipList,
    /// All of the devices, or none of them is touched: a person named each.
    pub all_or_none: bool,
    /// The options in force, for the delivery of records.
    pub options: Arc<Options>,
    /// Where records are kept; none of a machine that is not the ramdisk.
    pub records: Option<RecordStore>,
}

/// One running step. It owns what its devices' turns share, and is gone with the step.
pub(crate) struct EraseStep {
    pub(super) order: Order,
    devices: Vec<BlockDevice>,
    guard: Guard,
    /// By the device's name: none of a device that could not be planned.
    pub(super) plans: BTreeMap<String, Plan>,
    pub(super) scopes: Scopes,
    /// Names of the drives that were found with a password of ours.
    pub(super) freed: Vec<String>,
    /// Drives that stay locked, where the step has no method that unlocks them.
    pub(super) locked: Vec<Failure>,
    taken_apart: Vec<String>,
}

/// How a device would be erased.
#[derive(Debug)]
pub(crate) struct Foreseen {
    /// The methods; none where it would not be erased.
    pub plan: Plan,
    /// Why it would not be erased.
    pub not_erased: Option<String>,
    /// The arrays and volumes on it that would be taken apart first, by name.
    pub taken_apart: Vec<String>,
}

impl Order {
    fn survey(&self) -> Result<Guard, ManagerError> {
        Guard::survey(&self.root, self.policy)?
            .sparing(&self.skipped)
            .map_err(|error| ManagerError::new(ErrorKind::BlockDevice, error.to_string()))
    }

    /// What the tests ask for: one device after the other, and nothing kept or sent.
    #[cfg(test)]
    pub(super) fn of_tests(root: Root, aim: Aim) -> Self {
        Self {
            root,
            name: "erase_devices",
            node: None,
            aim,
            flags: EraseFlags::from_node(&farrier_plugin::Node::default()).unwrap(),
            policy: Policy {
                may_destroy: true,
                guard_special_filesystems: true,
                read_only: ReadOnly::Fail,
                keep_idle_members: false,
                keep_arrays: false,
            },
            skipped: SkipList::default(),
            all_or_none: false,
            options: Arc::default(),
            records: None,
        }
    }

    fn record(&self, plan: Plan) -> EraseRecord {
        EraseRecord::begin(self.name, self.node.as_deref(), plan)
    }
}

impl EraseStep {
    /// Begin a step: passwords are taken off, everything is looked at, what lies on the devices is taken
    /// apart, and each device gets a plan, before the first of them is erased.
    ///
    /// `list` lists the devices, and does it again where something changed meanwhile; it is told the
    /// names of what was taken apart until then.
    ///
    /// An error, with nothing erased, where a device forbids to touch any.
    pub(crate) fn begin(
        order: Order,
        list: impl Fn(&[String]) -> Result<Vec<BlockDevice>, ManagerError>,
        context: &dyn Context,
    ) -> Result<Self, ManagerError> {
        let options = &order.options;
        let is_required = order.aim == Aim::Data && options.erase_record_required;
        if is_required && options.erase_record_url.is_none() {
            return Err(EraseError::NoReceiver.into());
        }
        let devices = list(&[])?;
        demand_wanted(context)?;
        let (freed, locked) = if order.policy.may_destroy {
            // A locked drive cannot be searched for what must not be touched.
            take_passwords_off(&order.root, &devices)
        } else {
            Default::default()
        };
        Self::after_passwords(order, devices, (freed, locked), list, context)
    }

    /// The rest of it, when the passwords are off the drives of these names, and some stay locked: an
    /// error tells of the former.
    pub(super) fn after_passwords(
        order: Order,
        devices: Vec<BlockDevice>,
        (freed, locked): (Vec<String>, Vec<Failure>),
        list: impl Fn(&[String]) -> Result<Vec<BlockDevice>, ManagerError>,
        context: &dyn Context,
    ) -> Result<Self, ManagerError> {
        let guard = Guard::of_nothing(order.policy);
        let mut step = Self::with(order, devices, guard);
        step.freed = freed;
        let prepared = step.prepare(locked, list, context);
        if let Err(error) = prepared {
            step.tell_of_freed(&error);
            return Err(error);
        }
        Ok(step)
    }

    fn prepare(
        &mut self,
        locked: Vec<Failure>,
        list: impl Fn(&[String]) -> Result<Vec<BlockDevice>, ManagerError>,
        context: &dyn Context,
    ) -> Result<(), ManagerError> {
        if !self.freed.is_empty() {
            self.devices = list(&[])?;
        }
        self.guard = self.order.survey()?.taking_apart(&names(&self.devices));
        self.release(list, context)?;
        if self.order.aim != Aim::Data {
            // Where data is to go, the plan of a locked drive says what can be done.
            let is_locked = |name: &str| locked.iter().any(|failure| failure.device == name);
            self.devices.retain(|device| !is_locked(&device.name));
            self.locked = locked;
        }
        self.plan_all()
    }

    /// How each of these devices would be erased; touches nothing.
    pub(crate) fn foresee(
        order: Order,
        devices: Vec<BlockDevice>,
    ) -> Result<Vec<Foreseen>, ManagerError> {
        let step = Self::survey(order, devices)?;
        Ok(step
            .devices
            .iter()
            .map(|device| step.foreseen(device))
            .collect())
    }

    fn survey(order: Order, devices: Vec<BlockDevice>) -> Result<Self, ManagerError> {
        let guard = order.survey()?.taking_apart(&names(&devices));
        Ok(Self::with(order, devices, guard))
    }

    fn with(order: Order, devices: Vec<BlockDevice>, guard: Guard) -> Self {
        Self {
            order,
            devices,
            guard,
            plans: BTreeMap::new(),
            scopes: Scopes::default(),
            freed: Vec::new(),
            locked: Vec::new(),
            taken_apart: Vec::new(),
        }
    }

    fn foreseen(&self, device: &BlockDevice) -> Foreseen {
        let taken_apart = self.guard.taken_apart_of(&device.name);
        let plan = match self.verdict(device) {
            _ if taken_apart.contains(&device.name.as_str()) => Err(
                "it is taken apart, and what is on it goes with the disks that it lies on"
                    .to_owned(),
            ),
            Verdict::Erase | Verdict::Beside(_) => {
                self.plan(device).map_err(|error| error.to_string())
            }
            Verdict::Skip(reason) => Err(reason),
            Verdict::Refuse(error) => Err(error.to_string()),
        };
        match plan {
            Ok(plan) => Foreseen {
                plan,
                not_erased: None,
                taken_apart: taken_apart.into_iter().map(str::to_owned).collect(),
            },
            Err(reason) => Foreseen {
                plan: Plan::none(device),
                not_erased: Some(reason),
                taken_apart: Vec::new(),
            },
        }
    }

    /// Take apart what lies on the devices, when none of them forbids to touch any, before and after.
    fn release(
        &mut self,
        list: impl Fn(&[String]) -> Result<Vec<BlockDevice>, ManagerError>,
        context: &dyn Context,
    ) -> Result<(), ManagerError> {
        self.check_all()?;
        let names = names(&self.devices);
        // Partitions of an array are among them: they cannot be listed any more.
        let gone = release(&self.order.root, &self.guard, &names, context);
        demand_wanted(context)?;
        if gone.is_empty() {
            return Ok(());
        }
        // A partition that nobody named is no news.
        let is_told = |name: &&String| names.contains(name.as_str()) || self.guard.is_holder(name);
        self.taken_apart = gone.iter().filter(is_told).cloned().collect();
        self.devices = list(&gone)?;
        self.guard = self.order.survey()?;
        // What was hidden in an array can be seen now.
        self.check_all()
    }

    /// Before anything is touched: whether there is a device on whose account nothing may be. The
    /// reference looks at each device when its turn comes, with others being erased already.
    fn check_all(&self) -> Result<(), ManagerError> {
        let mut refusals = Vec::new();
        for device in &self.devices {
            match self.verdict(device) {
                Verdict::Refuse(error) if self.order.all_or_none || error.stops_all() => {
                    refusals.push((error.kind(), ManagerError::from(error).chain()));
                }
                Verdict::Skip(reason) if self.order.all_or_none => refusals.push((
                    ErrorKind::BlockDeviceErase,
                    format!("{} is not erased, and nothing else: {reason}", device.name),
                )),
                _ => {}
            }
        }
        let Some((kind, _)) = refusals.first() else {
            return Ok(());
        };
        let texts: Vec<&str> = refusals.iter().map(|(_, text)| text.as_str()).collect();
        Err(ManagerError::new(*kind, texts.join("; ")))
    }

    /// How each device is to be erased, as it is now. One that cannot be planned is planned again at its
    /// turn, and fails then alone, if no other manager erases it.
    fn plan_all(&mut self) -> Result<(), ManagerError> {
        let mut plans = BTreeMap::new();
        for device in &self.devices {
            if !matches!(self.verdict(device), Verdict::Erase | Verdict::Beside(_)) {
                continue;
            }
            match self.plan(device) {
                Ok(plan) => {
                    info!(
                        device = device.name,
                        methods = plan.in_words(),
                        "is planned to be erased, if no other hardware manager does it"
                    );
                    plans.insert(device.name.clone(), plan);
                }
                Err(error) if self.order.all_or_none => return Err(error.into()),
                Err(_) => {}
            }
        }
        self.plans = plans;
        Ok(())
    }

    fn plan(&self, device: &BlockDevice) -> Result<Plan, EraseError> {
        let Order { root, flags, .. } = &self.order;
        let may_erase = |name: &str| {
            let mut devices = self.devices.iter();
            let other = devices.find(|device| device.name == name);
            other.is_some_and(|other| matches!(self.verdict(other), Verdict::Erase))
        };
        if let Verdict::Beside(_) = self.verdict(device) {
            return Plan::beside_arrays(root, device, flags);
        }
        match self.order.aim {
            Aim::Data => Plan::for_device(root, device, flags, &may_erase),
            Aim::Metadata => Ok(Plan::for_metadata(device)),
            Aim::Express => Ok(Plan::for_express(root, device, flags, &may_erase)),
        }
    }

    /// By the survey.
    fn verdict(&self, device: &BlockDevice) -> Verdict {
        if is_file(device) {
            return Verdict::Erase;
        }
        self.of_this_step(self.guard.verdict(&device.name))
    }

    /// What lies beside arrays is erased where all data is to go, not where devices are to look unused.
    pub(super) fn of_this_step(&self, verdict: Verdict) -> Verdict {
        match verdict {
            Verdict::Beside(reason) if self.order.aim != Aim::Data => Verdict::Skip(reason),
            verdict => verdict,
        }
    }

    /// Just before the device is touched.
    pub(super) fn verdict_now(&self, device: &BlockDevice) -> Verdict {
        if is_file(device) {
            return Verdict::Erase;
        }
        let verdict = self.guard.verdict_now(&self.order.root, &device.name);
        self.of_this_step(verdict)
    }

    /// All devices again, beside those of the survey.
    pub(super) fn second_look(&self) -> Result<SecondLook<'_>, EraseError> {
        self.guard.look_again(&self.order.root)
    }

    /// The devices that the step is about, without those that were taken apart.
    pub(crate) fn devices(&self) -> &[BlockDevice] {
        &self.devices
    }

    /// Names of the arrays and volumes that were taken apart for it, and of the arrays' partitions.
    pub(crate) fn taken_apart(&self) -> &[String] {
        &self.taken_apart
    }

    /// How many devices may be erased at the same time.
    pub(crate) fn concurrency(&self) -> usize {
        self.order.flags.concurrency
    }

    /// The plan of a device whose turn it is.
    pub(super) fn plan_of(&self, device: &BlockDevice) -> Result<Plan, EraseError> {
        match self.plans.get(&device.name) {
            Some(plan) => Ok(plan.clone()),
            None => self.plan(device),
        }
    }

    /// The record of a device that is given to another manager.
    pub(super) fn record(&self, device: &BlockDevice) -> EraseRecord {
        let mut record = self.order.record(Plan::none(device));
        if self.freed.contains(&device.name) {
            record.found_interrupted(FREED.to_owned());
        }
        record
    }

    /// The record of a device whose turn it is, kept from now on.
    pub(super) fn begin_record(&self, plan: Plan) -> EraseRecord {
        let mut record = self.order.record(plan);
        let device = &record.device().name;
        let records = self.order.records.as_ref();
        if let Some(started) = records.and_then(|records| records.unfinished(&record)) {
            warn!(
                device,
                started, "an erase of this device was interrupted; it begins anew"
            );
            record.found_interrupted(started);
        } else if self.freed.contains(device) {
            record.found_interrupted(FREED.to_owned());
        }
        self.keep(&record);
        record
    }

    fn keep(&self, record: &EraseRecord) {
        if let Some(records) = &self.order.records {
            records.keep(record);
        }
    }

    /// Keep, show and send the record of a device that is done with, whatever came of it.
    pub(super) fn end_record(
        &self,
        record: &EraseRecord,
        outcome: Result<(), ManagerError>,
        context: &dyn Context,
    ) -> Result<(), ManagerError> {
        self.keep(record);
        info!("{}", record.line());
        if self.order.aim != Aim::Data {
            return outcome;
        }
        let options = &self.order.options;
        let delivered = deliver(options, &record.to_json(), context);
        outcome?;
        if let Err(source) = delivered {
            let device = record.device().name.clone();
            if options.erase_record_required {
                let kept = match self.order.records {
                    Some(_) => "; it is in the log archive",
                    None => "",
                };
                return Err(EraseError::Undelivered {
                    device,
                    kept,
                    source: Box::new(source),
                }
                .into());
            }
            warn!(
                device,
                error = chain(&source),
                "the erase record was not delivered"
            );
        }
        Ok(())
    }

    /// A step that ends here must not keep to itself what it did to drives.
    pub(super) fn tell_of_freed(&self, error: &ManagerError) {
        for device in self
            .devices
            .iter()
            .filter(|device| self.freed.contains(&device.name))
        {
            let mut record = self.record(device);
            record.fail(error);
            self.keep(&record);
            info!("{}", record.line());
        }
    }
}

/// When the interrupted erase of a drive began that had a password of ours.
const FREED: &str = "not known: the drive had farrier's password";

fn demand_wanted(context: &dyn Context) -> Result<(), EraseError> {
    if context.is_cancelled() {
        return Err(EraseError::NotBegun);
    }
    Ok(())
}

fn names(devices: &[BlockDevice]) -> BTreeSet<&str> {
    devices.iter().map(|device| device.name.as_str()).collect()
}

/// A file is what its owner says; the guard knows devices.
pub(super) fn is_file(device: &BlockDevice) -> bool {
    device.extra["type"] == "file"
}
