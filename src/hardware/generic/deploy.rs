//! The generic manager's deploy steps.

use std::sync::PoisonError;

use farrier_plugin::{BlockDevice, Context, ErrorKind, ManagerError, Node, StepArguments};
use serde_json::{Value, json};
use tracing::{info, warn};

use super::GenericHardwareManager;
use crate::deploy;
use crate::erase::EraseError;

/// `write_image`: onto the disk that the first manager chooses (contract/data-plane 1.1).
pub(super) fn write_image(
    manager: &GenericHardwareManager,
    context: &dyn Context,
    node: &Node,
    arguments: &StepArguments,
) -> Result<Value, ManagerError> {
    let device = root_device(manager, node)?;
    info!(device = device.name, size = device.size, "root device");
    let options = manager.options.current();
    let deployed = deploy::write_image(context, node, &device, arguments, &options)?;
    *manager
        .written
        .lock()
        .unwrap_or_else(PoisonError::into_inner) = Some(deployed.partition_uuids);
    Ok(json!({"result": format!("prepare_image: {}", deployed.message)}))
}

/// `image.install_bootloader`, for the disk that [`write_image`] would choose (contract/data-plane
/// 5.2).
pub(super) fn install_bootloader(
    manager: &GenericHardwareManager,
    context: &dyn Context,
    node: &Node,
    arguments: &StepArguments,
) -> Result<(), ManagerError> {
    let device = root_device(manager, node)?;
    let options = manager.options.current();
    deploy::install_bootloader(context, node, &device, arguments, &options, &manager.root)?;
    Ok(())
}

/// What [`write_image`] wrote last in this run of the agent; an empty object before that.
pub(super) fn partition_uuids(manager: &GenericHardwareManager) -> Result<Value, ManagerError> {
    let written = manager
        .written
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    Ok(written.clone().unwrap_or_else(|| {
        warn!("no image was written in this run of the agent");
        json!({})
    }))
}

/// The disk that the image goes to, where this process may write to it at all.
fn root_device(manager: &GenericHardwareManager, node: &Node) -> Result<BlockDevice, ManagerError> {
    let device = manager.peers()?.first("get_os_install_device", |peer| {
        peer.os_install_device(Some(node), true)
    })?;
    // The device of a recorded tree is not the one of this name here.
    if !manager.may_destroy || !manager.root.is_system() {
        let refusal = EraseError::NotInRamdisk {
            device: device.name,
        };
        return Err(ManagerError::new(
            ErrorKind::Deployment,
            refusal.to_string(),
        ));
    }
    Ok(device)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use farrier_plugin::{HardwareManager, SilentContext};

    use super::*;
    use crate::config::{Live, Options};
    use crate::hardware::dispatch::Dispatcher;
    use crate::sys::root::Root;

    #[test]
    fn an_image_is_not_written_outside_a_ramdisk() {
        let tree = tempfile::tempdir().unwrap();
        let sysfs = tree.path().join("sys/block/sda");
        fs::create_dir_all(&sysfs).unwrap();
        fs::write(sysfs.join("dev"), "8:0").unwrap();
        fs::write(sysfs.join("size"), (16_u64 << 21).to_string()).unwrap();
        let dispatcher = Arc::<Dispatcher>::default();
        let generic = Arc::new(GenericHardwareManager::new(
            Live::new(Options::default()),
            Root::at(tree.path()),
            Arc::downgrade(&dispatcher),
            false,
        ));
        dispatcher.rank(vec![Arc::clone(&generic) as _]).unwrap();
        let node = Node::default();
        let chosen = generic.os_install_device(Some(&node), true).unwrap();
        assert_eq!(chosen.name, "/dev/sda");
        let error = generic
            .execute_step(
                &SilentContext,
                "write_image",
                &node,
                &[],
                &StepArguments::default(),
            )
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Deployment);
        assert!(error.to_string().contains("ramdisk"), "{error}");
        let error = generic
            .install_bootloader(&SilentContext, &node, &StepArguments::default())
            .unwrap_err();
        assert!(error.to_string().contains("ramdisk"), "{error}");
        assert_eq!(generic.partition_uuids().unwrap(), json!({}));
    }
}
