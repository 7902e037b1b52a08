//! Says where libcrypto.a is, which `sys::digest` links, and how the executable is linked.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    match pkg_config::get_variable("libcrypto", "libdir") {
        Ok(folder) => println!("cargo:rustc-link-search=native={folder}"),
        Err(error) => panic!("no libcrypto.a; Debian's package libssl-dev has it ({error})"),
    }
    // A position-independent executable relocates itself at its start. Packed, the table of where
    // takes 20 KiB instead of 480; the C library, linked along, has been able to read it since glibc
    // 2.36, which is Debian 12's.
    println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
}
