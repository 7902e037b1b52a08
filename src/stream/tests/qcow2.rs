//! A qcow2 image whose tables lie behind its data, from servers that give parts of it and others.

use std::io::Read;
use std::sync::Arc;

use super::super::test_server::{Reply, Request, TestServer};
use super::{Format, MIB, MemoryMedium, SilentContext, StreamError, options, request, write};

/// An image of 24 MiB with clusters of 64 KiB: the L1 table and all data first, the L2 table last,
/// so far behind that what came before it is not kept. Its disk has the clusters in reverse.
fn image() -> (Arc<Vec<u8>>, Vec<u8>) {
    const CLUSTER: usize = 64 << 10;
    let count = 24 * MIB / CLUSTER;
    let data = super::image(count * CLUSTER);
    let mut file = vec![0; 4 * CLUSTER];
    file[..8].copy_from_slice(b"QFI\xfb\0\0\0\x03");
    let mut put = |offset: usize, value: u64| {
        file[offset..offset + 8].copy_from_slice(&value.to_be_bytes());
    };
    put(16, 16);
    put(24, (count * CLUSTER) as u64);
    put(32, 1);
    put(40, 3 * CLUSTER as u64);
    put(48, CLUSTER as u64);
    put(56, 1 << 32);
    put(96, 4 << 32 | 104);
    let table = 4 * CLUSTER + data.len();
    put(3 * CLUSTER, table as u64 | 1 << 63);
    file.extend_from_slice(&data);
    for number in (0..count).rev() {
        let host = (4 + number) * CLUSTER;
        file.extend((host as u64 | 1 << 63).to_be_bytes());
    }
    file.resize(table + CLUSTER, 0);
    let disk = data.chunks(CLUSTER).rev().flatten().copied().collect();
    (Arc::new(file), disk)
}

fn run(
    answer: impl Fn(&Arc<Vec<u8>>, &Request) -> Reply + Send + Sync + 'static,
) -> (Result<(), StreamError>, MemoryMedium, Vec<u8>, usize) {
    let (file, disk) = image();
    let medium = MemoryMedium::used(32 * MIB);
    let served = Arc::clone(&file);
    let server = TestServer::start(move |_, request| answer(&served, request));
    let mut request = request(&[server.url("/one.qcow2?sig=secret")], &file);
    request.format = Format::declared(Some("qcow2"));
    request.permitted_formats.push("qcow2".to_owned());
    let outcome = write(&request, &options(), &medium, &SilentContext).map(|written| {
        assert_eq!(written.size, disk.len() as u64);
    });
    let requests = server.requests().len();
    (outcome, medium, disk, requests)
}

#[test]
fn tables_are_fetched_where_the_server_gives_parts() {
    let (outcome, medium, disk, requests) = run(Reply::ranged);
    outcome.unwrap();
    assert!(medium.content()[..disk.len()] == disk);
    assert_eq!(requests, 2, "the file, and the table ahead");
}

#[test]
fn the_file_is_read_again_where_it_does_not() {
    let (outcome, medium, disk, requests) = run(|file, _| Reply::ok(file));
    outcome.unwrap();
    assert!(medium.content()[..disk.len()] == disk);
    assert_eq!(
        requests, 3,
        "the file, a part that is refused, the file again"
    );
}

#[test]
fn no_part_is_asked_for_of_what_comes_in_a_content_encoding() {
    let (file, disk) = image();
    let mut packed = Vec::new();
    flate2::read::GzEncoder::new(&file[..], flate2::Compression::none())
        .read_to_end(&mut packed)
        .unwrap();
    let packed = Arc::new(packed);
    for vouched in [&file, &packed] {
        let server = TestServer::start({
            let packed = Arc::clone(&packed);
            move |_, request| Reply::ranged(&packed, request).header("Content-Encoding", "gzip")
        });
        let mut request = request(&[server.url("/one.qcow2")], vouched);
        request.format = Format::declared(Some("qcow2"));
        request.permitted_formats.push("qcow2".to_owned());
        let medium = MemoryMedium::used(32 * MIB);
        write(&request, &options(), &medium, &SilentContext).unwrap();
        assert!(medium.content()[..disk.len()] == disk);
        let requests = server.requests();
        assert_eq!(requests.len(), 2, "the file, and the file again");
        assert!(requests.iter().all(|request| request.range().is_none()));
    }
}

#[test]
fn parts_that_are_not_the_files_are_noticed() {
    let (outcome, medium, ..) = run(|file, request| {
        let mut other = file.to_vec();
        let table = other.len() - (64 << 10);
        other.copy_within(table..table + 8, table + 8);
        match request.range() {
            Some(_) => Reply::ranged(&Arc::new(other), request),
            None => Reply::ok(file),
        }
    });
    let error = outcome.unwrap_err();
    assert!(
        farrier_plugin::chain(&error).contains("changed while it was read"),
        "{error}"
    );
    assert!(super::head_is_blank(&medium.content()));
}
