//! One file to inject, as the operator describes it (contract/data-plane 9.2).

use std::io::{self, Read};
use std::path::{Component, PathBuf};
use std::sync::Arc;

use farrier_plugin::LargeStrings;
use serde_json::{Map, Value, json};

use super::address::{self, Facts};
use super::error::InjectError;
use crate::block::hints::is_empty;
use crate::deploy::config_drive::layer::Layer;
use crate::deploy::error::DeployError;
use crate::deploy::image_tree::Attributes;
use crate::stream::Location;

const FIELDS: [&str; 8] = [
    "path",
    "partition",
    "content",
    "deleted",
    "mode",
    "dirmode",
    "owner",
    "group",
];

/// A file to inject, checked.
#[derive(Debug)]
pub(super) struct Item {
    /// The path as it was written, for messages.
    pub(super) name: String,
    /// Its parts from the root of the file system: neither `.` nor `..`.
    pub(super) path: PathBuf,
    /// Where; `None`: on the first partition that has the path's first part as a directory.
    pub(super) partition: Option<Partition>,
    /// What to do.
    pub(super) change: Change,
    /// Mode of the folder that it is in, if that is made for it.
    pub(super) folder_mode: Option<u32>,
}

/// Which partition.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Partition {
    /// By its number on the root device.
    Number(u32),
    /// By a device's path.
    Device(String),
}

/// What becomes of the file.
#[derive(Debug)]
pub(super) enum Change {
    /// It is removed.
    Remove,
    /// It is written.
    Write(Content, Attributes),
}

/// Where content comes from. Never shown.
pub(super) enum Content {
    /// Base64, which was read to its end before.
    Base64(Arc<str>),
    /// An HTTP server.
    Address(Location),
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Base64(_) => "Base64(***)",
            Self::Address(_) => "Address(***)",
        })
    }
}

impl Item {
    /// The error of the step, by what went wrong with this file.
    pub(super) fn failed(&self, source: InjectError) -> DeployError {
        DeployError::Inject {
            path: self.name.clone(),
            source: Box::new(source),
        }
    }

    /// Take one apart. What is wrong with it is added to the failures, in the reference's texts where it has
    /// one; then there is no item.
    pub(super) fn parse(
        value: &Value,
        large: &LargeStrings,
        facts: Facts<'_>,
        failures: &mut Vec<String>,
    ) -> Option<Self> {
        let Value::Object(members) = value else {
            failures.push("a file to inject must be an object".to_owned());
            return None;
        };
        let before = failures.len();
        let fields = Fields {
            members,
            large,
            shown: shown(members),
        };
        let shown = &fields.shown;
        let mut unknown: Vec<&str> = members.keys().map(String::as_str).collect();
        unknown.retain(|name| !FIELDS.contains(name));
        if !unknown.is_empty() {
            failures.push(format!(
                "unexpected fields in {shown}: {}",
                unknown.join(", ")
            ));
        }
        let partition = fields.partition(failures);
        let (name, path) = fields.path(partition.is_some(), failures);
        let is_deleted = fields.is_deleted(failures);
        let attributes = Attributes {
            mode: fields.number("mode", 0o7777, failures),
            owner: fields.number("owner", u32::MAX - 1, failures),
            group: fields.number("group", u32::MAX - 1, failures),
        };
        let folder_mode = fields.number("dirmode", 0o7777, failures);
        let has_content = members.get("content").is_some_and(|value| !is_empty(value));
        let change = match (is_deleted, has_content) {
            (true, true) => {
                failures.push(format!("content cannot be used with deleted in {shown}"));
                None
            }
            (true, false) => Some(Change::Remove),
            (false, _) => fields
                .content(facts)
                .map_err(|why| failures.push(why))
                .ok()
                .map(|content| Change::Write(content, attributes)),
        };
        let (Some(change), true) = (change, failures.len() == before) else {
            return None;
        };
        Some(Self {
            name,
            path,
            partition,
            change,
            folder_mode,
        })
    }
}

struct Fields<'a> {
    members: &'a Map<String, Value>,
    large: &'a LargeStrings,
    shown: String,
}

impl Fields<'_> {
    fn path(&self, has_partition: bool, failures: &mut Vec<String>) -> (String, PathBuf) {
        let shown = &self.shown;
        let text = match self.members.get("path") {
            Some(Value::String(text)) if !text.is_empty() => text.as_str(),
            None => "",
            Some(value) if is_empty(value) => "",
            Some(_) => {
                failures.push(format!("path must be a string in {shown}"));
                return (String::new(), PathBuf::new());
            }
        };
        let path = normal(text);
        let parts = path.components().count();
        if text.is_empty() {
            failures.push(format!("expected a path in {shown}"));
        } else if text.ends_with('/') {
            failures.push(format!("directories not supported for {shown}"));
        } else if parts == 0 || text.contains('\0') {
            failures.push(format!("path must name a file in {shown}"));
        } else if parts == 1 && !has_partition {
            failures.push(format!(r#"{shown} in root directory requires "partition""#));
        }
        (text.to_owned(), path)
    }

    fn partition(&self, failures: &mut Vec<String>) -> Option<Partition> {
        let value = self
            .members
            .get("partition")
            .filter(|value| !is_empty(value))?;
        let text = match value {
            Value::Number(number) => number.to_string(),
            Value::String(text) => text.trim().to_owned(),
            _ => String::new(),
        };
        if let Ok(number @ 1..) = text.parse::<u32>() {
            return Some(Partition::Number(number));
        }
        let is_device = text.starts_with("/dev/") && !text.contains("..");
        if !is_device {
            failures.push(format!(
                "partition must be a number from 1 on or the path of a device in {}",
                self.shown
            ));
        }
        Some(Partition::Device(text))
    }

    fn is_deleted(&self, failures: &mut Vec<String>) -> bool {
        match self.members.get("deleted") {
            None | Some(Value::Null) => false,
            Some(Value::Bool(is_deleted)) => *is_deleted,
            Some(_) => {
                failures.push(format!("deleted must be true or false in {}", self.shown));
                false
            }
        }
    }

    /// -1 is for the reference an owner that stays as it is.
    fn number(&self, name: &str, most: u32, failures: &mut Vec<String>) -> Option<u32> {
        let value = self.members.get(name)?;
        let number = match value {
            Value::Number(number) if number.is_i64() || number.is_u64() => number.as_i64(),
            _ => {
                failures.push(format!("{name} must be a number in {}", self.shown));
                return None;
            }
        };
        let may_stay = name == "owner" || name == "group";
        match number.map(u32::try_from) {
            Some(Ok(number)) if number <= most => Some(number),
            _ if may_stay && number == Some(-1) => None,
            _ => {
                failures.push(format!(
                    "{name} must be a number from 0 to {most} in {}",
                    self.shown
                ));
                None
            }
        }
    }

    fn content(&self, facts: Facts<'_>) -> Result<Content, String> {
        let shown = &self.shown;
        let text = match self.members.get("content") {
            None | Some(Value::Null) => {
                return Err(format!("expected content or deleted in {shown}"));
            }
            Some(value) => self
                .large
                .resolve(value)
                .ok_or_else(|| format!("content must be a string in {shown}"))?,
        };
        if text.contains("://") {
            let unusable = |why: &str| format!("content is no usable address in {shown}: {why}");
            // A file: address would be one of the agent's own. Before fields are filled in: most that is no
            // address is content as it is, and nothing of that is to be shown.
            let scheme = text.trim().split_once(':').map_or("", |(scheme, _)| scheme);
            if !["http", "https"].contains(&scheme.to_ascii_lowercase().as_str()) {
                return Err(unusable("it begins neither with http: nor with https:"));
            }
            let address =
                address::filled(&text, facts).map_err(|error| unusable(&error.to_string()))?;
            let location =
                Location::parse(&address).map_err(|error| unusable(&error.to_string()))?;
            return Ok(Content::Address(location));
        }
        let content = Content::Base64(text);
        content
            .base64()
            .and_then(|mut reader| io::copy(&mut reader, &mut io::sink()))
            .map_err(|_| format!("content is neither base64 nor an address in {shown}"))?;
        Ok(content)
    }
}

impl Content {
    /// What base64 stands for; nothing for an address.
    pub(super) fn base64(&self) -> io::Result<Box<dyn Read + '_>> {
        match self {
            Self::Base64(text) => Layer::base64(text.as_bytes()).inside(Box::new(text.as_bytes())),
            Self::Address(_) => Ok(Box::new(io::empty())),
        }
    }
}

/// A path's parts, `..` taken back by the words alone, as the reference does, but never above the root.
fn normal(text: &str) -> PathBuf {
    let mut path = PathBuf::new();
    for component in PathBuf::from(text).components() {
        match component {
            Component::Normal(part) => path.push(part),
            Component::ParentDir => drop(path.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    path
}

/// An item for messages: its content is a secret, and what a field of another name holds may be, too.
fn shown(members: &Map<String, Value>) -> String {
    let members: Map<String, Value> = members
        .iter()
        .map(|(name, value)| {
            let is_shown = name != "content" && FIELDS.contains(&name.as_str());
            let value = if is_shown {
                value.clone()
            } else {
                json!("***")
            };
            (name.clone(), value)
        })
        .collect();
    Value::Object(members).to_string()
}
