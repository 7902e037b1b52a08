//! `docs/openapi.json`: the command API as OpenAPI 3.1. Paths and methods are those that [`super::routes`] goes by, commands
//! and errors those of [`crate::command`]. `src/api/tests/openapi.rs` holds what is answered against it.
//!
//! `make docs` writes it, that is `FARRIER_SNAPSHOTS=write cargo test -p farrier --lib openapi`.

use farrier_plugin::ErrorKind;
use hyper::StatusCode;
use serde_json::{Map, Value, json};

use super::resources::{ID, PATHS, Resource};
use super::routes::{AGENT_TOKEN, WAIT};
use crate::command::schema;

/// The name of the token among the document's security schemes.
const TOKEN: &str = "token";

/// The whole document.
pub(super) fn document() -> Value {
    let mut paths = Map::new();
    for (path, resource) in PATHS {
        paths.insert(path.to_owned(), path_item(path, resource));
        if let Some(unslashed) = path.strip_suffix('/').filter(|path| !path.is_empty()) {
            paths.insert(unslashed.to_owned(), redirected(resource));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "farrier, the command API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What a conductor commands an agent by. What is written here tells what to send; what is taken \
                            besides, and what comes of it, is in docs/api.md.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{
            "url": "{scheme}://{host}:9999",
            "variables": {
                "scheme": {"enum": ["https", "http"], "default": "https"},
                "host": {"default": "localhost"},
            },
        }],
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "responses": responses(),
            "securitySchemes": {TOKEN: {
                "type": "apiKey", "in": "query", "name": AGENT_TOKEN,
                "description": "The token that the lookup has given to the agent and the agent to the conductor, or the option \
                                agent_token.",
            }},
        },
    })
}

fn path_item(path: &str, resource: Resource) -> Value {
    let mut item: Map<String, Value> = methods(resource)
        .map(|method| (method.to_lowercase(), operation(path, resource, method)))
        .collect();
    if path.ends_with(ID) {
        item.insert(
            "parameters".to_owned(),
            json!([{"name": "id", "in": "path", "required": true, "schema": {"type": "string", "format": "uuid"}}]),
        );
    }
    Value::Object(item)
}

/// What is asked for by a path without its last slash.
fn redirected(resource: Resource) -> Value {
    methods(resource)
        .map(|method| {
            let answers = [reference(StatusCode::PERMANENT_REDIRECT)];
            let operation = json!({
                "summary": "Leads to the path with a slash at its end.",
                "responses": Map::from_iter(answers.into_iter().chain(of_any_request())),
            });
            (method.to_lowercase(), operation)
        })
        .collect::<Map<_, _>>()
        .into()
}

fn methods(resource: Resource) -> impl Iterator<Item = &'static str> {
    resource.methods().split(", ")
}

fn operation(path: &str, resource: Resource, method: &str) -> Value {
    let mut operation = Map::from_iter([("summary".to_owned(), json!(summary(resource, method)))]);
    let mut responses: Map<String, Value> = of_any_request().collect();
    let success = match method {
        "HEAD" => json!({"description": "As of GET, without the body."}),
        _ => {
            let json = json!({"schema": schema::reference(success(resource, method))});
            let mut content = Map::from_iter([("application/json".to_owned(), json)]);
            if resource == Resource::Root {
                // For who prefers it: browsers.
                content.insert(
                    "text/html; charset=utf-8".to_owned(),
                    json!({"schema": {"type": "string"}}),
                );
            }
            json!({"description": "What was asked for.", "content": content})
        }
    };
    responses.insert("200".to_owned(), success);
    let is_secured = matches!(resource, Resource::Commands | Resource::Command);
    if is_secured {
        operation.insert("security".to_owned(), json!([{ TOKEN: [] }]));
        responses.extend([reference(StatusCode::UNAUTHORIZED)]);
    }
    if method == "POST" {
        operation.insert("requestBody".to_owned(), request_body());
        responses.extend(of_commands().into_iter().map(reference));
    }
    if resource == Resource::Command {
        responses.extend([reference(StatusCode::NOT_FOUND)]);
    }
    if method == "POST" || resource == Resource::Command {
        operation.insert(
            "parameters".to_owned(),
            json!([{
                "name": WAIT, "in": "query", "schema": {"type": "boolean"},
                "description": "Whether the answer waits for the command's end.",
            }]),
        );
    }
    if method == "HEAD" {
        // Of an error, too, the head alone comes.
        for response in responses.values_mut() {
            *response = json!({"description": "As of GET, without the body."});
        }
    }
    if !path.starts_with("/v1") && path != "/" {
        let with_version = format!("As /v1{path}.");
        operation.insert("description".to_owned(), json!(with_version));
    }
    operation.insert("responses".to_owned(), responses.into());
    operation.into()
}

fn summary(resource: Resource, method: &str) -> &'static str {
    match (resource, method) {
        (Resource::Root, _) => "Which versions there are.",
        (Resource::Version, _) => "What this version has.",
        (Resource::Status, _) => "When the agent started, and of which version it is.",
        (Resource::Commands, "POST") => "Issue a command. One runs at a time.",
        (Resource::Commands, _) => "Every command since the agent started, oldest first.",
        (Resource::Command, _) => "One command.",
    }
}

/// The name of the schema of what comes back.
fn success(resource: Resource, method: &str) -> &'static str {
    match (resource, method) {
        (Resource::Root, _) => "Root",
        (Resource::Version, _) => "Version",
        (Resource::Status, _) => "Status",
        (Resource::Commands, "POST") | (Resource::Command, _) => "Command",
        (Resource::Commands, _) => "Commands",
    }
}

fn request_body() -> Value {
    let one = |command: &schema::CommandSchema| {
        let when = match command.is_waited_for {
            true => "The answer comes at its end.",
            false => "The answer comes while it runs, unless it is to wait.",
        };
        json!({
            "title": command.name,
            "description": when,
            "type": "object",
            "properties": {"name": {"const": command.name}, "params": schema::reference(&command.name)},
            "required": ["name", "params"],
        })
    };
    let commands = schema::commands();
    let examples: Map<String, Value> = commands
        .iter()
        .map(|command| {
            let body = json!({"name": command.name, "params": command.example});
            (command.name.clone(), json!({ "value": body }))
        })
        .collect();
    let bodies: Vec<Value> = commands.iter().map(one).collect();
    json!({
        "required": true,
        "content": {"application/json": {"schema": {"oneOf": bodies}, "examples": examples}},
    })
}

fn schemas() -> Map<String, Value> {
    let link = json!({
        "type": "object",
        "properties": {"href": {"type": "string"}, "rel": {"type": "string"}, "type": {"type": "string"}},
        "required": ["href", "rel"],
    });
    let links = json!({"type": "array", "items": schema::reference("Link")});
    let text = || json!({"type": "string"});
    let object = |properties: Value| {
        let required: Vec<&String> = properties.as_object().unwrap().keys().collect();
        json!({"type": "object", "properties": properties, "required": required})
    };
    let mut schemas = schema::shared();
    let mut add = |name: &str, schema: Value| schemas.insert(name.to_owned(), schema);
    add("Link", link);
    add(
        "VersionLinks",
        object(json!({"id": {"const": "v1"}, "links": links})),
    );
    add(
        "Root",
        object(json!({
            "name": text(), "description": text(),
            "versions": {"type": "array", "items": schema::reference("VersionLinks")},
            "default_version": schema::reference("VersionLinks"),
        })),
    );
    add(
        "Version",
        object(json!({
            "id": {"const": "v1"}, "links": links, "commands": links, "status": links,
            "media_types": {"type": "array", "items": object(json!({"base": text(), "type": text()}))},
        })),
    );
    add(
        "Status",
        object(json!({
            "started_at": {"type": "number", "description": "Seconds since 1970."},
            "version": {"type": "string", "description": "Of ironic-python-agent, whose place the agent takes."},
        })),
    );
    add(
        "Commands",
        object(json!({"commands": {"type": "array", "items": schema::reference("Command")}})),
    );
    add("Command", command());
    add("Progress", progress());
    add("CommandError", command_error());
    add(
        "Fault",
        object(json!({
            "faultcode": {"enum": ["Client", "Server"]},
            "faultstring": {"type": "string", "description": "What is wrong, for a person."},
        })),
    );
    for command in schema::commands() {
        add(&command.name, command.params);
    }
    schemas
}

fn command() -> Value {
    json!({
        "type": "object",
        "properties": {
            "id": {"type": "string", "format": "uuid"},
            "command_name": {"type": "string", "description": "Without its extension: sync."},
            "command_status": {"enum": schema::statuses()},
            "command_error": {"anyOf": [{"type": "null"}, schema::reference("CommandError")]},
            "command_result": {"description": "Null while it runs, where it failed and where it gives nothing."},
            "progress": schema::reference("Progress"),
        },
        "required": ["id", "command_name", "command_status", "command_error", "command_result"],
    })
}

fn progress() -> Value {
    let count = || json!({"type": "integer", "minimum": 0});
    let known = || json!({"type": ["integer", "null"], "minimum": 0});
    json!({
        "description": "How far a command is that runs, where it tells. Bytes, or other units of equal size.",
        "type": "object",
        "properties": {
            "what": {"type": "string"}, "done": count(), "total": known(),
            "rate": known(), "remaining": known(),
        },
        "required": ["what", "done", "total", "rate", "remaining"],
    })
}

/// Every error class, with its code and its message.
fn command_error() -> Value {
    let of = |kind: ErrorKind| {
        // The message of a protected device is its details.
        let message = match kind {
            ErrorKind::ProtectedDevice => json!({"type": "string"}),
            _ => json!({"const": kind.message()}),
        };
        json!({"properties": {
            "type": {"const": kind.type_name()}, "code": {"const": kind.code()}, "message": message,
        }})
    };
    json!({
        "type": "object",
        "properties": {"details": {"type": "string", "description": "What exactly went wrong."}},
        "required": ["type", "code", "message", "details"],
        "oneOf": ErrorKind::ALL.map(of),
    })
}

/// The statuses that every request can be answered with: hyper could not read it.
fn of_any_request() -> impl Iterator<Item = (String, Value)> {
    [
        StatusCode::BAD_REQUEST,
        StatusCode::URI_TOO_LONG,
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    ]
    .map(reference)
    .into_iter()
}

/// The statuses that a POST is answered with where there is no result: its body, and the errors of commands.
fn of_commands() -> Vec<StatusCode> {
    let of_body = [
        StatusCode::BAD_REQUEST,
        StatusCode::REQUEST_TIMEOUT,
        StatusCode::PAYLOAD_TOO_LARGE,
    ];
    let of_errors = schema::refusals()
        .into_iter()
        .map(|kind| StatusCode::from_u16(kind.code()).unwrap());
    of_body.into_iter().chain(of_errors).collect()
}

/// The answer of this status among the document's responses.
fn reference(status: StatusCode) -> (String, Value) {
    let name = status.canonical_reason().unwrap().replace(' ', "");
    let reference = json!({"$ref": format!("#/components/responses/{name}")});
    (status.as_str().to_owned(), reference)
}

fn responses() -> Map<String, Value> {
    let mut statuses: Vec<StatusCode> = of_commands();
    statuses.extend([
        StatusCode::UNAUTHORIZED,
        StatusCode::NOT_FOUND,
        StatusCode::URI_TOO_LONG,
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    ]);
    let mut responses: Map<String, Value> = statuses.into_iter().map(fault).collect();
    responses.insert(
        "PermanentRedirect".to_owned(),
        json!({
            "description": "The path with its slash, and the query as it was, are in `Location`.",
            "headers": {"Location": {"required": true, "schema": {"type": "string"}}},
            "content": {"text/html; charset=utf-8": {"schema": {"type": "string"}}},
        }),
    );
    responses
}

/// A response: how its text begins is either the status or the message of an error of a command that has this status. A defect
/// of the agent, which also is a 500, has other words.
fn fault(status: StatusCode) -> (String, Value) {
    let mut beginnings: Vec<String> = schema::refusals()
        .into_iter()
        .filter(|kind| kind.code() == status.as_u16())
        .map(|kind| kind.message().to_owned())
        .collect();
    if status != StatusCode::INTERNAL_SERVER_ERROR {
        beginnings.push(status.to_string());
    }
    let name = status.canonical_reason().unwrap();
    let schema = json!({"allOf": [
        schema::reference("Fault"),
        {"properties": {"faultstring": {"pattern": format!("^({}): ", beginnings.join("|"))}}},
    ]});
    (
        name.replace(' ', ""),
        json!({
            "description": name,
            "content": {"application/json": {"schema": schema}},
        }),
    )
}
