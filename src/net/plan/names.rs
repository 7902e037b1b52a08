//! Names of interfaces: which the kernel takes, and which may be made beside those of cards.

/// Bytes of a name (`IFNAMSIZ` without the end, include/uapi/linux/if.h).
const LONGEST: usize = 15;

/// How udev and the kernel begin the names of cards (systemd.net-naming-scheme(7)), of loopback, and of what drivers
/// make by themselves.
const OF_CARDS: [&str; 9] = ["eth", "en", "ib", "wl", "ww", "sl", "lo", "usb", "ifb"];

/// Whether the kernel takes this name (`dev_valid_name`), and nothing that reads it is misled: sysctl takes a `/` for
/// a dot, `ip` and dracut's grammar a `:` for the end, `%` stands for a number, `*` and `?` for other names.
pub(crate) fn is_name(text: &str) -> bool {
    (1..=LONGEST).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"/:%*?[]\\\"'".contains(&byte))
        && text != "."
        && text != ".."
        // Not names, but directories and words that stand for all interfaces in /proc/sys/net.
        && !["all", "default", "bonding_masters"].contains(&text)
}

/// Whether an interface that is made may have this name: no card has it, or gets it while the machine starts.
pub(crate) fn may_be_made(text: &str) -> bool {
    is_name(text)
        && (text.contains('.') || !OF_CARDS.iter().any(|beginning| text.starts_with(beginning)))
}

/// The first of `WORD0`, `WORD1`, … that is not taken.
pub(crate) fn numbered(word: &str, is_taken: impl Fn(&str) -> bool) -> String {
    (0_u32..)
        .map(|number| format!("{word}{number}"))
        .find(|name| !is_taken(name))
        .expect("there are more numbers than interfaces")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_the_kernel_takes_and_nobody_misreads() {
        for name in [
            "eth0",
            "tap77a0dc5b-72",
            "bond0.4094",
            "a",
            "vlan0005",
            "fifteen-letters",
        ] {
            assert!(is_name(name), "{name}");
        }
        for name in [
            "",
            ".",
            "..",
            "sixteen-letters!",
            "a b",
            "a/b",
            "a:b",
            "eth%d",
            "ä",
            "a\n",
            "all",
            "$(id)\"",
        ] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn what_is_made_has_no_cards_name() {
        for name in ["bond0", "vlan5", "eth0.5", "team"] {
            assert!(may_be_made(name), "{name}");
        }
        for name in ["eth0", "eno1", "enp1s0f0", "ib0", "lo"] {
            assert!(!may_be_made(name), "{name}");
        }
    }
}
