//! One deploy in a process of its own, for `make bench`: benches/partitions.py starts it and takes the time.

use std::env;

use super::*;

#[test]
#[ignore = "make bench starts it, with a disk to write to"]
fn one_deploy() {
    let told = |name: &str| env::var(format!("FARRIER_BENCH_{name}")).unwrap();
    let mut image_info = json!({
        "id": "bench", "urls": [told("URL")], "disk_format": told("FORMAT"),
        "os_hash_algo": "sha256", "os_hash_value": told("SHA256")
    });
    let root_mib: u64 = told("ROOT_MIB").parse().unwrap();
    if root_mib > 0 {
        image_info["image_type"] = "partition".into();
        image_info["root_mb"] = root_mib.into();
    }
    let mut arguments = StepArguments::default();
    arguments.values.insert("image_info".to_owned(), image_info);
    let options = Options::default();
    let info = ImageInfo::parse(&arguments, &options).unwrap();
    let target = told("TARGET");
    let disk = Disk::open_exclusive(Path::new(&target)).unwrap();
    let node = Node::default();
    let context = &SilentContext;
    match info.partitions() {
        None => {
            let job = Job::prepare(context, &target, &info, &options).unwrap();
            job.run(context, &disk, &options).unwrap();
        }
        Some(wishes) => {
            let image = (&info, wishes);
            let job =
                PartitionJob::prepare(context, &node, true, &target, image, &options).unwrap();
            job.run(context, &disk).unwrap();
        }
    }
}
