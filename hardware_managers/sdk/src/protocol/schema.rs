//! `docs/plugin-protocol.schema.json`: the protocol as JSON Schemas, made from the types that both
//! sides use. The test below fails where the committed document is another one;
//! `FARRIER_WRITE_SCHEMA=1 cargo test -p farrier-plugin schema` writes it.

use std::borrow::Cow;

use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::{JsonSchema, Schema, json_schema};
use serde_json::{Map, Value, json};

use super::answers::{Done, ErasedDevices, FilteredDevice, RootDisk};
use super::parameters::{Filter, KindAndDevice, Listing, Nothing};
use super::{
    Callback, Greeting, HANDSHAKE, Introduction, Method, Notification, VERSION, WireDevice,
};
use crate::{
    BlockDevice, LogLevel, NetworkInterface, ProgramOutput, ProgramRequest, Progress, UsbDevice,
};

/// Of `cancel`.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct Cancel {
    /// The id of the call that is to end.
    id: i64,
    /// When it is killed otherwise.
    deadline_seconds: u64,
}

/// Of `log`.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct LogLine {
    /// How much it matters.
    level: LogLevel,
    /// What there is to say.
    message: String,
}

/// The whole document.
fn document() -> Value {
    // For what is read: a member with a default may be left out.
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let methods = methods(&mut generator);
    let callbacks = json!({
        Callback::ListBlockDevices.as_str(): {
            "params": with_call(&mut generator, Generator::subschema_for::<Listing>),
            "result": { "type": "array", "items": device() },
        },
        Callback::RunProgram.as_str(): {
            "params": with_call(&mut generator, Generator::subschema_for::<ProgramRequest>),
            "result": generator.subschema_for::<ProgramOutput>(),
        },
        Callback::IsCancelled.as_str(): {
            "params": with_call(&mut generator, Generator::subschema_for::<Nothing>),
            "result": { "type": "boolean" },
        },
    });
    let notifications = json!({
        "to the plugin": { Notification::Cancel.as_str(): generator.subschema_for::<Cancel>() },
        "to the agent": {
            Notification::Progress.as_str(): with_call(&mut generator, Generator::subschema_for::<Progress>),
            Notification::Log.as_str(): with_call(&mut generator, Generator::subschema_for::<LogLine>),
        },
    });
    block_device(&mut generator);
    let mut definitions = generator.take_definitions(true);
    definitions.extend(messages());
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": format!("The plugin protocol, version {VERSION}"),
        "description": "Every line is a Message. \"methods\" are what the agent calls, \
                        \"callbacks\" what a plugin may call in the middle of such a call, each \
                        with the schemas of its params and its result. Unknown members are \
                        ignored. docs/plugin-protocol.md says what they mean.",
        "$ref": "#/$defs/Message",
        "methods": methods,
        "callbacks": callbacks,
        "notifications": notifications,
        "$defs": definitions,
    })
}

type Generator = SchemaGenerator;

fn methods(generator: &mut Generator) -> Map<String, Value> {
    let greeting = (
        generator.subschema_for::<Greeting>(),
        generator.subschema_for::<Introduction>(),
    );
    let methods = Method::ALL
        .iter()
        .map(|method| (method.as_str(), method.schemas(generator)));
    let mut described: Map<String, Value> = methods
        .map(|(name, (params, result))| {
            (
                name.to_owned(),
                json!({ "params": params, "result": result }),
            )
        })
        .collect();
    let (params, result) = greeting;
    described.insert(
        HANDSHAKE.to_owned(),
        json!({ "params": params, "result": result }),
    );
    described
}

/// Types whose schema stands in its place, with an expression for it.
macro_rules! inline_schemas {
    ($($kind:ty: $schema:expr;)*) => {
        $(impl JsonSchema for $kind {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($kind).into()
            }

            fn json_schema(generator: &mut Generator) -> Schema {
                let schema: fn(&mut Generator) -> Schema = $schema;
                schema(generator)
            }
        })*
    };
}

inline_schemas! {
    WireDevice: |_| device().try_into().expect("an object");
    Done: <()>::json_schema;
    ErasedDevices: <Map<String, Value>>::json_schema;
    RootDisk: |_| json_schema!({ "anyOf": [device(), { "type": "string" }] });
    Filter: Generator::subschema_for::<KindAndDevice>;
    FilteredDevice: |generator| json_schema!({
        "anyOf": [
            device(), generator.subschema_for::<NetworkInterface>(),
            generator.subschema_for::<UsbDevice>(), { "type": "null" },
        ],
    });
}

/// The parameters of what a plugin sends in the middle of a call: these, and the call's number.
fn with_call(generator: &mut Generator, params: fn(&mut Generator) -> Schema) -> Value {
    json!({
        "allOf": [
            params(generator),
            { "type": "object", "required": ["call"],
              "properties": { "call": { "description": "The id of the agent's call.",
                                        "type": "integer" } } },
        ],
    })
}

fn device() -> Value {
    json!({ "$ref": "#/$defs/BlockDevice" })
}

/// Between two processes a block device may be described shortly, and has members that are not sent
/// to the conductor (see [`super::device_from_wire`]).
fn block_device(generator: &mut Generator) {
    generator.subschema_for::<BlockDevice>();
    // It was named in the line above.
    let Some(schema) = generator.definitions_mut().get_mut("BlockDevice") else {
        return;
    };
    schema["required"] = json!(["name", "size"]);
    let texts = json!({ "type": "array", "items": { "type": "string" } });
    let text = json!({ "type": ["string", "null"] });
    for (name, mut member, description) in [
        ("uuid", text.clone(), "File system UUID."),
        ("partuuid", text, "Partition UUID."),
        (
            "all_serials",
            texts.clone(),
            "Every serial number that some source gives, for root device hints.",
        ),
        (
            "all_wwns",
            texts,
            "Every world wide name that some source gives, for root device hints.",
        ),
        ("extra", json!({}), "Further facts that a manager knows."),
    ] {
        member["description"] = json!(description);
        schema["properties"][name] = member;
    }
}

/// JSON-RPC 2.0 as this protocol uses it.
fn messages() -> Map<String, Value> {
    let version = json!({ "const": "2.0" });
    let id = json!({ "type": ["integer", "string"] });
    let Value::Object(messages) = json!({
        "Message": {
            "description": "One line.",
            "anyOf": [
                { "$ref": "#/$defs/Request" }, { "$ref": "#/$defs/Notification" },
                { "$ref": "#/$defs/Answer" }, { "$ref": "#/$defs/Failure" },
            ],
        },
        "Request": {
            "description": "Something to be answered.",
            "type": "object",
            "required": ["jsonrpc", "id", "method"],
            "properties": { "jsonrpc": version, "id": id, "method": { "type": "string" },
                            "params": { "type": ["object", "null"] } },
        },
        "Notification": {
            "description": "Something to be known.",
            "type": "object",
            "required": ["jsonrpc", "method"],
            "not": { "required": ["id"] },
            "properties": { "jsonrpc": version, "method": { "type": "string" },
                            "params": { "type": ["object", "null"] } },
        },
        "Answer": {
            "description": "The result of a request.",
            "type": "object",
            "required": ["jsonrpc", "id", "result"],
            "properties": { "jsonrpc": version, "id": id, "result": {},
                            "error": { "type": "null" } },
        },
        "Failure": {
            "description": "Why a request has no result.",
            "type": "object",
            "required": ["jsonrpc", "id", "error"],
            "properties": {
                "jsonrpc": version, "id": id, "result": { "type": "null" },
                "error": {
                    "type": "object",
                    "required": ["code"],
                    "properties": {
                        "code": { "type": "integer" },
                        "message": { "type": "string" },
                        "data": {
                            "type": ["object", "null"],
                            "properties": {
                                "type": { "description": "The name of a class of Ironic's agent.",
                                          "type": "string" },
                            },
                        },
                    },
                },
            },
        },
    }) else {
        unreachable!("an object was written");
    };
    messages
}

#[test]
fn the_committed_document_is_that_of_the_types() {
    let document = document();
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/plugin-protocol.schema.json"
    );
    let text = format!("{document:#}\n");
    if std::env::var_os("FARRIER_WRITE_SCHEMA").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == text,
        "{path} is not up to date; FARRIER_WRITE_SCHEMA=1 cargo test -p farrier-plugin schema \
         writes it"
    );
}

#[test]
fn every_reference_leads_somewhere() {
    fn look(value: &Value, document: &Value) {
        if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
        match value {
            Value::Object(members) => members.values().for_each(|value| look(value, document)),
            Value::Array(items) => items.iter().for_each(|value| look(value, document)),
            _ => {}
        }
    }

    let document = document();
    look(&document, &document);
}
