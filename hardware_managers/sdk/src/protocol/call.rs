//! The methods of a manager by their names, with their parameters and results as JSON.

use std::time::{Duration, SystemTime};

use serde_json::{Map, Value, json};

use super::answers::{Done, ErasedDevices, FilteredDevice, LogMember, RootDisk};
use super::device::{WireDevice, filtered_to_wire};
use super::method::{self, Call, Method, UnknownMethod};
use super::parameters::{
    Certificate, DeviceErase, DiskWait, Execution, Filter, Installation, Interface, Listing, Lldp,
    NodeListing, Nothing, OfNode, OfPorts, RootDevice, SkipList,
};
use super::{Failure, INTERNAL_ERROR, INVALID_PARAMS, METHOD_NOT_FOUND};
use crate::{
    BlockDevice, Context, HardwareManager, LargeStrings, ManagerError, Step, StepArguments,
    StepKind,
};

/// The year 9999: what a date in a certificate can hold, and every clock.
const MOST_SECONDS: u64 = 253_402_300_799;

/// Call a method of a manager with the parameters of a request.
pub fn call(
    manager: &dyn HardwareManager,
    context: &dyn Context,
    method: &str,
    params: Value,
) -> Result<Value, Failure> {
    let method: Method = method
        .parse()
        .map_err(|unknown: UnknownMethod| Failure::new(METHOD_NOT_FOUND, unknown.to_string()))?;
    match method {
        Method::EvaluateHardwareSupport => {
            answer::<method::EvaluateHardwareSupport>(params, |Nothing {}| {
                manager.evaluate_hardware_support()
            })
        }
        Method::Initialize => answer::<method::Initialize>(params, |Nothing {}| {
            manager.initialize(context).map(Done::from)
        }),
        Method::FilterDevice => answer::<method::FilterDevice>(params, |Filter(device)| {
            let kept = manager.filter_device(&device)?;
            Ok(FilteredDevice(filtered_to_wire(kept.as_ref())))
        }),
        Method::ListNetworkInterfaces => {
            answer::<method::ListNetworkInterfaces>(params, |Nothing {}| {
                manager.list_network_interfaces()
            })
        }
        Method::GetInterfaceInfo => {
            answer::<method::GetInterfaceInfo>(params, |Interface { interface_name }| {
                manager.interface_info(&interface_name)
            })
        }
        Method::CollectLldpData => {
            answer::<method::CollectLldpData>(params, |Lldp { interface_names }| {
                manager.collect_lldp_data(interface_names.as_deref())
            })
        }
        Method::GetCpus => answer::<method::GetCpus>(params, |Nothing {}| manager.cpus()),
        Method::GetMemory => answer::<method::GetMemory>(params, |Nothing {}| manager.memory()),
        Method::ListBlockDevices => {
            answer::<method::ListBlockDevices>(params, |Listing { include_partitions }| {
                manager.list_block_devices(include_partitions).map(on_wire)
            })
        }
        Method::ListBlockDevicesCheckSkipList => {
            answer::<method::ListBlockDevicesCheckSkipList>(params, |listing: NodeListing| {
                manager
                    .list_block_devices_check_skip_list(&listing.node, listing.include_partitions)
                    .map(on_wire)
            })
        }
        Method::GetSkipListFromNodeForDisks => {
            answer::<method::GetSkipListFromNodeForDisks>(params, |list: SkipList| {
                let among: Option<Vec<BlockDevice>> = list.block_devices.map(|devices| {
                    devices
                        .into_iter()
                        .map(|WireDevice(device)| device)
                        .collect()
                });
                manager.skip_list_for_disks(&list.node, among.as_deref())
            })
        }
        Method::GetSkipListFromNodeForRaids => {
            answer::<method::GetSkipListFromNodeForRaids>(params, |OfNode { node }| {
                manager.skip_list_for_raids(&node)
            })
        }
        Method::GetOsInstallDevice => {
            answer::<method::GetOsInstallDevice>(params, |root: RootDevice| {
                manager
                    .os_install_device(root.node.as_ref(), root.permit_refresh)
                    .map(|device| RootDisk::Device(Box::new(WireDevice(device))))
            })
        }
        Method::WaitForDisks => answer::<method::WaitForDisks>(params, |DiskWait { node }| {
            manager.wait_for_disks(node.as_ref()).map(Done::from)
        }),
        Method::GetUsbDevices => {
            answer::<method::GetUsbDevices>(params, |Nothing {}| manager.usb_devices())
        }
        Method::GetBmcAddress => {
            answer::<method::GetBmcAddress>(params, |Nothing {}| manager.bmc_address())
        }
        Method::GetBmcV6address => {
            answer::<method::GetBmcV6address>(params, |Nothing {}| manager.bmc_v6address())
        }
        Method::GetBmcMac => answer::<method::GetBmcMac>(params, |Nothing {}| manager.bmc_mac()),
        Method::GetBootInfo => {
            answer::<method::GetBootInfo>(params, |Nothing {}| manager.boot_info())
        }
        Method::GetSystemVendorInfo => {
            answer::<method::GetSystemVendorInfo>(params, |Nothing {}| manager.system_vendor_info())
        }
        Method::ListHardwareInfo => {
            answer::<method::ListHardwareInfo>(params, |Nothing {}| manager.list_hardware_info())
        }
        Method::GenerateTlsCertificate => {
            answer::<method::GenerateTlsCertificate>(params, |Certificate { ip_address, now }| {
                let now = SystemTime::UNIX_EPOCH + Duration::from_secs(now.min(MOST_SECONDS));
                manager.generate_tls_certificate(ip_address, now)
            })
        }
        Method::EraseBlockDevice => {
            answer::<method::EraseBlockDevice>(params, |erase: DeviceErase| {
                let WireDevice(device) = erase.block_device;
                manager.erase_block_device(context, &erase.node, &device)
            })
        }
        Method::EraseDevices => {
            answer::<method::EraseDevices>(params, |OfPorts { node, ports }| {
                manager
                    .erase_devices(context, &node, &ports)
                    .map(ErasedDevices)
            })
        }
        Method::GetCleanSteps => steps::<method::GetCleanSteps>(manager, StepKind::Clean, params),
        Method::GetDeploySteps => {
            steps::<method::GetDeploySteps>(manager, StepKind::Deploy, params)
        }
        Method::GetServiceSteps => {
            steps::<method::GetServiceSteps>(manager, StepKind::Service, params)
        }
        Method::ExecuteStep => answer::<method::ExecuteStep>(params, |execution: Execution| {
            manager.execute_step(
                context,
                &execution.step,
                &execution.node,
                &execution.ports,
                &arguments(execution.arguments),
            )
        }),
        Method::InstallBootloader => {
            answer::<method::InstallBootloader>(params, |installation: Installation| {
                let arguments = arguments(installation.arguments);
                manager
                    .install_bootloader(context, &installation.node, &arguments)
                    .map(Done::from)
            })
        }
        Method::CollectSystemLogs => answer::<method::CollectSystemLogs>(params, |Nothing {}| {
            let logs = manager.collect_system_logs()?;
            Ok(logs
                .into_iter()
                .map(|(name, content)| LogMember {
                    name,
                    text: String::from_utf8_lossy(&content).into_owned(),
                })
                .collect())
        }),
        Method::FullSync => {
            answer::<method::FullSync>(params, |Nothing {}| manager.full_sync().map(Done::from))
        }
    }
}

fn steps<M: Call<Arguments = OfPorts, Answer = Vec<Step>>>(
    manager: &dyn HardwareManager,
    kind: StepKind,
    params: Value,
) -> Result<Value, Failure> {
    answer::<M>(params, |OfPorts { node, ports }| {
        manager.steps(kind, &node, &ports)
    })
}

fn arguments(values: Map<String, Value>) -> StepArguments {
    StepArguments {
        values,
        large: LargeStrings::default().into(),
    }
}

fn on_wire(devices: Vec<BlockDevice>) -> Vec<WireDevice> {
    devices.into_iter().map(WireDevice).collect()
}

/// The answer of a method to these parameters. Absent ones are an empty object.
fn answer<M: Call>(
    params: Value,
    run: impl FnOnce(M::Arguments) -> Result<M::Answer, ManagerError>,
) -> Result<Value, Failure> {
    let params = match params {
        Value::Null => json!({}),
        params => params,
    };
    let arguments = serde_json::from_value(params).map_err(|error| {
        Failure::new(
            INVALID_PARAMS,
            format!("The parameters of {} cannot be read: {error}", M::METHOD),
        )
    })?;
    serde_json::to_value(run(arguments)?).map_err(|error| {
        Failure::new(
            INTERNAL_ERROR,
            format!("The result cannot be written as JSON: {error}"),
        )
    })
}
