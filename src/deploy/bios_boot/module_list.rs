//! Which modules of GRUB need which others: its `moddep.lst`, a line `name: needed needed` for each.

use std::collections::BTreeMap;

/// The most modules that a list may have; GRUB 2.12 has 290.
const MOST: usize = 2048;

/// Bytes of a module's name.
const LONGEST_NAME: usize = 64;

/// The list.
#[derive(Debug, Default)]
pub(super) struct ModuleList<'a> {
    needs: BTreeMap<&'a str, Vec<&'a str>>,
}

impl<'a> ModuleList<'a> {
    /// Read it. Of two lines for one module the last counts.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "it is no text".to_owned())?;
        let mut needs = BTreeMap::new();
        for (index, line) in text.lines().enumerate() {
            let at = |reason: &str| format!("line {}: {reason}", index + 1);
            if line.trim().is_empty() {
                continue;
            }
            let (name, rest) = line.split_once(':').ok_or_else(|| at("it has no colon"))?;
            let needed: Vec<&str> = rest.split_ascii_whitespace().collect();
            if !std::iter::once(&name)
                .chain(&needed)
                .all(|name| is_name(name))
            {
                return Err(at("it names what can be no module"));
            }
            needs.insert(name, needed);
            if needs.len() > MOST {
                return Err(format!("it has more than {MOST} modules"));
            }
        }
        Ok(Self { needs })
    }

    /// These modules and all that they need, each behind what it needs and in the order of `grub-mkimage`.
    ///
    /// Modules that need each other in a circle come in some order, once each. One that is not in the list needs
    /// nothing.
    pub(super) fn closure(&self, wanted: &[&'a str]) -> Vec<&'a str> {
        let mut ordered: Vec<&str> = Vec::new();
        let mut seen = BTreeMap::new();
        // Of each module: the number of its needs that are still to be looked at. No recursion, since a
        // stranger's list decides how deep it goes.
        let mut open: Vec<(&str, usize)> = Vec::new();
        for name in wanted {
            self.enter(name, &mut seen, &mut open);
            while let Some((name, left)) = open.pop() {
                let needs = self.needs.get(name).map_or(&[][..], Vec::as_slice);
                match left.checked_sub(1) {
                    // grub-mkimage looks at the last first.
                    Some(left) => {
                        open.push((name, left));
                        self.enter(needs[left], &mut seen, &mut open);
                    }
                    None => ordered.push(name),
                }
            }
        }
        ordered
    }

    fn enter(
        &self,
        name: &'a str,
        seen: &mut BTreeMap<&'a str, ()>,
        open: &mut Vec<(&'a str, usize)>,
    ) {
        if seen.insert(name, ()).is_none() {
            open.push((name, self.needs.get(name).map_or(0, Vec::len)));
        }
    }
}

/// Whether this is a name and not a path.
fn is_name(name: &str) -> bool {
    (1..=LONGEST_NAME).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_needed_comes_first() {
        let list = ModuleList::parse(b"ext2: fshelp\nfshelp:\nxfs: fshelp extra\n\nextra: deep\n")
            .unwrap();
        assert_eq!(list.closure(&["ext2"]), ["fshelp", "ext2"]);
        assert_eq!(
            list.closure(&["xfs", "ext2", "xfs", "unlisted"]),
            ["deep", "extra", "fshelp", "xfs", "ext2", "unlisted"]
        );
    }

    #[test]
    fn circles_end() {
        let list = ModuleList::parse(b"a: b a\nb: c\nc: a b\n").unwrap();
        assert_eq!(list.closure(&["a"]), ["c", "b", "a"]);
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for (bytes, reason) in [
            (&b"ext2 fshelp\n"[..], "line 1: it has no colon"),
            (b"a:\n../b: a\n", "line 2: it names what can be no module"),
            (
                b"a: /etc/shadow\n",
                "line 1: it names what can be no module",
            ),
            (b": a\n", "line 1: it names what can be no module"),
            (b"a: \xff\n", "it is no text"),
        ] {
            assert_eq!(ModuleList::parse(bytes).unwrap_err(), reason);
        }
        let long: String = (0..=MOST).map(|number| format!("m{number}:\n")).collect();
        let error = ModuleList::parse(long.as_bytes()).unwrap_err();
        assert_eq!(error, "it has more than 2048 modules");
    }

    #[test]
    fn a_chain_as_deep_as_a_list_can_be() {
        let chain: String = (0..MOST)
            .map(|number| format!("m{number}: m{}\n", number + 1))
            .collect();
        let list = ModuleList::parse(chain.as_bytes()).unwrap();
        assert_eq!(list.closure(&["m0"]).len(), MOST + 1);
    }

    proptest! {
        #[test]
        fn each_once_and_behind_its_needs_unless_in_a_circle(
            lines in prop::collection::vec((0_u8..12, prop::collection::vec(0_u8..12, 0..4)), 0..12),
            forward in any::<bool>(),
        ) {
            // With `forward` no module needs one of a lower number, so that there are no circles.
            let text: String = lines
                .iter()
                .map(|(name, needs)| {
                    let needs: Vec<String> = needs
                        .iter()
                        .filter(|need| !forward || *need > name)
                        .map(|need| format!("m{need}"))
                        .collect();
                    format!("m{name}: {}\n", needs.join(" "))
                })
                .collect();
            let list = ModuleList::parse(text.as_bytes()).unwrap();
            let ordered = list.closure(&["m0", "m3"]);
            for (index, name) in ordered.iter().enumerate() {
                prop_assert!(!ordered[index + 1..].contains(name));
                for need in list.needs.get(name).into_iter().flatten() {
                    let at = ordered.iter().position(|other| other == need);
                    prop_assert!(at.is_some());
                    prop_assert!(!forward || at.unwrap() < index);
                }
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(list) = ModuleList::parse(&bytes) {
                list.closure(&["biosdisk"]);
            }
        }
    }
}
