//! What a vendor is told of a plugin.

use super::*;

#[test]
fn a_vendor_is_told_what_a_plugin_does_wrong() {
    let faults = |mode: &str| -> Vec<String> {
        let site = Site::new(mode);
        check(&site.folder.path().join("faulty"))
            .into_iter()
            .filter_map(|finding| Some(format!("{}: {}", finding.what, finding.fault?)))
            .collect()
    };
    assert_eq!(faults("well"), Vec::<String>::new());
    for (mode, told) in [
        ("step_twice", "the step polish is offered twice"),
        (
            "declares_what_it_lacks",
            "the method get_memory: it declares the method",
        ),
        (
            "renames",
            "filter_device with a block_device: it gave the device another name",
        ),
        (
            "everything",
            "generate_tls_certificate: the API cannot be served with it",
        ),
        ("exits_at_start", "it introduces itself: "),
        ("step_without_priority", "missing field `priority`"),
        ("changes_version", "after a restart: name, version"),
    ] {
        let faults = faults(mode);
        assert!(
            faults.iter().any(|fault| fault.contains(told)),
            "{faults:?}"
        );
    }
}
