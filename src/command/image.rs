//! Making the written system bootable.

use super::definition::{Definition, Mode, no_validation};
use super::parameters::Signature;

/// The commands of this extension.
pub(super) const COMMANDS: &[Definition] = &[Definition {
    name: "install_bootloader",
    mode: Mode::Async,
    signature: Signature::of(
        &["root_uuid"],
        &[
            "efi_system_part_uuid",
            "prep_boot_part_uuid",
            "target_boot_mode",
            "ignore_bootloader_failure",
        ],
    ),
    validate: no_validation,
    run: |environment, context, parameters| {
        environment
            .managers
            .install_bootloader(context, &parameters.to_arguments())?;
        Ok(serde_json::Value::Null)
    },
}];
