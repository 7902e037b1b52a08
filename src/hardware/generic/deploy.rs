//! The generic manager's deploy steps.

use std::sync::PoisonError;

use farrier_plugin::protocol::Method;
use farrier_plugin::{BlockDevice, Context, ErrorKind, ManagerError, Node, Port, StepArguments};
use serde_json::{Value, json};
use tracing::{info, warn};

use super::erase::has_own_arrays;
use super::manager::GenericHardwareManager;
use crate::config::Options;
use crate::deploy::{self, ImageInfo, Protected};
use crate::erase::{EraseError, may_wipe_special_filesystems};

/// `write_image`: onto the disk that the first manager chooses (contract/data-plane 1.1).
pub(super) fn write_image(
    manager: &GenericHardwareManager,
    context: &dyn Context,
    node: &Node,
    image: Option<&ImageInfo>,
) -> Result<Value, ManagerError> {
    let options = manager.options.current();
    let device = root_device(manager, node)?;
    info!(device = device.name, size = device.size, "root device");
    let image = image.ok_or_else(ImageInfo::missing)?;
    let protected = protected(manager, node, &options)?;
    let deployed = deploy::write_image(context, node, &device, image, &options, &protected)?;
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
    let protected = protected(manager, node, &options)?;
    let around = (&manager.root, &protected);
    deploy::install_bootloader(context, node, &device, arguments, &options, around)?;
    Ok(())
}

/// `clean_uefi_nvram`, where the firmware's memory is ours to change.
pub(super) fn clean_uefi_nvram(
    manager: &GenericHardwareManager,
    arguments: &StepArguments,
) -> Result<Value, ManagerError> {
    if !manager.may_destroy {
        return Err(not_in_ramdisk("The firmware's list of boot entries"));
    }
    deploy::clean_uefi_nvram(arguments, &manager.root)?;
    Ok(Value::Null)
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

/// What is left alone on the disk that was chosen, as by an erase.
fn protected(
    manager: &GenericHardwareManager,
    node: &Node,
    options: &Options,
) -> Result<Protected, ManagerError> {
    let may_wipe = may_wipe_special_filesystems(node)?;
    Ok(Protected {
        skipped: manager.skip_list(node, None)?,
        shared_file_systems: options.guard_special_filesystems && !may_wipe,
        arrays: has_own_arrays(node),
    })
}

/// `inject_files`: into the system on the disk that [`write_image`] would choose (contract/data-plane 9.2).
/// The files are checked before anything is looked for.
pub(super) fn inject_files(
    manager: &GenericHardwareManager,
    context: &dyn Context,
    node: &Node,
    ports: &[Port],
    arguments: &StepArguments,
) -> Result<Value, ManagerError> {
    let files = deploy::Files::parse(node, ports, arguments)?;
    let mut options = Options::clone(&manager.options.current());
    options.insecure |= !deploy::verifies(arguments)?;
    if files.is_empty() {
        info!("no files to inject");
        return Ok(Value::Null);
    }
    let device = root_device(manager, node)?;
    deploy::inject_files(context, &device, &files, &options)?;
    Ok(Value::Null)
}

/// The disk that the image goes to, where this process may write to it at all.
fn root_device(manager: &GenericHardwareManager, node: &Node) -> Result<BlockDevice, ManagerError> {
    let peers = manager.peers()?;
    let device = peers.first(Method::GetOsInstallDevice, |peer| {
        peer.os_install_device(Some(node), true)
    })?;
    // It may have come after the last wait for it.
    peers.set_missing_disk(None);
    // The device of a recorded tree is not the one of this name here.
    if !manager.may_destroy || !manager.root.is_system() {
        return Err(not_in_ramdisk(&device.name));
    }
    Ok(device)
}

pub(super) fn not_in_ramdisk(device: &str) -> ManagerError {
    let refusal = EraseError::NotInRamdisk {
        device: device.to_owned(),
    };
    ManagerError::new(ErrorKind::Deployment, refusal.to_string())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::sync::Arc;

    use farrier_plugin::{HardwareManager, SilentContext};

    use super::*;
    use crate::config::Live;
    use crate::hardware::dispatch::Dispatcher;
    use crate::hardware::fake::FakeManager;
    use crate::stream::http_cases;
    use crate::stream::test_server::{Reply, TestServer};
    use crate::sys::loop_device::LoopDevice;
    use crate::sys::process::Program;
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
        dispatcher.set_missing_disk(Some("none yet".to_owned()));
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
        assert_eq!(dispatcher.missing_disk(), None, "there is a disk");
        let error = generic
            .install_bootloader(&SilentContext, &node, &StepArguments::default())
            .unwrap_err();
        assert!(error.to_string().contains("ramdisk"), "{error}");
        assert_eq!(generic.partition_uuids().unwrap(), json!({}));
        let error = generic
            .execute_step(
                &SilentContext,
                "clean_uefi_nvram",
                &node,
                &[],
                &StepArguments::default(),
            )
            .unwrap_err();
        assert!(error.to_string().contains("ramdisk"), "{error}");
    }
    /// On a loop device, which needs root.
    #[test]
    fn inject_files_takes_any_certificate_where_its_argument_says_so() {
        if !Path::new("/usr/sbin/debugfs").exists() {
            eprintln!("not run: needs e2fsprogs");
            return;
        }
        let files = tempfile::tempdir().unwrap();
        fs::create_dir(files.path().join("etc")).unwrap();
        let partition = tempfile::NamedTempFile::new().unwrap();
        partition.as_file().set_len(16 << 20).unwrap();
        let path = partition.path().display().to_string();
        Program::new("/usr/sbin/mkfs.ext4")
            .arg("-q")
            .arg("-d")
            .arg(files.path().display().to_string())
            .arg(&path)
            .run()
            .unwrap();
        let Some(device) = LoopDevice::over(partition.path(), 512) else {
            return;
        };
        let new = Arc::new(b"new".to_vec());
        let server = TestServer::start_tls(http_cases::certificate(), move |_, _| Reply::ok(&new));

        let dispatcher = Arc::<Dispatcher>::default();
        let options = Options {
            image_download_connection_retries: 0,
            ..Options::default()
        };
        let generic = Arc::new(GenericHardwareManager::new(
            Live::new(options),
            Root::system(),
            Arc::downgrade(&dispatcher),
            true,
        ));
        // Which disk is the root device is not what this is about: none of this machine's.
        let chooses = FakeManager::new("Chooses", 3);
        let root_disks = [(), ()].map(|()| Ok(BlockDevice::default()));
        chooses.root_disks.lock().unwrap().extend(root_disks);
        dispatcher
            .rank(vec![Arc::clone(&generic) as _, Arc::new(chooses)])
            .unwrap();
        let inject = |verify_ca: Value| {
            let mut arguments = StepArguments::default();
            let file =
                json!({"path": "/etc/a", "content": server.url("/a"), "partition": device.path()});
            arguments.values.insert("files".to_owned(), json!([file]));
            arguments.values.insert("verify_ca".to_owned(), verify_ca);
            generic.execute_step(
                &SilentContext,
                "inject_files",
                &Node::default(),
                &[],
                &arguments,
            )
        };
        let error = inject(json!(true)).unwrap_err();
        assert!(error.to_string().contains("certificate"), "{error}");
        assert_eq!(inject(json!(false)).unwrap(), Value::Null);
        drop(device);
        let there = Program::new("/usr/sbin/debugfs")
            .arg("-R")
            .arg("cat /etc/a")
            .arg(&path)
            .run()
            .unwrap();
        assert_eq!(there.stdout, "new");
    }
}
