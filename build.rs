//! Says where libcrypto.a is, which `sys::digest` links.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    match pkg_config::get_variable("libcrypto", "libdir") {
        Ok(folder) => println!("cargo:rustc-link-search=native={folder}"),
        Err(error) => panic!("no libcrypto.a; Debian's package libssl-dev has it ({error})"),
    }
}
