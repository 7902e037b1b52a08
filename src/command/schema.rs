//! What commands take, as JSON Schema: for `docs/openapi.json`. Names, and which of them must be there, are those of the
//! registry and of the generic manager's steps.
//!
//! It tells what to send, and what it calls valid is never refused for its shape. What is taken besides, as the
//! reference takes it (`tests/odd_requests`), is not in it.

use farrier_plugin::{ErrorKind, StepKind};
use serde_json::{Map, Value, json};

use super::definition::{Definition, Mode};
use super::outcome::Status;
use super::{registry, table};
use crate::deploy;
use crate::hardware;

/// A command.
pub(crate) struct CommandSchema {
    /// `standby.sync`.
    pub(crate) name: String,
    /// Whether the POST waits for it.
    pub(crate) is_waited_for: bool,
    /// What its `params` are.
    pub(crate) params: Value,
    /// Some such.
    pub(crate) example: Value,
}

/// Where the document has the schema of this name.
pub(crate) fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// Every command, in the registry's order.
pub(crate) fn commands() -> Vec<CommandSchema> {
    let of = |(extension, commands): &(&str, &'static [Definition])| {
        let extension = (*extension).to_owned();
        commands.iter().map(move |definition| CommandSchema {
            name: format!("{extension}.{}", definition.name),
            is_waited_for: definition.mode == Mode::Sync,
            params: params(definition),
            example: example(definition),
        })
    };
    registry::EXTENSIONS.iter().flat_map(of).collect()
}

/// What commands and their parameters refer to, by name.
pub(crate) fn shared() -> Map<String, Value> {
    let mut shared = Map::from_iter([
        ("image_info".to_owned(), deploy::image_info_schema()),
        ("node".to_owned(), node()),
    ]);
    for kind in [StepKind::Clean, StepKind::Deploy, StepKind::Service] {
        shared.insert(format!("{}_step", kind.word()), step(kind));
    }
    shared
}

/// How far a command is, in the words of `command_status`.
pub(crate) fn statuses() -> [Status; 4] {
    [
        Status::Running,
        Status::Succeeded,
        Status::Failed,
        Status::VersionMismatch,
    ]
}

/// The errors that a POST is answered with instead of a result: of the request, and of the command itself.
pub(crate) fn refusals() -> Vec<ErrorKind> {
    let of_request = [
        ErrorKind::AgentIsBusy,
        ErrorKind::RequestedObjectNotFound,
        ErrorKind::CommandExecution,
    ];
    [&of_request[..], &table::REFUSING].concat()
}

/// What a conductor sends.
fn example(definition: &Definition) -> Value {
    let image = json!({
        "id": "debian-13", "urls": ["http://192.0.2.10/debian-13.qcow2"], "disk_format": "qcow2",
        "os_hash_algo": "sha256", "os_hash_value": "0123456789abcdef".repeat(4),
    });
    let of_node = |more: Value| {
        let mut params =
            json!({"node": {"uuid": "1be26c0b-03f2-4d2e-ae87-c02d7f33c123"}, "ports": []});
        params
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        params
    };
    match definition.name {
        "get_clean_steps" | "get_deploy_steps" | "get_service_steps" => of_node(json!({})),
        "execute_clean_step" => {
            of_node(json!({"step": {"step": "erase_devices", "interface": "deploy"}}))
        }
        "execute_deploy_step" => of_node(json!({"step": {
            "step": "write_image", "interface": "deploy", "args": {"image_info": image, "configdrive": null},
        }})),
        "execute_service_step" => of_node(
            json!({"step": {"step": "delete_configuration", "interface": "raid", "args": {}}}),
        ),
        "start_flow" => json!({"flow": [{"standby.sync": {}}, {"standby.power_off": {}}]}),
        "prepare_image" => json!({"image_info": image, "configdrive": null}),
        "install_bootloader" => json!({
            "root_uuid": "0f6b9a5e-8d2c-4c0e-9d2f-6a1f5f3e7b10", "efi_system_part_uuid": "9B1C-5D2E",
            "target_boot_mode": "uefi",
        }),
        "execute_bootc_install" => json!({"image_source": "oci://registry.example.org/system:1"}),
        "finalize_rescue" => {
            json!({"rescue_password": "correct horse battery staple", "hashed": false})
        }
        "set_node_info" => json!({"node_info": {}}),
        _ => json!({}),
    }
}

fn params(definition: &Definition) -> Value {
    let signature = &definition.signature;
    let names = signature.required.iter().chain(signature.optional);
    let mut properties: Map<String, Value> = names
        .map(|name| ((*name).to_owned(), parameter(definition.name, name)))
        .collect();
    if signature.open {
        properties.insert(
            format!("{}_version", kind(definition.name).word()),
            json!({
                "description": "The hardware managers and their versions that the conductor has recorded; where they are others \
                                now, the command ends as CLEAN_VERSION_MISMATCH.",
                "type": ["object", "null"], "additionalProperties": {"type": "string"},
            }),
        );
    }
    json!({
        "type": "object",
        "properties": properties,
        "required": signature.required,
        "additionalProperties": signature.open,
    })
}

/// Of which kind the steps of this command are.
fn kind(command: &str) -> StepKind {
    [StepKind::Clean, StepKind::Deploy, StepKind::Service]
        .into_iter()
        .find(|kind| command.split('_').any(|part| part == kind.word()))
        .unwrap_or_else(|| panic!("{command} has no kind of steps"))
}

/// One parameter of this command.
fn parameter(command: &str, name: &str) -> Value {
    let text = || json!({"type": ["string", "null"]});
    match name {
        "node" => reference("node"),
        "ports" => json!({"type": "array", "items": {"type": "object"}}),
        "step" => reference(&format!("{}_step", kind(command).word())),
        "image_info" => reference("image_info"),
        "configdrive" => config_drive(),
        "flow" => flow(),
        "rescue_password" => json!({
            "description": "A crypt(5) hash where `hashed` is true, else the password.",
            "type": "string", "minLength": 1,
        }),
        "hashed" | "ignore_bootloader_failure" => json!({"type": "boolean"}),
        "root_uuid" | "efi_system_part_uuid" | "prep_boot_part_uuid" => text(),
        "target_boot_mode" => json!({"enum": ["bios", "uefi", null]}),
        "node_info" => json!({"type": "object"}),
        "image_source" => json!({"type": "string"}),
        "instance_info" => json!({"type": ["object", "null"]}),
        "pull_secret" => text(),
        _ => panic!("the parameter {name} of {command} has no schema"),
    }
}

fn config_drive() -> Value {
    json!({
        "description": "A URL, or base64 of a compressed image.",
        "type": ["string", "null"],
    })
}

fn node() -> Value {
    json!({
        "description": "The node as Ironic has it.",
        "type": "object",
        "properties": {
            "uuid": {"type": "string"},
            "properties": {"type": "object"},
            "instance_info": {"type": "object"},
            "driver_internal_info": {"type": "object"},
        },
        "required": ["uuid"],
    })
}

/// A step of the generic manager with its arguments, or a vendor's with any.
fn step(kind: StepKind) -> Value {
    let named = |name: &str, arguments: &[&str]| {
        let arguments: Map<String, Value> = arguments
            .iter()
            .map(|name| ((*name).to_owned(), argument(name)))
            .collect();
        json!({
            "type": "object",
            "properties": {
                "step": {"const": name},
                "interface": {"type": "string"},
                "args": {"type": "object", "properties": arguments, "additionalProperties": false},
            },
            "required": ["step"],
        })
    };
    let mut steps: Vec<Value> = hardware::generic_steps(kind)
        .iter()
        .map(|(name, arguments)| named(name, arguments))
        .collect();
    steps.push(json!({
        "description": "A step of another hardware manager.",
        "type": "object",
        "properties": {
            "step": {"type": "string"},
            "interface": {"type": "string"},
            "args": {"type": "object"},
        },
        "required": ["step"],
    }));
    json!({ "anyOf": steps })
}

/// An argument of a step of the generic manager.
fn argument(name: &str) -> Value {
    match name {
        "image_info" => reference("image_info"),
        "configdrive" => config_drive(),
        "raid_config" => json!({"type": "object"}),
        "delete_existing" | "verify_ca" => json!({"type": "boolean"}),
        "match_patterns" => json!({"type": "array", "items": {"type": "string"}}),
        "files" => json!({"type": "array", "items": {"type": "object"}}),
        _ => panic!("the argument {name} has no schema"),
    }
}

fn flow() -> Value {
    let of = |(extension, commands): &(&str, &'static [Definition])| {
        let extension = (*extension).to_owned();
        commands
            .iter()
            .map(move |definition| format!("{extension}.{}", definition.name))
    };
    let names: Vec<String> = registry::EXTENSIONS.iter().flat_map(of).collect();
    json!({
        "description": "Commands by name, each with its params, in this order.",
        "type": "array",
        "items": {
            "type": "object", "propertyNames": {"enum": names}, "additionalProperties": {"type": "object"},
        },
    })
}
