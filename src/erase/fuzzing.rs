//! The fuzz targets of this room.

/// What an ATA drive answers to IDENTIFY DEVICE.
pub(crate) fn ata_identify(data: &[u8]) {
    if let Some(identify) = super::drive::ata::Identify::parse(data) {
        let security = identify.security;
        assert!(security.supported || !security.enabled);
        let times = [security.normal_time, security.enhanced_time];
        assert!(
            times
                .iter()
                .all(|time| time.limit() > time.expected().unwrap_or_default())
        );
    }
}

/// What an NVMe controller answers to identify and to the question for its sanitize log.
pub(crate) fn nvme(data: &[u8]) {
    super::drive::nvme::identify::fuzz(data);
}
