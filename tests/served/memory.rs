//! What the process of a test holds in memory.

/// The line of `/proc/self/status` that begins with this name, in bytes: `VmRSS` is what it holds, `VmHWM` what it
/// held at most.
pub(crate) fn resident(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    let number = line.split_whitespace().nth(1).unwrap();
    number.parse::<u64>().unwrap() * 1024
}
