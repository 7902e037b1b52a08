//! The methods that a manager can have: one line each, from which both sides, the schemas and the
//! time limits take what they need.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use serde::de::{Deserialize, DeserializeOwned};
use serde_json::Value;

use super::answers::{Done, ErasedDevices, FilteredDevice, LogMember, RootDisk};
use super::device::WireDevice;
use super::parameters::{
    Certificate, DeviceErase, DiskWait, Execution, Filter, Installation, Interface, Listing, Lldp,
    NodeListing, Nothing, OfNode, OfPorts, RootDevice, SkipList,
};
use crate::{
    BootInfo, Cpu, Inventory, LldpData, Memory, NetworkInterface, Step, StepKind, SystemVendor,
    TlsCertificate, UsbDevice,
};

/// A method with what it takes and gives.
pub trait Call {
    /// The method.
    const METHOD: Method;
    /// Its parameters.
    type Arguments: Serialize + DeserializeOwned;
    /// Its result.
    type Answer: Serialize + DeserializeOwned;
}

/// How long the agent waits for an answer; `docs/plugin-protocol.md` has the figures.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LimitClass {
    /// The search for a manager's hardware at its start.
    Initialization,
    /// About one device of a listing that waits for it.
    Device,
    /// The wait for disks that come up late.
    DiskWait,
    /// What is answered from what the machine says at once.
    Question,
    /// What works as long as it must: a step, an erase, a boot loader's installation.
    Work,
}

/// `name on the wire: type, limit, parameters => result;`
macro_rules! methods {
    ($($name:ident: $method:ident, $limit:ident, $arguments:ty => $answer:ty;)*) => {
        /// A method that a manager can have, by its name in the contract (contract/control-plane
        /// 8.9).
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum Method {
            $(#[doc = concat!("`", stringify!($name), "`")] $method,)*
        }

        $(
            #[doc = concat!("`", stringify!($name), "`")]
            #[derive(Clone, Copy, Debug)]
            pub enum $method {}

            impl Call for $method {
                const METHOD: Method = Method::$method;
                type Arguments = $arguments;
                type Answer = $answer;
            }
        )*

        impl Method {
            /// Every method.
            pub const ALL: &[Self] = &[$(Self::$method,)*];

            /// Its name on the wire.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$method => stringify!($name),)*
                }
            }

            /// How long its answer may take.
            pub const fn limit(self) -> LimitClass {
                match self {
                    $(Self::$method => LimitClass::$limit,)*
                }
            }

            /// Whether this can be its result.
            ///
            /// # Errors
            /// What is wrong with it.
            pub fn check_answer(self, answer: &Value) -> Result<(), serde_json::Error> {
                match self {
                    $(Self::$method => <$answer>::deserialize(answer).map(drop),)*
                }
            }

            /// The schemas of its parameters and its result.
            #[cfg(test)]
            pub(super) fn schemas(
                self,
                generator: &mut schemars::SchemaGenerator,
            ) -> (schemars::Schema, schemars::Schema) {
                match self {
                    $(Self::$method => (
                        generator.subschema_for::<$arguments>(),
                        generator.subschema_for::<$answer>(),
                    ),)*
                }
            }
        }
    };
}

methods! {
    evaluate_hardware_support: EvaluateHardwareSupport, Question, Nothing => u32;
    initialize: Initialize, Initialization, Nothing => Done;
    filter_device: FilterDevice, Device, Filter => FilteredDevice;
    list_network_interfaces: ListNetworkInterfaces, Question, Nothing => Vec<NetworkInterface>;
    get_interface_info: GetInterfaceInfo, Device, Interface => NetworkInterface;
    collect_lldp_data: CollectLldpData, Question, Lldp => LldpData;
    get_cpus: GetCpus, Question, Nothing => Cpu;
    get_memory: GetMemory, Question, Nothing => Memory;
    list_block_devices: ListBlockDevices, Question, Listing => Vec<WireDevice>;
    list_block_devices_check_skip_list: ListBlockDevicesCheckSkipList, Question,
        NodeListing => Vec<WireDevice>;
    get_skip_list_from_node_for_disks: GetSkipListFromNodeForDisks, Question,
        SkipList => Option<BTreeSet<String>>;
    get_skip_list_from_node_for_raids: GetSkipListFromNodeForRaids, Question,
        OfNode => Option<BTreeSet<String>>;
    get_os_install_device: GetOsInstallDevice, Question, RootDevice => RootDisk;
    wait_for_disks: WaitForDisks, DiskWait, DiskWait => Done;
    get_usb_devices: GetUsbDevices, Question, Nothing => Vec<UsbDevice>;
    get_bmc_address: GetBmcAddress, Question, Nothing => Option<String>;
    get_bmc_v6address: GetBmcV6address, Question, Nothing => Option<String>;
    get_bmc_mac: GetBmcMac, Question, Nothing => Option<String>;
    get_boot_info: GetBootInfo, Question, Nothing => BootInfo;
    get_system_vendor_info: GetSystemVendorInfo, Question, Nothing => SystemVendor;
    list_hardware_info: ListHardwareInfo, Question, Nothing => Inventory;
    generate_tls_certificate: GenerateTlsCertificate, Question, Certificate => TlsCertificate;
    erase_block_device: EraseBlockDevice, Work, DeviceErase => Value;
    erase_devices: EraseDevices, Work, OfPorts => ErasedDevices;
    get_clean_steps: GetCleanSteps, Question, OfPorts => Vec<Step>;
    get_deploy_steps: GetDeploySteps, Question, OfPorts => Vec<Step>;
    get_service_steps: GetServiceSteps, Question, OfPorts => Vec<Step>;
    // Stands for all steps.
    execute_step: ExecuteStep, Work, Execution => Value;
    install_bootloader: InstallBootloader, Work, Installation => Done;
    collect_system_logs: CollectSystemLogs, Question, Nothing => Vec<LogMember>;
    full_sync: FullSync, Question, Nothing => Done;
}

impl Method {
    /// The method that lists the steps of this kind.
    pub const fn steps_of(kind: StepKind) -> Self {
        match kind {
            StepKind::Clean => Self::GetCleanSteps,
            StepKind::Deploy => Self::GetDeploySteps,
            StepKind::Service => Self::GetServiceSteps,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl AsRef<str> for Method {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

/// There is no method of this name: one of a later version, or a slip of the pen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UnknownMethod(pub String);

impl fmt::Display for UnknownMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "There is no method {}", self.0)
    }
}

impl std::error::Error for UnknownMethod {}

impl FromStr for Method {
    type Err = UnknownMethod;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .copied()
            .find(|method| method.as_str() == name)
            .ok_or_else(|| UnknownMethod(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_method_has_its_name_and_no_other() {
        for method in Method::ALL {
            assert_eq!(method.as_str().parse(), Ok(*method));
        }
        for name in ["", "handshake", "GetCpus", "get_cpu", "of_a_later_version"] {
            assert_eq!(name.parse::<Method>(), Err(UnknownMethod(name.to_owned())));
        }
        for (kind, name) in [
            (StepKind::Clean, "get_clean_steps"),
            (StepKind::Deploy, "get_deploy_steps"),
            (StepKind::Service, "get_service_steps"),
        ] {
            assert_eq!(Method::steps_of(kind).as_str(), name);
        }
    }

    #[test]
    fn an_answer_is_looked_at_by_its_method() {
        let device = json!({ "name": "/dev/x", "size": 1 });
        for (method, fits, does_not) in [
            (Method::EvaluateHardwareSupport, json!(3), json!(-1)),
            (
                Method::ListBlockDevices,
                json!([device]),
                json!([{"size": 1}]),
            ),
            (Method::GetOsInstallDevice, json!("/dev/x"), json!({})),
            (
                Method::GetOsInstallDevice,
                device,
                json!({"name": "/dev/x"}),
            ),
            (Method::GetBmcMac, json!(null), json!(1)),
        ] {
            method.check_answer(&fits).unwrap();
            assert!(method.check_answer(&does_not).is_err(), "{method}");
        }
        // Whoever has nothing to say may say anything.
        for answer in [json!(null), json!({}), json!("done")] {
            Method::FullSync.check_answer(&answer).unwrap();
            Method::EraseDevices.check_answer(&answer).unwrap();
        }
    }
}
