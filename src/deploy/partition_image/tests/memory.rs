//! How much memory a deploy takes, measured in a process of its own.

use std::fs::{self, File};
use std::io::Write;

use aws_lc_rs::digest::{Context, SHA256};
use farrier_plugin::{Node, SilentContext, StepArguments};
use serde_json::json;

use super::super::*;
use super::MIB;
use crate::sys::hex;
use crate::sys::process::Program;

/// The bound of SPECIFICATION.md, in KiB.
const BOUND: u64 = 96 << 10;

/// MiB of the image, more than the bound.
const IMAGE: usize = 256;

/// Leaves the places of file systems as they are.
struct NoFileSystems;

impl MakesFileSystems for NoFileSystems {
    fn check(&self, _: &Wanted<'_>) -> Result<(), DeployError> {
        Ok(())
    }

    fn make(&self, _: &Wanted<'_>) -> Result<(), DeployError> {
        Ok(())
    }
}

#[test]
fn a_partition_image_is_written_in_little_memory() {
    let child = Program::new("/proc/self/exe")
        .arg("--ignored")
        .arg("--exact")
        .arg("deploy::partition_image::tests::memory::deploy_within_the_bound");
    let said = child.run().unwrap().stdout;
    assert!(said.contains("1 passed"), "{said}");
}

#[test]
#[ignore = "its process must do nothing else; the test above starts it"]
fn deploy_within_the_bound() {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("image");
    let mut digest = Context::new(&SHA256);
    let mut file = File::create(&image).unwrap();
    for number in 0..IMAGE {
        let piece: Vec<u8> = (0..MIB).map(|at| (at % 251 + number) as u8).collect();
        digest.update(&piece);
        file.write_all(&piece).unwrap();
    }
    let digest = digest.finish();
    let sha256 = hex::encode(digest.as_ref());
    let mut arguments = StepArguments::default();
    let image_info = json!({
        "id": "root.raw", "urls": [format!("file://{}", image.display())], "disk_format": "raw",
        "os_hash_algo": "sha256", "os_hash_value": sha256, "image_type": "partition",
        "root_mb": IMAGE, "swap_mb": 16, "ephemeral_mb": 16
    });
    arguments.values.insert("image_info".to_owned(), image_info);
    let options = Options::default();
    let info = ImageInfo::parse(&arguments, &options).unwrap();
    let path = folder.path().join("disk");
    File::create(&path).unwrap().set_len(1 << 30).unwrap();
    let disk = Disk::open_exclusive(&path).unwrap();
    let wishes = info.partitions().unwrap();
    let job = PartitionJob::prepare(
        &SilentContext,
        &Node::default(),
        true,
        "/dev/vda",
        (&info, wishes),
        &options,
    )
    .unwrap();
    job.write(&SilentContext, &disk, &NoFileSystems).unwrap();
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak: u64 = peak
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    println!("{peak} KiB");
    assert!(peak <= BOUND, "{peak} KiB");
}
