//! ATA commands inside of SCSI ones: ATA PASS-THROUGH (16), SAT-4 12.2.2.

use std::time::Duration;

use crate::erase::drive::command::{self, CommandError};
use crate::sys::scsi::{AtaRegisters, Data, ScsiDevice};

/// Bytes of one block of data of every command here.
pub(super) const BLOCK: usize = 512;

/// What a command takes where the drive has nothing to do but to think: ten times what any drive
/// was seen to need, so that one that spins up is not given up.
pub(super) const SHORT: Duration = Duration::from_secs(30);

/// An ATA command.
#[derive(Clone, Copy, Debug)]
pub(super) struct Command {
    /// Its name in ACS.
    pub(super) name: &'static str,
    /// COMMAND.
    pub(super) code: u8,
    /// FEATURE.
    pub(super) features: u16,
    /// COUNT; that of blocks where there is data.
    pub(super) count: u16,
    /// LBA.
    pub(super) lba: u64,
    /// Whether it is a 48-bit command.
    pub(super) extended: bool,
    /// Whether the drive's registers are asked for after a success; after a failure they come
    /// unasked.
    pub(super) registers: bool,
    /// How long it may take.
    pub(super) timeout: Duration,
}

impl Command {
    /// A 28-bit command without parameters.
    pub(super) const fn new(name: &'static str, code: u8) -> Self {
        Self {
            name,
            code,
            features: 0,
            count: 0,
            lba: 0,
            extended: false,
            registers: false,
            timeout: SHORT,
        }
    }

    /// The same with another time.
    pub(super) const fn within(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Send it. Data is one block of [`BLOCK`] bytes, in full or not at all.
    ///
    /// The registers are what the drive answered with, where the way to it gives them.
    pub(super) fn run(
        &self,
        drive: &dyn ScsiDevice,
        data: Data<'_>,
    ) -> Result<Option<AtaRegisters>, CommandError> {
        let expected = match &data {
            Data::None => 0,
            Data::In(buffer) => buffer.len(),
            Data::Out(bytes) => bytes.len(),
        };
        let block = self.block(&data);
        let is_in = matches!(data, Data::In(_));
        let reply = command::send(drive, self.name, &block, data, self.timeout)?;
        let registers = reply.sense.as_ref().and_then(|sense| sense.ata);
        if let Some(registers) = registers
            && registers.is_error()
        {
            return Err(CommandError::Ata {
                command: self.name,
                status: registers.status,
                error: registers.error,
                lba: registers.lba,
            });
        }
        if !reply.is_done() {
            return Err(command::refusal(self.name, reply));
        }
        if is_in && reply.transferred < expected {
            return Err(CommandError::Short {
                command: self.name,
                length: reply.transferred,
                expected,
            });
        }
        Ok(registers)
    }

    fn block(&self, data: &Data<'_>) -> [u8; 16] {
        // PROTOCOL: non-data, PIO data-in, PIO data-out; T_DIR, BYT_BLOK and T_LENGTH: COUNT
        // blocks of 512 bytes.
        let (protocol, transfer) = match data {
            Data::None => (3, 0x00),
            Data::In(_) => (4, 0x0e),
            Data::Out(_) => (5, 0x06),
        };
        let count = match data {
            Data::None => self.count,
            _ => 1,
        };
        let check_condition = if self.registers { 0x20 } else { 0 };
        let [_, _, l5, l4, l3, l2, l1, l0] = self.lba.to_be_bytes();
        let [f1, f0] = self.features.to_be_bytes();
        let [c1, c0] = count.to_be_bytes();
        [
            0x85,
            protocol << 1 | u8::from(self.extended),
            transfer | check_condition,
            f1,
            f0,
            c1,
            c0,
            l3,
            l0,
            l4,
            l1,
            l5,
            l2,
            // DEVICE: LBA, which drives before ATA8 look for.
            if self.extended { 0x40 } else { 0 },
            self.code,
            0,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_laid_out_as_in_the_standard() {
        let identify = Command::new("IDENTIFY DEVICE", 0xec);
        let mut buffer = [0; BLOCK];
        assert_eq!(
            identify.block(&Data::In(&mut buffer)),
            [0x85, 8, 0x0e, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0xec, 0]
        );
        let overwrite = Command {
            features: 0x0014,
            count: 0x0011,
            lba: 0x4f57_1122_3344,
            extended: true,
            registers: true,
            ..Command::new("OVERWRITE EXT", 0xb4)
        };
        assert_eq!(
            overwrite.block(&Data::None),
            [
                0x85, 7, 0x20, 0, 0x14, 0, 0x11, 0x11, 0x44, 0x57, 0x33, 0x4f, 0x22, 0x40, 0xb4, 0
            ]
        );
        assert_eq!(
            Command::new("SECURITY SET PASSWORD", 0xf1).block(&Data::Out(&[0; BLOCK]))[..7],
            [0x85, 10, 0x06, 0, 0, 0, 1]
        );
    }
}
