//! hosts(5): addresses, and the names that have them.

use std::net::IpAddr;

/// Every address that the file has for this name, IPv4 first. What is no address, or comes behind
/// a `#`, is passed over.
pub(super) fn addresses(file: &[u8], name: &str) -> Vec<IpAddr> {
    let text = String::from_utf8_lossy(file);
    let mut found: Vec<IpAddr> = Vec::new();
    for line in text.lines() {
        let mut words = line
            .split('#')
            .next()
            .unwrap_or_default()
            .split_whitespace();
        let address = words.next().map(|word| word.trim_start_matches('\u{feff}'));
        let Some(address) = address.and_then(|word| word.parse().ok()) else {
            continue;
        };
        let named = words.any(|word| {
            word.strip_suffix('.')
                .unwrap_or(word)
                .eq_ignore_ascii_case(name)
        });
        if named && !found.contains(&address) {
            found.push(address);
        }
    }
    found.sort_by_key(IpAddr::is_ipv6);
    found
}
