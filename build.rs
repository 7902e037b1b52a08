//! Says which version this is, where libcrypto.a is, which `sys::digest` links, and how the executable is linked.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // A build before a release says so, and for make release of which commit it is (image/release/version, which the Makefile
    // asks). Asking git here was rejected: every commit would compile all anew.
    println!("cargo:rerun-if-env-changed=FARRIER_PRERELEASE");
    let number = std::env::var("CARGO_PKG_VERSION").expect("cargo sets it");
    let prerelease = std::env::var("FARRIER_PRERELEASE").unwrap_or_default();
    let hyphen = if prerelease.is_empty() { "" } else { "-" };
    println!("cargo:rustc-env=FARRIER_VERSION={number}{hyphen}{prerelease}");
    match pkg_config::get_variable("libcrypto", "libdir") {
        Ok(folder) => println!("cargo:rustc-link-search=native={folder}"),
        Err(error) => panic!("no libcrypto.a; Debian's package libssl-dev has it ({error})"),
    }
    // A position-independent executable relocates itself at its start. Packed, the table of where
    // takes 20 KiB instead of 480; the C library, linked along, has been able to read it since glibc
    // 2.36, which is Debian 12's.
    println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
}
