//! Images whose makers want the agent's own files, or its time: none gets either.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use farrier_plugin::{SilentContext, chain};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::mkfifo;
use serde_json::json;

use super::*;
use crate::deploy::image_tree::fixture::Image;
use crate::sys::process::Program;

/// What the agent's own system has at the place that every image wants.
const OURS: &str = "the agent's own";

/// A folder of the machine's, with a file that no image may change.
struct Outside {
    folder: tempfile::TempDir,
}

impl Outside {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("victim"), OURS).unwrap();
        Self { folder }
    }

    fn victim(&self) -> PathBuf {
        self.folder.path().join("victim")
    }

    /// Nothing changed there.
    fn check(&self, case: &str) {
        assert_eq!(fs::read_to_string(self.victim()).unwrap(), OURS, "{case}");
        let entries = fs::read_dir(self.folder.path()).unwrap().count();
        assert_eq!(entries, 1, "{case}");
    }
}

/// Inject one file into the image; the error's text.
fn inject(image: &Image, path: &str, content: &str) -> Result<(), String> {
    let mut arguments = StepArguments::default();
    let file = json!({"path": path, "content": content, "partition": image.path()});
    arguments.values.insert("files".to_owned(), json!([file]));
    let files = Files::parse(&Node::default(), &[], &arguments).map_err(|error| chain(&error))?;
    let device = BlockDevice::default();
    inject_files(&SilentContext, &device, &files, &Options::default())
        .map_err(|error| chain(&error))
}

/// What a case expects: the file in the image that has the content then, or a part of the error.
enum Outcome {
    Lands(&'static str),
    Refused(&'static str),
}

#[test]
fn no_image_leads_out_of_itself() {
    let outside = Outside::new();
    let place = outside.folder.path().to_owned();
    let up = "../".repeat(40);
    let relative = |path: &Path| format!("{up}{}", path.display());
    let image = Image::ext4(|root| {
        let link = |target: &str, name: &str| symlink(target, root.join(name)).unwrap();
        fs::create_dir_all(root.join("etc/deep/er")).unwrap();
        fs::write(root.join("etc/file"), "old").unwrap();
        link(&outside.victim().display().to_string(), "etc/absolute");
        link(&relative(&outside.victim()), "etc/relative");
        link(&place.display().to_string(), "etc/folder");
        link(&relative(&place), "etc/relative-folder");
        link("/", "etc/root");
        link("../../../../../..", "etc/up");
        link("/proc/self/root/tmp/escaped", "etc/magic");
        link("/proc/self/fd/0", "etc/descriptor");
        link("/proc/1/root", "etc/init");
        link("loop-b", "etc/loop-a");
        link("loop-a", "etc/loop-b");
        link("../etc/deep/../file", "etc/around");
        link("/etc/../../../etc/made-by-link", "etc/dangling");
        link("deep/.", "etc/to-folder");
        mkfifo(&root.join("etc/fifo"), Mode::S_IRWXU).unwrap();
        mkfifo(&root.join("etc/fifo-folder"), Mode::S_IRWXU).unwrap();
        drop(UnixListener::bind(root.join("etc/socket")).unwrap());
        let node = |name: &str, kind, number| {
            mknod(&root.join(name), kind, Mode::S_IRWXU, number).unwrap();
        };
        node("etc/null", SFlag::S_IFCHR, makedev(1, 3));
        node("etc/disk", SFlag::S_IFBLK, makedev(7, 0));
        fs::create_dir_all(root.join("draft/.farrier-draft")).unwrap();
        fs::create_dir(root.join("old-draft")).unwrap();
        let victim = outside.victim();
        symlink(victim, root.join("old-draft/.farrier-draft")).unwrap();
    });
    let Some(image) = image else { return };
    let long = format!("/etc/{}", "n".repeat(256));
    let cases = [
        (
            "/etc/absolute",
            Outcome::Refused("No such file or directory"),
        ),
        (
            "/etc/relative",
            Outcome::Refused("No such file or directory"),
        ),
        ("/etc/folder/victim", Outcome::Refused("File exists")),
        ("/etc/relative-folder/new", Outcome::Refused("File exists")),
        ("/etc/root/etc/a", Outcome::Lands("etc/a")),
        ("/etc/up/etc/b", Outcome::Lands("etc/b")),
        ("/../../etc/../../../etc/c", Outcome::Lands("etc/c")),
        ("/etc/magic", Outcome::Refused("No such file or directory")),
        (
            "/etc/descriptor",
            Outcome::Refused("No such file or directory"),
        ),
        ("/etc/init/etc/d", Outcome::Refused("File exists")),
        ("/etc/loop-a", Outcome::Refused("Too many levels")),
        ("/etc/loop-a/x", Outcome::Refused("Too many levels")),
        ("/etc/around", Outcome::Lands("etc/file")),
        ("/etc/dangling", Outcome::Lands("etc/made-by-link")),
        ("/etc/to-folder", Outcome::Refused("it is a directory")),
        ("/etc/deep", Outcome::Refused("it is a directory")),
        ("/etc/fifo", Outcome::Refused("it is a FIFO")),
        ("/etc/fifo-folder/x", Outcome::Refused("Not a directory")),
        ("/etc/socket", Outcome::Refused("it is a socket")),
        ("/etc/null", Outcome::Refused("it is a device node")),
        ("/etc/disk", Outcome::Refused("it is a device node")),
        ("/etc/null/x", Outcome::Refused("Not a directory")),
        ("/etc/file/x", Outcome::Refused("Not a directory")),
        (&long, Outcome::Refused("File name too long")),
        ("/draft/x", Outcome::Refused("Is a directory")),
        ("/old-draft/x", Outcome::Lands("old-draft/x")),
    ];
    for (path, outcome) in &cases {
        let answer = inject(&image, path, "bmV3");
        match outcome {
            Outcome::Lands(_) => assert_eq!(answer, Ok(()), "{path}"),
            Outcome::Refused(why) => {
                let said = answer.unwrap_err();
                assert!(said.starts_with("Failed to process file "), "{said}");
                assert!(said.contains(why), "{path}: {said}");
            }
        }
        outside.check(path);
    }
    image.look(|root| {
        for (path, outcome) in &cases {
            if let Outcome::Lands(place) = outcome {
                let content = fs::read(root.join(place)).unwrap();
                assert_eq!(content, b"new", "{path}");
            }
        }
        // Nothing is left of what failed.
        let left = fs::read_dir(root.join("etc")).unwrap();
        let is_draft = |name: &std::ffi::OsStr| name.as_bytes().starts_with(b".farrier");
        assert!(!left.flatten().any(|entry| is_draft(&entry.file_name())));
    });
}

#[test]
fn a_full_file_system_keeps_the_old_file() {
    let image = Image::ext4(|root| fs::write(root.join("kept"), "old").unwrap());
    let Some(image) = image else { return };
    let large = "A".repeat(24 << 20);
    let said = inject(&image, "/kept", &large).unwrap_err();
    assert!(said.contains("No space left"), "{said}");
    image.look(|root| assert_eq!(fs::read(root.join("kept")).unwrap(), b"old"));
    assert_eq!(inject(&image, "/kept", "bmV3"), Ok(()));
}

#[test]
fn a_file_system_that_may_not_be_written_is_named() {
    let Some(image) = Image::ext4(|_| {}) else {
        return;
    };
    Program::new("/sbin/tune2fs")
        .arg("-O")
        .arg("read-only")
        .arg(image.path())
        .run()
        .unwrap();
    let said = inject(&image, "/a/b", "bmV3").unwrap_err();
    assert!(said.contains("Read-only file system"), "{said}");
}
