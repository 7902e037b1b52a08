//! `image_info`, the conductor's description of an image (contract/data-plane 1.2, 1.3, 1.7).

mod partitions;
#[cfg(test)]
mod schema;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use farrier_plugin::StepArguments;
use serde_json::Value;

pub(super) use self::partitions::PartitionWishes;
#[cfg(test)]
pub(crate) use self::schema::image_info as schema;
use super::error::DeployError;
use super::fields::Fields;
use crate::config::{Options, Secret};
use crate::stream::{
    Algorithm, Checksum, Credentials, Format, ImageRequest, Location, MD5_DISABLED, Proxies,
    StreamError,
};

/// Credentials of the strategy `http_basic`.
const HTTP_BASIC: &str = "http_basic";

/// What the conductor says about an image, checked. Fields that are not here are not used by the
/// reference either, whatever they hold.
pub(crate) struct ImageInfo {
    id: String,
    urls: Vec<Arc<str>>,
    node: Option<Arc<str>>,
    partitions: Option<PartitionWishes>,
    disk_format: Option<Arc<str>>,
    hash: Option<HashPair>,
    checksum: Option<Arc<str>>,
    authorization: Option<Arc<str>>,
    /// Its own user and password, where the image has the strategy `http_basic`.
    basic: Option<Basic>,
    proxies: Proxies,
    config_drive: Option<Arc<str>>,
}

/// The name of a digest's algorithm, and the digest or the URL of a file with it.
type HashPair = (Arc<str>, Arc<str>);

/// User and password as far as they are there.
struct Basic {
    user: Option<Arc<str>>,
    password: Option<Arc<str>>,
}

impl ImageInfo {
    /// Take the step's arguments apart and check them with the texts of the reference, as that does before
    /// a command starts (contract/data-plane 1.3), and the type of each field.
    ///
    /// # Errors
    /// [`DeployError::Arguments`] with the field that is missing or is not what it must be.
    pub(crate) fn parse(arguments: &StepArguments, options: &Options) -> Result<Self, DeployError> {
        let fields = Fields::of_image(arguments)?;
        let urls = fields.texts("urls")?;
        let id = match fields.value("id") {
            // Only a label here; the reference takes one as long as it makes no file name of it.
            Some(Value::Number(number)) => number.to_string().into(),
            _ => fields
                .text("id")?
                .ok_or_else(|| fields.wrong("id", "a string"))?,
        };
        let config_drive = match Fields::of_arguments(arguments).text("configdrive")? {
            Some(drive) => Some(drive),
            None => fields.text("configdrive")?,
        };
        let own_strategy = fields.word("image_server_auth_strategy");
        let basic = match own_strategy.as_deref() {
            Some(HTTP_BASIC) => Some(Basic {
                user: fields.text_or_number("image_server_user")?,
                password: fields.text_or_number("image_server_password")?,
            }),
            _ => None,
        };
        let info = Self {
            // The text after the last slash of the image's URL, so its query may be there too,
            // and with it a temporary URL's signature.
            id: id.split('?').next().unwrap_or_default().to_owned(),
            urls,
            node: fields.word("node_uuid"),
            partitions: match fields.word("image_type").as_deref() {
                Some("partition") => Some(PartitionWishes::parse(fields)?),
                _ => None,
            },
            disk_format: fields.text_unless_empty("disk_format")?,
            hash: hash_pair(fields)?,
            checksum: non_empty(fields, "checksum")?,
            authorization: fields.text_unless_empty("image_request_authorization")?,
            basic,
            proxies: Proxies {
                by_scheme: fields.texts_by_name("proxies")?,
                no_proxy: fields
                    .text_unless_empty("no_proxy")?
                    .map(|hosts| hosts.to_string()),
            },
            config_drive,
        };
        info.check_checksums(options)?;
        Ok(info)
    }

    /// The error of a step that came without a description of an image.
    pub(crate) fn missing() -> DeployError {
        super::fields::missing("id")
    }

    /// The id, without a query.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// The node that the messages name.
    pub(super) fn node(&self) -> &str {
        self.node.as_deref().unwrap_or("local")
    }

    /// The partitions around it, where it is the image of one.
    pub(super) fn partitions(&self) -> Option<&PartitionWishes> {
        self.partitions.as_ref()
    }

    /// The config drive as it was sent: a URL, or base64 of a compressed image. Empty is none.
    pub(super) fn config_drive(&self) -> Option<Arc<str>> {
        self.config_drive.clone().filter(|drive| !drive.is_empty())
    }

    /// What to stream where.
    pub(super) fn request(
        &self,
        options: &Options,
        device: &str,
    ) -> Result<ImageRequest, DeployError> {
        let locations = self
            .urls
            .iter()
            .map(|url| self.location(url))
            .collect::<Result<_, _>>()?;
        Ok(ImageRequest {
            id: self.id.clone(),
            locations,
            format: Format::declared(self.disk_format.as_deref()),
            permitted_formats: options.permitted_image_formats.clone(),
            inspect: !options.disable_deep_image_inspection,
            checksum: Some(self.checksum(options)?),
            credentials: self.credentials(options)?,
            proxies: self.proxies.clone(),
            what: format!("writing image {} to {device}", self.id),
            read_back: options.verify_written_image,
        })
    }

    fn location(&self, url: &str) -> Result<Location, DeployError> {
        Location::parse(url).map_err(|source| {
            StreamError::Download {
                image: self.id.clone(),
                source,
            }
            .into()
        })
    }

    fn check_checksums(&self, options: &Options) -> Result<(), DeployError> {
        // An MD5 has 32 digits; what is longer is a SHA-2.
        let usable =
            |checksum: &str| options.md5_enabled || is_url(checksum) || checksum.len() > 32;
        if self.hash.is_some() || self.checksum.as_deref().is_some_and(usable) {
            return Ok(());
        }
        if self
            .checksum
            .as_deref()
            .and_then(|text| Algorithm::of_length(text.len()))
            == Some(Algorithm::Md5)
        {
            return Err(DeployError::Arguments(format!(
                "Image checksum is an MD5. {MD5_DISABLED}."
            )));
        }
        Err(DeployError::Arguments(
            "Image checksum is not available, either the 'checksum' field or the 'os_hash_algo' \
             and 'os_hash_value' fields pair must be set for image verification."
                .to_owned(),
        ))
    }

    /// Which digest is expected. MD5 needs the option `md5_enabled` by whichever field it comes;
    /// the reference lets `os_hash_algo` get around that.
    fn checksum(&self, options: &Options) -> Result<Checksum, DeployError> {
        let named = self
            .hash
            .as_ref()
            .and_then(|(name, value)| Some((Algorithm::named(name)?, &**value)));
        let (algorithm, value) = match (named, self.checksum.as_deref()) {
            (Some((algorithm, value)), _) => (Some(algorithm), value),
            (None, Some(value)) => (None, value),
            _ => {
                return Err(DeployError::NoChecksum(format!(
                    "Unable to verify image {} with available checksums. Please make sure the \
                     specified 'os_hash_algo' (currently {}) is supported by this ramdisk, or \
                     provide a md5 checksum via the 'checksum' field",
                    self.id,
                    self.hash.as_ref().map_or("None", |(name, _)| &**name)
                )));
            }
        };
        if is_url(value) {
            return Ok(Checksum::File {
                location: self.location(value)?,
                algorithm,
                md5_allowed: options.md5_enabled,
            });
        }
        let unidentified = |why: &str| {
            DeployError::NoChecksum(format!(
                "Unable to proceed with image {} as the checksum indicator has been used but the \
                 algorithm could not be identified. Error: {why}",
                self.id
            ))
        };
        match algorithm.or_else(|| Algorithm::of_length(value.len())) {
            Some(Algorithm::Md5) if !options.md5_enabled => Err(unidentified(MD5_DISABLED)),
            Some(algorithm) => Ok(Checksum::Value {
                algorithm,
                digest: value.to_ascii_lowercase(),
            }),
            None => Err(unidentified(
                "Unable to identify checksum algorithm used, and a value is not specified in the \
                 os_hash_algo setting.",
            )),
        }
    }

    /// The credentials, in the contract's order: a whole header, then the image's own pair, then
    /// the agent's.
    fn credentials(&self, options: &Options) -> Result<Credentials, DeployError> {
        if let Some(encoded) = &self.authorization {
            return BASE64_STANDARD
                .decode(encoded.trim())
                .ok()
                .and_then(|value| String::from_utf8(value).ok())
                .map(Credentials::Authorization)
                .ok_or_else(|| {
                    DeployError::Arguments(
                        "Image 'image_request_authorization' must be base64 of text.".to_owned(),
                    )
                });
        }
        let (user, password) = if let Some(basic) = &self.basic {
            (basic.user.as_deref(), basic.password.as_deref())
        } else if options.image_server_auth_strategy == HTTP_BASIC {
            (
                options.image_server_user.as_deref(),
                options.image_server_password.as_ref().map(Secret::reveal),
            )
        } else {
            return Ok(Credentials::None);
        };
        if let (Some(user), Some(password)) = (user, password) {
            return Ok(Credentials::Basic {
                user: user.to_owned(),
                password: password.to_owned(),
            });
        }
        let missing: Vec<&str> = [("user", user), ("password", password)]
            .iter()
            .filter(|(_, value)| value.is_none())
            .map(|(name, _)| *name)
            .collect();
        Err(StreamError::Download {
            image: self.id.clone(),
            source: crate::stream::DownloadError::Unusable {
                location: "Credentials".to_owned(),
                reason: format!(
                    "Missing ['{}'] fields from HTTP(S) basic auth config",
                    missing.join("', '")
                ),
            },
        }
        .into())
    }
}

/// Without the credentials, the URLs' queries and the config drive.
impl fmt::Debug for ImageInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImageInfo")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

pub(super) fn is_url(text: &str) -> bool {
    ["http://", "https://"].iter().any(|scheme| {
        text.get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    })
}

/// The algorithm and its value. Either of the pair asks for both; the reference takes whatever is
/// false for Python in both for none.
fn hash_pair(fields: Fields<'_>) -> Result<Option<HashPair>, DeployError> {
    const PAIR: [&str; 2] = ["os_hash_algo", "os_hash_value"];
    if PAIR
        .iter()
        .all(|name| fields.value_unless_empty(name).is_none())
    {
        return Ok(None);
    }
    let half = |name: &str| {
        non_empty(fields, name)?.ok_or_else(|| fields.wrong(name, "a non-empty string"))
    };
    Ok(Some((half(PAIR[0])?, half(PAIR[1])?)))
}

fn non_empty(fields: Fields<'_>, name: &str) -> Result<Option<Arc<str>>, DeployError> {
    match fields.value(name) {
        None => Ok(None),
        Some(_) => match fields.text(name) {
            Ok(Some(text)) if !text.is_empty() => Ok(Some(text)),
            _ => Err(fields.wrong(name, "a non-empty string")),
        },
    }
}
