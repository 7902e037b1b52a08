//! `farrier write`: an image onto a disk or a file, without a conductor.

mod arguments;
mod target;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use clap::CommandFactory;
use clap::error::ErrorKind;
use farrier_plugin::chain;
use serde_json::{Value, json};

pub(super) use self::arguments::Arguments;
use self::target::Target;
use super::machine::options_of_machine;
use super::progress_line::ProgressLine;
use super::terminal::{answer, complain, say, say_json};
use crate::config::Options;
use crate::stream::{self, ImageRequest, Written};
use crate::sys::power;

/// Write the image that the flags name. Ends with 0 where it is on the disk and has the promised
/// digest, or was to be written without one (`--no-checksum`); else with 1, and the disk does not
/// boot.
pub(super) fn main(arguments: &Arguments) -> ExitCode {
    let options = options_of_machine();
    let request = match arguments.request(&options) {
        Ok(request) => request,
        Err(message) => {
            return answer(&Arguments::command().error(ErrorKind::ValueValidation, message));
        }
    };
    let line = ProgressLine::new();
    line.hear_interrupts();
    let outcome = write(arguments, &request, &options, &line);
    line.clear();
    match outcome {
        Ok(done) if arguments.json => say_json(&format!("{}\n", done.to_json())),
        Ok(done) => say(&format!("{}\n", done.to_text())),
        Err(error) => {
            complain(&chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

/// An image that was written.
struct Done {
    url: String,
    device: String,
    written: Written,
    seconds: f64,
}

fn write(
    arguments: &Arguments,
    request: &ImageRequest,
    options: &Options,
    line: &ProgressLine,
) -> Result<Done, Box<dyn Error + Send + Sync>> {
    let path = Path::new(&arguments.device);
    let target = Target::open(path, arguments.force, power::root_is_in_memory())?;
    let started = Instant::now();
    let written = stream::write(request, options, &target.disk, line)?;
    target.keep(written.size)?;
    Ok(Done {
        url: request.locations[0].to_string(),
        device: arguments.device.clone(),
        written,
        seconds: started.elapsed().as_secs_f64(),
    })
}

impl Done {
    /// Bytes of the image a second.
    fn rate(&self) -> f64 {
        self.written.size as f64 / self.seconds.max(1e-3)
    }

    fn to_json(&self) -> Value {
        json!({
            "url": self.url,
            "device": self.device,
            "format": self.written.format,
            "bytes_in": self.written.read,
            "bytes_written": self.written.size,
            "seconds": (self.seconds * 1e3).round() / 1e3,
            "rate": self.rate().round(),
            "checksum": self.written.checksum,
            "verified": self.written.digest.is_some(),
            "peak_memory": peak_memory(),
        })
    }

    fn to_text(&self) -> String {
        format!(
            "{} bytes written to {} from {} bytes of {} in {:.1} s ({:.0} MB/s), {} {}",
            self.written.size,
            self.device,
            self.written.read,
            self.written.format,
            self.seconds,
            self.rate() / 1e6,
            self.written.checksum,
            match self.written.digest {
                Some(_) => "verified",
                None => "not verified: --no-checksum was given",
            }
        )
    }
}

/// Bytes of memory that this process had at most. Not what getrusage(2) says: that counts what the
/// process had before it became this program.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn run(line: &[&str]) -> Result<Done, String> {
        let options = Options::default();
        let arguments = Arguments::try_parse_from([&["write"], line].concat())
            .map_err(|error| error.to_string())?;
        let request = arguments.request(&options)?;
        write(&arguments, &request, &options, &ProgressLine::new())
            .map_err(|error| chain(error.as_ref()))
    }

    #[test]
    fn a_file_is_written_and_verified() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).display().to_string();
        let image: Vec<u8> = (0..3_000_000u32).map(|byte| byte as u8).collect();
        std::fs::write(path("image"), &image).unwrap();
        std::fs::write(path("disk"), vec![0xff; 4 << 20]).unwrap();
        let digest = format!("sha256:{}", "0".repeat(64));
        let to = |device: &str, checksum: &[&str]| {
            let (url, device) = (path("image"), path(device));
            run(&[&["--url", &url, "--device", &device], checksum].concat())
        };
        let wrong = to("disk", &["--checksum", &digest]).err().unwrap();
        assert!(wrong.contains("failed to verify"), "{wrong}");
        let disk = std::fs::read(path("disk")).unwrap();
        assert!(disk[..1 << 20].iter().all(|byte| *byte == 0));

        let done = to("disk", &["--no-checksum"]).unwrap();
        assert!(
            done.to_text().contains("not verified"),
            "{}",
            done.to_text()
        );
        assert_eq!(std::fs::read(path("disk")).unwrap()[..3_000_000], image);

        let checksum = done.written.checksum;
        let done = to("new", &["--checksum", &checksum]).unwrap();
        assert_eq!(std::fs::read(path("new")).unwrap(), image);
        let json = done.to_json();
        assert_eq!(json["bytes_in"], 3_000_000);
        assert_eq!(json["bytes_written"], 3_000_000);
        assert_eq!(json["format"], "raw");
        assert_eq!(json["checksum"], checksum);
        assert_eq!(json["verified"], true);
        assert!(json["rate"].as_f64().unwrap() > 0.0, "{json}");
        assert!(json["peak_memory"].as_u64().unwrap() > 1 << 20, "{json}");

        to("none", &["--checksum", &digest]).err().unwrap();
        assert!(!directory.path().join("none").exists());
    }
}
