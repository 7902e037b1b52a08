//! Which plugins there are: the plugin directories, and who may have put something there.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::PluginError;

/// The program inside a plugin's folder.
const PROGRAM: &str = "plugin";

/// The shared library in its place.
const LIBRARY: &str = "plugin.so";

/// What loads a shared library and speaks the protocol for it.
const HOST: &str = "farrier-plugin-host";

/// A plugin that may be started.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::hardware) struct Found {
    /// Its name: that of its folder, or of its file without the extension.
    pub(in crate::hardware) name: String,
    /// What to start.
    pub(in crate::hardware) program: PathBuf,
    /// The shared library that this program, the host, is to load; `None` where the program is the
    /// plugin itself.
    pub(in crate::hardware) library: Option<PathBuf>,
}

impl Found {
    /// The plugin of this name in this file or folder.
    pub(super) fn at(path: &Path, name: String) -> Result<Self, PluginError> {
        let file = file_of(path)?;
        if is_library(&file) {
            return Ok(Self {
                name,
                program: host(&file)?,
                library: Some(file),
            });
        }
        Ok(Self {
            name,
            program: file,
            library: None,
        })
    }
}

/// What lies in these directories, in their order, and within one by name. Of several plugins of
/// one name the first counts. What may not be started stands there with the reason, under its name.
///
/// A plugin is an executable file, a shared library `NAME.so`, or a folder with an executable file
/// `plugin` or a shared library `plugin.so`. Names that start with a dot are left alone. A directory
/// that is not there holds nothing.
pub(in crate::hardware) fn find(
    directories: &[PathBuf],
) -> Vec<(String, Result<Found, PluginError>)> {
    let mut found: Vec<(String, Result<Found, PluginError>)> = Vec::new();
    for directory in directories {
        let Ok(entries) = fs::read_dir(directory) else {
            continue;
        };
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| !name.starts_with('.'))
            .collect();
        names.sort();
        for entry in names {
            let path = directory.join(&entry);
            let name = plugin_name(&path, entry);
            if found.iter().all(|(known, _)| *known != name) {
                let plugin = protected(directory).and_then(|_| Found::at(&path, name.clone()));
                found.push((name, plugin));
            }
        }
    }
    found
}

fn plugin_name(path: &Path, entry: String) -> String {
    if path.is_dir() {
        return entry;
    }
    path.file_stem()
        .and_then(|stem| stem.to_str())
        .map_or(entry.clone(), str::to_owned)
}

/// The program or library of this file or folder.
fn file_of(path: &Path) -> Result<PathBuf, PluginError> {
    let metadata = protected(path)?;
    if metadata.is_dir() {
        let (program, library) = (path.join(PROGRAM), path.join(LIBRARY));
        let file = match (program.exists(), library.exists()) {
            (true, false) => program,
            (false, true) => library,
            // Which of the two was meant to be used, nobody here can know.
            (true, true) => {
                return Err(refused(
                    path,
                    "there are both \"plugin\" and \"plugin.so\" in this folder; remove one",
                ));
            }
            (false, false) => {
                return Err(refused(
                    path,
                    "there is no file \"plugin\" or \"plugin.so\" in this folder",
                ));
            }
        };
        if protected(&file)?.is_dir() {
            return Err(refused(path, "its \"plugin\" is a folder"));
        }
        return file_of(&file);
    }
    if !metadata.is_file() {
        return Err(refused(path, "it is neither a file nor a folder"));
    }
    // A library is read, not executed.
    if metadata.mode() & 0o111 == 0 && !is_library(path) {
        return Err(refused(path, "it is not executable (chmod +x)"));
    }
    Ok(path.to_owned())
}

fn is_library(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "so")
}

/// The host, which lies beside the agent: in `/usr/bin` of the ramdisk, and where a vendor builds
/// both, in the same folder.
fn host(library: &Path) -> Result<PathBuf, PluginError> {
    let agent = std::env::current_exe().unwrap_or_default();
    host_in(&[agent.parent().unwrap_or(&agent), Path::new("/usr/bin")]).ok_or_else(|| {
        refused(
            library,
            "it is a shared library, and farrier-plugin-host, which would load it, is neither \
             beside the agent nor in /usr/bin",
        )
    })
}

fn host_in(folders: &[&Path]) -> Option<PathBuf> {
    folders
        .iter()
        .map(|folder| folder.join(HOST))
        .find(|host| host.is_file())
}

fn refused(path: &Path, why: &'static str) -> PluginError {
    PluginError::NoProgram {
        path: path.to_owned(),
        why,
    }
}

/// The file's metadata, where nobody but root (or the user that the agent runs as) can have
/// written it. A link is not followed: what it points to may be anywhere.
fn protected(path: &Path) -> Result<Metadata, PluginError> {
    let metadata = path
        .symlink_metadata()
        .map_err(|_| PluginError::NoProgram {
            path: path.to_owned(),
            why: "it cannot be read",
        })?;
    let owner = metadata.uid();
    let trusted = owner == 0 || owner == nix::unistd::geteuid().as_raw();
    // A link's own mode says nothing; that it is no file says enough.
    if !trusted || (metadata.mode() & 0o022 != 0 && !metadata.is_symlink()) {
        return Err(PluginError::Unprotected {
            path: path.to_owned(),
        });
    }
    Ok(metadata)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn file(path: &Path, mode: u32) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn told(found: &[(String, Result<Found, PluginError>)]) -> Vec<String> {
        found
            .iter()
            .map(|(name, plugin)| match plugin {
                Ok(found) => format!(
                    "{name}: {}",
                    found.program.file_name().unwrap().to_string_lossy()
                ),
                Err(error) => format!("{name}: {error}"),
            })
            .collect()
    }

    #[test]
    fn folders_and_files_are_found_in_order() {
        let first = tempfile::tempdir().unwrap();
        let second = tempfile::tempdir().unwrap();
        file(&first.path().join("zebra.py"), 0o755);
        file(&first.path().join("acme/plugin"), 0o755);
        file(&first.path().join(".hidden"), 0o755);
        file(&second.path().join("acme/plugin"), 0o755);
        file(&second.path().join("best"), 0o700);
        let found = find(&[
            first.path().to_owned(),
            "/no/such/directory".into(),
            second.path().to_owned(),
        ]);
        assert_eq!(
            told(&found),
            ["acme: plugin", "zebra: zebra.py", "best: best"]
        );
        assert!(
            found[0]
                .1
                .as_ref()
                .unwrap()
                .program
                .starts_with(first.path())
        );
    }

    #[test]
    fn what_others_may_write_is_not_started() {
        let folder = tempfile::tempdir().unwrap();
        file(&folder.path().join("a"), 0o757);
        file(&folder.path().join("b"), 0o775);
        file(&folder.path().join("c/plugin"), 0o757);
        file(&folder.path().join("d/plugin"), 0o755);
        fs::set_permissions(folder.path().join("d"), fs::Permissions::from_mode(0o777)).unwrap();
        for (name, plugin) in find(&[folder.path().to_owned()]) {
            assert!(
                matches!(plugin, Err(PluginError::Unprotected { .. })),
                "{name}"
            );
        }
        file(&folder.path().join("e"), 0o755);
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(
            find(&[folder.path().to_owned()])
                .iter()
                .all(|(_, plugin)| plugin.is_err())
        );
    }

    #[test]
    fn a_library_is_found_by_its_name_and_needs_no_right_to_execute() {
        let folder = tempfile::tempdir().unwrap();
        file(&folder.path().join("acme.so"), 0o644);
        file(&folder.path().join("card/plugin.so"), 0o600);
        for (path, library) in [("acme.so", "acme.so"), ("card", "card/plugin.so")] {
            let found = file_of(&folder.path().join(path)).unwrap();
            assert_eq!(found, folder.path().join(library));
            assert!(is_library(&found));
        }
        file(&folder.path().join("open.so"), 0o666);
        let unprotected = file_of(&folder.path().join("open.so"));
        assert!(matches!(unprotected, Err(PluginError::Unprotected { .. })));
    }

    #[test]
    fn a_folder_with_a_program_and_a_library_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        file(&folder.path().join("card/plugin"), 0o755);
        file(&folder.path().join("card/plugin.so"), 0o644);
        let told = told(&find(&[folder.path().to_owned()]));
        assert!(told[0].starts_with("card: "), "{told:?}");
        assert!(told[0].contains("remove one"), "{told:?}");
    }

    #[test]
    fn the_host_beside_the_agent_comes_first() {
        let agent = tempfile::tempdir().unwrap();
        let system = tempfile::tempdir().unwrap();
        let folders = [agent.path(), system.path()];
        assert_eq!(host_in(&folders), None);
        file(&system.path().join(HOST), 0o755);
        assert_eq!(host_in(&folders), Some(system.path().join(HOST)));
        file(&agent.path().join(HOST), 0o755);
        assert_eq!(host_in(&folders), Some(agent.path().join(HOST)));
    }

    #[test]
    fn what_is_no_program_is_told_by_name() {
        let folder = tempfile::tempdir().unwrap();
        file(&folder.path().join("a"), 0o644);
        fs::create_dir(folder.path().join("b")).unwrap();
        fs::create_dir_all(folder.path().join("c/plugin")).unwrap();
        symlink("/bin/sh", folder.path().join("d")).unwrap();
        let told = told(&find(&[folder.path().to_owned()]));
        for (line, why) in told.iter().zip([
            "not executable",
            "no file \"plugin\"",
            "is a folder",
            "neither a file nor a folder",
        ]) {
            assert!(line.contains(why), "{line}");
        }
        assert_eq!(told.len(), 4);
    }
}
