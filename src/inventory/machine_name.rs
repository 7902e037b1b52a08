//! What people know a server by: the serial number on its label, and its model.

/// What boards say that nobody gave a name or number, in small letters.
const PLACEHOLDERS: &[&str] = &[
    "",
    "none",
    "na",
    "n/a",
    "null",
    "unknown",
    "unknown product",
    "empty",
    "default string",
    "not available",
    "not applicable",
    "not specified",
    "not provided",
    "o.e.m.",
    "oem",
    "invalid",
    "system serial number",
    "serial number",
    "chassis serial number",
    "to be filled by o.e.m.",
    "to be filled by o.e.m",
    "to be filled by oem",
    "01234567",
    "012345678",
    "0123456789",
    "123456789",
    "1234567890",
];

/// What firmware says of a server, without what boards say that nobody gave a name or number.
pub(crate) struct MachineName {
    model: String,
    serial: Option<String>,
}

impl MachineName {
    /// Of the fields of SMBIOS's system information (SMBIOS 3.7, 7.2). Any may be empty or a placeholder.
    pub(crate) fn new(manufacturer: &str, product: &str, serial: &str) -> Self {
        let model: Vec<&str> = [manufacturer, product]
            .into_iter()
            .filter_map(given)
            .collect();
        Self {
            model: model.join(" "),
            serial: given(serial).map(str::to_owned),
        }
    }

    /// `ABC1234 (Dell Inc. PowerEdge R650)`, where there is a serial number.
    pub(crate) fn with_serial(&self) -> Option<String> {
        let serial = self.serial.as_ref()?;
        Some(match self.model.as_str() {
            "" => serial.clone(),
            model => format!("{serial} ({model})"),
        })
    }

    /// The same, or the model alone. Empty where firmware says nothing.
    pub(crate) fn known(self) -> String {
        self.with_serial().unwrap_or(self.model)
    }
}

/// This text, where it is no placeholder: one of [`PLACEHOLDERS`], or one sign repeated.
pub(super) fn given(text: &str) -> Option<&str> {
    let text = text.trim();
    let small = text.to_lowercase();
    let mut signs = small.chars();
    let first = signs.next()?;
    let is_one_sign = small.len() > 1 && signs.all(|sign| sign == first);
    let is_placeholder = is_one_sign || PLACEHOLDERS.contains(&small.as_str());
    (!is_placeholder).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_no_names() {
        let signs = ["0000000", "XXXXXX", "..........", " "];
        for placeholder in PLACEHOLDERS.iter().copied().chain(signs) {
            for text in [placeholder.to_owned(), placeholder.to_uppercase()] {
                let name = MachineName::new(&text, "R650", &text);
                assert_eq!(name.with_serial(), None, "{text}");
                assert_eq!(name.known(), "R650", "{text}");
                assert_eq!(MachineName::new(&text, &text, &text).known(), "", "{text}");
            }
        }
    }

    #[test]
    fn a_server_is_known_by_its_label_and_its_model() {
        let known =
            |manufacturer, product, serial| MachineName::new(manufacturer, product, serial).known();
        assert_eq!(known("HPE", "DL360", " CZJ1234 "), "CZJ1234 (HPE DL360)");
        assert_eq!(known("HPE", " DL360", ""), "HPE DL360");
        assert_eq!(known("", "", "CZJ1234"), "CZJ1234");
        assert_eq!(known("", "", "7"), "7");
    }
}
