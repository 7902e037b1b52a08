//! One program for all fuzz targets, called by the name of the one to run: `build/fuzz/gpt`.
//!
//! The targets themselves are in the rooms whose parsers they try; `farrier::fuzzing` names them.
#![no_main]

use std::path::Path;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

static TARGET: OnceLock<fn(&[u8])> = OnceLock::new();

fuzz_target!(
    init: {
        let program = std::env::args().next().unwrap_or_default();
        let name = Path::new(&program).file_name().and_then(|name| name.to_str());
        match farrier::fuzzing::TARGETS.iter().find(|target| Some(target.0) == name) {
            Some((_, target)) => {
                TARGET.get_or_init(|| *target);
            }
            None => {
                for (name, _) in farrier::fuzzing::TARGETS {
                    println!("{name}");
                }
                std::process::exit(0);
            }
        }
    },
    |data: &[u8]| {
        if let Some(target) = TARGET.get() {
            target(data);
        }
    }
);
