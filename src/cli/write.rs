//! `farrier write`: an image onto a disk or a file, without a conductor.

use std::error::Error;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use farrier_plugin::{Context, Progress};

use super::wrong_usage;
use crate::config::{self, Options, Sources};
use crate::stream::{
    self, Algorithm, Checksum, Credentials, Format, ImageRequest, Location, Proxies,
};
use crate::sys::block_device::Disk;
use crate::sys::log::chain;
use crate::sys::power;

/// How often the progress line is written anew.
const REFRESH: Duration = Duration::from_millis(200);

/// What is to be written.
#[derive(Debug, Eq, PartialEq)]
struct Task {
    source: String,
    target: String,
    checksum: Option<(String, String)>,
    force: bool,
}

/// Write the image: `SOURCE TARGET [--checksum ALGORITHM:DIGEST] [--force]`.
pub(super) fn main(arguments: &[String]) -> ExitCode {
    let task = match Task::parse(arguments) {
        Ok(task) => task,
        Err(message) => return wrong_usage(&message),
    };
    let options = config::load(&Sources::of_machine(Path::new("/"), Vec::new()))
        .map_or_else(|_| Options::default(), |loaded| loaded.options);
    let request = match task.request() {
        Ok(request) => request,
        Err(message) => return wrong_usage(&message),
    };
    match task.run(&request, &options) {
        Ok(summary) => {
            eprintln!("\r{summary}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("\rfarrier: {}", chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

impl Task {
    fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut places = Vec::new();
        let mut checksum = None;
        let mut force = false;
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            if argument == "--force" {
                force = true;
            } else if let Some(flag) = argument.strip_prefix("--checksum") {
                let value = match flag.strip_prefix('=') {
                    Some(value) => Some(value),
                    None if flag.is_empty() => rest.next().map(String::as_str),
                    None => return Err(format!("The flag {argument} is not known")),
                };
                let pair = value.and_then(|value| value.split_once(':'));
                let (algorithm, digest) =
                    pair.ok_or("The flag --checksum needs ALGORITHM:DIGEST")?;
                checksum = Some((algorithm.to_owned(), digest.to_owned()));
            } else if argument.starts_with('-') {
                return Err(format!("The flag {argument} is not known"));
            } else {
                places.push(argument.clone());
            }
        }
        let [source, target] = <[String; 2]>::try_from(places)
            .map_err(|_| "farrier write needs SOURCE and TARGET".to_owned())?;
        Ok(Self {
            source,
            target,
            checksum,
            force,
        })
    }

    fn request(&self) -> Result<ImageRequest, String> {
        let url = if self.source.contains("://") {
            self.source.clone()
        } else {
            let path = std::path::absolute(&self.source).map_err(|error| error.to_string())?;
            url::Url::from_file_path(path)
                .map_err(|()| format!("{} is no path", self.source))?
                .to_string()
        };
        let location = Location::parse(&url).map_err(|error| chain(&error))?;
        let checksum = match &self.checksum {
            None => None,
            Some((name, digest)) => Some(Checksum::Value {
                algorithm: Algorithm::named(name)
                    .ok_or_else(|| format!("The algorithm {name} is not offered"))?,
                digest: digest.to_lowercase(),
            }),
        };
        Ok(ImageRequest {
            id: location.file_name().to_owned(),
            locations: vec![location],
            format: Format::Raw,
            permitted_formats: Vec::new(),
            inspect: true,
            checksum,
            credentials: Credentials::None,
            proxies: Proxies::default(),
            what: format!("writing image to {}", self.target),
            read_back: false,
        })
    }

    fn run(
        &self,
        request: &ImageRequest,
        options: &Options,
    ) -> Result<String, Box<dyn Error + Send + Sync>> {
        let is_device = std::fs::metadata(&self.target)
            .is_ok_and(|facts| std::os::unix::fs::FileTypeExt::is_block_device(&facts.file_type()));
        if is_device && !self.force && !power::root_is_in_memory() {
            return Err(format!(
                "{} is a disk of an installed system (/ is not in memory); nothing was written. \
                 --force writes all the same",
                self.target
            )
            .into());
        }
        let disk = Disk::open_exclusive(&self.target)?;
        let started = Instant::now();
        let written = stream::write(request, options, &disk, &ProgressLine::new(started))?;
        disk.reread_partitions()?;
        let seconds = started.elapsed().as_secs_f64();
        let rate = written.size as f64 / 1e6 / seconds.max(1e-3);
        Ok(format!(
            "{} bytes in {seconds:.1} s ({rate:.0} MB/s), {}",
            written.size,
            match written.digest {
                Some(digest) => format!("checksum {digest} verified"),
                None => "not verified: no --checksum was given".to_owned(),
            }
        ))
    }
}

/// One line on the terminal that is written over and over.
struct ProgressLine {
    started: Instant,
    shown: Mutex<Option<Instant>>,
}

impl ProgressLine {
    fn new(started: Instant) -> Self {
        Self {
            started,
            shown: Mutex::new(None),
        }
    }
}

impl Context for ProgressLine {
    fn report_progress(&self, progress: Progress) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let due = shown.is_none_or(|when| when.elapsed() > REFRESH);
        if !due || !std::io::stderr().is_terminal() {
            return;
        }
        *shown = Some(Instant::now());
        let seconds = self.started.elapsed().as_secs_f64().max(1e-3);
        let rate = progress.done as f64 / seconds;
        let of_total = progress.total.filter(|total| *total > 0).map(|total| {
            let left = total.saturating_sub(progress.done) as f64 / rate.max(1.0);
            let percent = progress.done as f64 * 100.0 / total as f64;
            format!("{percent:5.1} %, {left:.0} s left")
        });
        let _ = write!(
            std::io::stderr(),
            "\r{}: {:.0} MB, {:.0} MB/s {}\x1b[K",
            progress.what,
            progress.done as f64 / 1e6,
            rate / 1e6,
            of_total.unwrap_or_default()
        );
    }

    fn is_cancelled(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Task, String> {
        let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Task::parse(&arguments)
    }

    #[test]
    fn the_command_line_is_read() {
        let task = parsed("http://h/a.raw /dev/sda --checksum sha256:AB --force").unwrap();
        assert_eq!(
            task,
            Task {
                source: "http://h/a.raw".to_owned(),
                target: "/dev/sda".to_owned(),
                checksum: Some(("sha256".to_owned(), "AB".to_owned())),
                force: true,
            }
        );
        assert_eq!(parsed("--checksum=sha512:00 a b").unwrap().source, "a");
        for line in [
            "",
            "a",
            "a b c",
            "a b --forced",
            "a b --checksum",
            "a b --checksum sha256",
            "a b --checksums=x:y",
        ] {
            parsed(line).unwrap_err();
        }
    }

    #[test]
    fn a_file_is_written_and_verified() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).display().to_string();
        let image: Vec<u8> = (0..3_000_000u32).map(|byte| byte as u8).collect();
        std::fs::write(path("image"), &image).unwrap();
        std::fs::write(path("disk"), vec![0xff; 4 << 20]).unwrap();
        let digest = "0".repeat(64);
        let mut task = Task {
            source: path("image"),
            target: path("disk"),
            checksum: Some(("sha256".to_owned(), digest)),
            force: false,
        };
        let options = Options::default();
        let wrong = task.run(&task.request().unwrap(), &options).unwrap_err();
        assert!(!chain(wrong.as_ref()).is_empty());
        let disk = std::fs::read(path("disk")).unwrap();
        assert!(disk[..1 << 20].iter().all(|byte| *byte == 0));

        task.checksum = None;
        let summary = task.run(&task.request().unwrap(), &options).unwrap();
        assert!(summary.starts_with("3000000 bytes"), "{summary}");
        assert_eq!(std::fs::read(path("disk")).unwrap()[..3_000_000], image);
    }
}
