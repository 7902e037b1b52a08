//! The files of GRUB for BIOS in an image, as its packages lay them.

use tracing::{debug, info, warn};

use super::error::BiosBootError;
use super::trees::Trees;
use crate::deploy::image_boot::file_tree::{FileTree, Kind, is_file, small_file};

/// Where packages lay them: everywhere, SUSE, older SUSE.
const PLACES: [&str; 3] = [
    "/usr/lib/grub/i386-pc",
    "/usr/share/grub2/i386-pc",
    "/usr/lib/grub2/i386-pc",
];

/// Bytes of one of them. The largest in GRUB 2.12 has 330,000.
const LIMIT: usize = 1 << 20;

/// Bytes of all of them together, and how many there may be. GRUB 2.12 has 300, of 3 MB.
const LIMIT_OF_ALL: usize = 16 << 20;
const MOST: usize = 1024;

/// The directory, below GRUB's own, in which it looks for modules.
const PLATFORM: &str = "i386-pc";

/// Files beside the modules that GRUB reads, as `grub-install` copies them.
const BESIDE: [&str; 3] = ["modinfo.sh", "efiemu32.o", "efiemu64.o"];

/// The font for a menu on a graphical console, and where packages have it.
const FONT: &str = "unicode.pf2";
const FONT_PLACES: [&str; 2] = ["/usr/share/grub", "/usr/share/grub2"];

/// Bytes of the font.
const FONT_LIMIT: usize = 8 << 20;

/// What GRUB keeps from one boot to the next, as `grub-editenv create` makes it: always 1,024 bytes.
const VARIABLES: &str = "grubenv";
const VARIABLES_SIZE: usize = 1024;
const VARIABLES_START: &str = "# GRUB Environment Block\n";

/// The files in one image.
#[derive(Clone, Copy, Debug)]
pub(super) struct GrubFiles {
    directory: &'static str,
}

impl GrubFiles {
    /// The first place that has them.
    pub(super) fn find(image: &mut dyn FileTree) -> Result<Self, BiosBootError> {
        for directory in PLACES {
            if is_file(image, &format!("{directory}/kernel.img"))? {
                return Ok(Self { directory });
            }
        }
        Err(Self::none())
    }

    /// That there are none.
    pub(super) fn none() -> BiosBootError {
        BiosBootError::NoGrub {
            places: PLACES.join(", "),
        }
    }

    /// Whether there are any.
    pub(super) fn is_in(image: &mut dyn FileTree) -> Result<bool, BiosBootError> {
        match Self::find(image) {
            Ok(_) => Ok(true),
            Err(BiosBootError::NoGrub { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Where they are.
    pub(super) fn directory(self) -> &'static str {
        self.directory
    }

    /// What one of them holds.
    pub(super) fn read(
        self,
        image: &mut dyn FileTree,
        name: &str,
    ) -> Result<Vec<u8>, BiosBootError> {
        let path = format!("{}/{name}", self.directory);
        let reason = match image.kind(&path)? {
            Some(Kind::File(size)) if size <= LIMIT as u64 => {
                return Ok(image.read_at(&path, 0, LIMIT)?);
            }
            Some(Kind::File(size)) => format!("it has {size} bytes"),
            Some(Kind::Directory | Kind::Other) => "it is no file".to_owned(),
            None => "it is not there".to_owned(),
        };
        Err(BiosBootError::Damaged { path, reason })
    }

    /// Have GRUB find its modules, a font and its variables in this directory of the file system that `/boot` lies in,
    /// `/boot/grub`, as `grub-install` leaves it. What is there and holds the same is not written again.
    ///
    /// The modules are copied rather than linked to: those that a package brings later do not go with the
    /// core image that is on the disk until `grub-install` runs.
    pub(super) fn put_in_place(
        self,
        trees: &mut Trees<'_>,
        grub: &str,
    ) -> Result<(), BiosBootError> {
        let names: Vec<String> = trees
            .image
            .names(self.directory)?
            .into_iter()
            .filter(|name| is_read_by_grub(name))
            .collect();
        let folder = format!("{grub}/{PLATFORM}");
        let too_many = |reason: String| BiosBootError::Damaged {
            path: self.directory.to_owned(),
            reason,
        };
        if names.len() > MOST {
            return Err(too_many(format!("it has {} files", names.len())));
        }
        trees.with_boot().make_directory(&folder)?;
        let (mut total, mut written) = (0, 0);
        for name in &names {
            let content = self.read(trees.image, name)?;
            total += content.len();
            if total > LIMIT_OF_ALL {
                return Err(too_many(format!(
                    "its files have more than {LIMIT_OF_ALL} bytes"
                )));
            }
            let path = format!("{folder}/{name}");
            let boot = trees.with_boot();
            if small_file(boot, &path, LIMIT)?.as_ref() != Some(&content) {
                boot.write(&path, &mut content.as_slice())?;
                written += 1;
            }
        }
        info!(
            from = self.directory,
            to = folder,
            files = names.len(),
            written,
            "GRUB's modules are in place"
        );
        self.add_font(trees, grub)?;
        let image = trees.with_boot();
        let variables = format!("{grub}/{VARIABLES}");
        if image.kind(&variables)?.is_none() {
            let block = format!("{VARIABLES_START:#<VARIABLES_SIZE$}");
            // A link onto an EFI system partition, as packages of Fedora and RHEL leave it, leads nowhere here.
            if let Err(error) = image.write(&variables, &mut block.as_bytes()) {
                warn!(path = variables, %error, "GRUB has no variables to keep, and boots without");
            }
        }
        Ok(())
    }

    fn add_font(self, trees: &mut Trees<'_>, grub: &str) -> Result<(), BiosBootError> {
        let path = format!("{grub}/fonts/{FONT}");
        if trees.with_boot().kind(&path)?.is_some() {
            return Ok(());
        }
        for place in FONT_PLACES {
            if let Some(font) = small_file(trees.image, &format!("{place}/{FONT}"), FONT_LIMIT)? {
                let boot = trees.with_boot();
                boot.make_directory(&format!("{grub}/fonts"))?;
                boot.write(&path, &mut font.as_slice())?;
                return Ok(());
            }
        }
        debug!("the image has no {FONT} for GRUB, whose menu is text then");
        Ok(())
    }
}

/// Whether `grub-install` copies a file of this name.
fn is_read_by_grub(name: &str) -> bool {
    let is_plain = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"._-+".contains(&byte));
    is_plain
        && !name.starts_with('.')
        && (name.ends_with(".mod") || name.ends_with(".lst") || BESIDE.contains(&name))
}
