//! A model of an ATA drive behind a translation layer: it keeps the states of the Security and
//! Sanitize Device feature sets as ACS-3 4.17 and 4.18 draw them, holds data, and can fail.
//!
//! It was written from the standards, and never compared with a real drive.

use std::io;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use crate::erase::drive::ata::command::BLOCK;
use crate::sys::block_device::{DiskError, Medium};
use crate::sys::scsi::{
    AtaRegisters, CHECK_CONDITION, Data, GOOD, Reply, ScsiDevice, ScsiError, Sense,
};

/// ATA command codes.
pub(crate) const IDENTIFY: u8 = 0xec;
pub(crate) const SET_PASSWORD: u8 = 0xf1;
pub(crate) const UNLOCK: u8 = 0xf2;
pub(crate) const ERASE_PREPARE: u8 = 0xf3;
pub(crate) const ERASE_UNIT: u8 = 0xf4;
pub(crate) const DISABLE: u8 = 0xf6;
pub(crate) const SANITIZE: u8 = 0xb4;

/// The data that is on a new drive.
pub(crate) const OLD: u8 = 0x5a;

/// What goes wrong, each with the command at which it does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Defect {
    /// It is aborted.
    Aborts(u8),
    /// It is answered with success, and nothing happens.
    Ignores(u8),
    /// It is carried out, but the answer is lost.
    AnswerLost(u8),
    /// It is never answered, and not carried out.
    TimesOut(u8),
    /// It stops half-way with an error, and what it did remains.
    HalfDone(u8),
    /// Something freezes the drive when it is done.
    FreezesAfter(u8),
    /// The power is cut when it is done: nothing is answered any more.
    PowerCutAfter(u8),
    /// IDENTIFY DEVICE gives garbage once this one was carried out.
    GarbageAfter(u8),
    /// Data is 100 bytes short.
    Short(u8),
    /// A unit attention comes in its place, this once.
    News(u8),
    /// The adapter gives no registers after a success.
    NoRegisters,
}

pub(crate) struct Drive(Mutex<State>);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Operation {
    None,
    Done,
    Running { feature: u16, polls: u32 },
    Failed,
}

struct State {
    words: Vec<(usize, u16)>,
    content: Vec<u8>,
    password: Option<[u8; 32]>,
    locked: bool,
    frozen: bool,
    attempts: u8,
    prepared: bool,
    operation: Operation,
    sanitize_frozen: bool,
    sanitize_fails: bool,
    powered: bool,
    garbage: bool,
    faults: Vec<Defect>,
    commands: Vec<u8>,
    limits: Vec<(u8, Duration)>,
}

/// An IDENTIFY DEVICE page, composed by hand from ACS-3 7.12.7: the words that every drive has,
/// with these in place of them.
pub(crate) fn page(words: &[(usize, u16)]) -> [u8; BLOCK] {
    let mut page = [0; BLOCK];
    let mut put = |number: usize, word: u16| {
        page[2 * number..2 * number + 2].copy_from_slice(&word.to_le_bytes());
    };
    put(0, 0x0040);
    put(83, 0x4000);
    put(255, 0x00a5);
    for (number, word) in words {
        put(*number, *word);
    }
    let sum = page.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    page[511] = page[511].wrapping_sub(sum);
    page
}

impl Drive {
    /// A drive full of old data, in the state SEC1, with both erases.
    pub(crate) fn new() -> Self {
        Self::with(&[(59, 0xf400), (89, 1), (90, 1), (128, 0x0021)])
    }

    /// A drive of these words. What the model itself keeps of word 128 is taken from it.
    pub(crate) fn with(words: &[(usize, u16)]) -> Self {
        Self(Mutex::new(State {
            words: words.to_vec(),
            content: vec![OLD; 3 << 20],
            password: None,
            locked: false,
            frozen: false,
            attempts: 5,
            prepared: false,
            operation: Operation::None,
            sanitize_frozen: false,
            sanitize_fails: false,
            powered: true,
            garbage: false,
            faults: Vec::new(),
            commands: Vec::new(),
            limits: Vec::new(),
        }))
    }

    pub(crate) fn failing(self, faults: &[Defect]) -> Self {
        self.state().faults = faults.to_vec();
        self
    }

    /// With a user password set and the drive locked.
    pub(crate) fn locked_with(self, password: &[u8]) -> Self {
        self.set_password(password);
        self.power_cycle();
        self
    }

    pub(crate) fn set_password(&self, password: &[u8]) {
        let mut padded = [0; 32];
        padded[..password.len()].copy_from_slice(password);
        self.state().password = Some(padded);
    }

    pub(crate) fn freeze(&self) {
        self.state().frozen = true;
    }

    pub(crate) fn freeze_sanitize(&self) {
        self.state().sanitize_frozen = true;
    }

    /// Every sanitize operation fails at its end.
    pub(crate) fn fail_sanitize(&self) {
        self.state().sanitize_fails = true;
    }

    /// A sanitize operation that somebody else started.
    pub(crate) fn begin_sanitize(&self, feature: u16) {
        self.state().operation = Operation::Running { feature, polls: 3 };
    }

    /// Off and on again; faults are gone.
    pub(crate) fn power_cycle(&self) {
        let mut state = self.state();
        state.locked = state.password.is_some();
        state.frozen = false;
        state.sanitize_frozen = false;
        state.attempts = 5;
        state.prepared = false;
        state.powered = true;
        state.garbage = false;
        state.faults.clear();
    }

    pub(crate) fn has_password(&self) -> bool {
        self.state().password.is_some()
    }

    pub(crate) fn is_locked(&self) -> bool {
        self.state().locked
    }

    /// Whether any byte of the old data is there.
    pub(crate) fn holds_old_data(&self) -> bool {
        self.state().content.contains(&OLD)
    }

    /// Whether all of the old data is there.
    pub(crate) fn is_untouched(&self) -> bool {
        self.state().content.iter().all(|byte| *byte == OLD)
    }

    /// Codes of all commands so far, IDENTIFY DEVICE left out.
    pub(crate) fn commands(&self) -> Vec<u8> {
        self.state().commands.clone()
    }

    /// The time that a command was given.
    pub(crate) fn limit(&self, code: u8) -> Duration {
        let state = self.state();
        state.limits.iter().find(|(of, _)| *of == code).unwrap().1
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

impl State {
    fn identify(&self) -> [u8; BLOCK] {
        let mut words = self.words.clone();
        for (number, word) in &mut words {
            if *number == 128 && *word & 1 != 0 {
                *word |= u16::from(self.password.is_some()) << 1;
                *word |= u16::from(self.locked) << 2;
                *word |= u16::from(self.frozen) << 3;
                *word |= u16::from(self.attempts == 0) << 4;
            }
        }
        let mut page = page(&words);
        if self.garbage {
            page.fill(0xff);
        }
        page
    }

    fn word(&self, number: usize) -> u16 {
        let found = self.words.iter().find(|(of, _)| *of == number);
        found.map_or(0, |(_, word)| *word)
    }

    /// Carry out a command: `Err` is that it is aborted, with LBA.
    fn command(&mut self, block: &[u8], data: &mut Data<'_>) -> Result<AtaRegisters, u64> {
        let code = block[14];
        let prepared = std::mem::replace(&mut self.prepared, code == ERASE_PREPARE);
        let password = match data {
            Data::Out(bytes) => <[u8; 32]>::try_from(&bytes[2..34]).unwrap(),
            _ => [0; 32],
        };
        let matches = self.password == Some(password);
        let is_secure = self.word(128) & 1 != 0;
        let running = matches!(self.operation, Operation::Running { .. });
        if code == IDENTIFY {
            let Data::In(buffer) = data else {
                return Err(0);
            };
            buffer.copy_from_slice(&self.identify());
            return Ok(success());
        }
        if code == SANITIZE {
            return self.sanitize(block);
        }
        // ACS-3 table 11: every security command is aborted in a frozen drive, and while it
        // sanitizes itself.
        if !is_secure || self.frozen || running || self.operation == Operation::Failed {
            return Err(0);
        }
        let enhanced = match data {
            Data::Out(bytes) => bytes[0] & 2 != 0,
            _ => false,
        };
        match code {
            SET_PASSWORD if !self.locked => self.password = Some(password),
            UNLOCK if self.locked && self.attempts > 0 => {
                if !matches {
                    self.attempts -= 1;
                    return Err(0);
                }
                self.locked = false;
            }
            DISABLE if matches && !self.locked => self.password = None,
            ERASE_PREPARE => {}
            ERASE_UNIT if prepared && matches && (!enhanced || self.word(128) & 0x20 != 0) => {
                if self.fault(Defect::HalfDone(code)) {
                    let half = self.content.len() / 2;
                    self.content[..half].fill(0);
                    return Err(0);
                }
                self.content.fill(if enhanced { 0xc3 } else { 0 });
                self.password = None;
                self.locked = false;
            }
            _ => return Err(0),
        }
        Ok(success())
    }

    fn sanitize(&mut self, block: &[u8]) -> Result<AtaRegisters, u64> {
        let feature = u16::from_be_bytes([block[3], block[4]]);
        let count = u16::from_be_bytes([block[5], block[6]]);
        let key = u32::from_be_bytes([block[7], block[12], block[10], block[8]]);
        let upper = u16::from_be_bytes([block[11], block[9]]);
        let is_extended = block[1] & 1 != 0;
        let offered = self.word(59);
        if offered & 0x1000 == 0 || !is_extended || self.locked {
            return Err(0);
        }
        if feature == 0 {
            return self.sanitize_status(count);
        }
        if self.sanitize_frozen {
            return Err(3);
        }
        let allowed = match feature {
            0x11 => offered & 0x2000 != 0 && key == 0x4372_7970,
            0x12 => offered & 0x8000 != 0 && key == 0x426b_4572,
            0x14 => offered & 0x4000 != 0 && upper == 0x4f57,
            0x40 => offered & 0x0400 != 0 && key == 0x416e_7469,
            _ => false,
        };
        if !allowed {
            return Err(2);
        }
        if matches!(self.operation, Operation::Running { .. }) {
            return Err(0);
        }
        if feature != 0x40 {
            self.operation = Operation::Running { feature, polls: 3 };
        }
        Ok(success())
    }

    fn sanitize_status(&mut self, count: u16) -> Result<AtaRegisters, u64> {
        if let Operation::Running { feature, polls } = self.operation {
            self.operation = match polls {
                0 if self.sanitize_fails => Operation::Failed,
                0 => {
                    self.content.fill(if feature == 0x14 { 0 } else { 0xc3 });
                    Operation::Done
                }
                polls => Operation::Running {
                    feature,
                    polls: polls - 1,
                },
            };
        }
        if self.operation == Operation::Failed {
            if count & 1 == 0 {
                return Err(1);
            }
            self.operation = Operation::None;
        }
        let mut registers = success();
        registers.count = u16::from(self.sanitize_frozen) << 13;
        match self.operation {
            Operation::Done => registers.count |= 0x8000,
            Operation::Running { polls, .. } => {
                registers.count |= 0x4000;
                registers.lba = 0xffff - u64::from(polls) * 0x4000;
            }
            Operation::None | Operation::Failed => {}
        }
        Ok(registers)
    }

    /// Whether there is this fault.
    fn fault(&self, fault: Defect) -> bool {
        self.faults.contains(&fault)
    }
}

fn success() -> AtaRegisters {
    AtaRegisters {
        status: 0x50,
        whole: true,
        ..AtaRegisters::default()
    }
}

impl ScsiDevice for Drive {
    fn send(
        &self,
        command: &[u8],
        mut data: Data<'_>,
        timeout: Duration,
    ) -> Result<Reply, ScsiError> {
        let mut state = self.state();
        if !state.powered {
            return Err(ScsiError::Kernel(io::Error::from_raw_os_error(
                libc::ENODEV,
            )));
        }
        let length = match &data {
            Data::None => 0,
            Data::In(buffer) => buffer.len(),
            Data::Out(bytes) => bytes.len(),
        };
        let good = Reply {
            status: GOOD,
            sense: None,
            transferred: length,
        };
        match (command[0], &mut data) {
            // INQUIRY: the list of pages.
            (0x12, Data::In(buffer)) if command[1] == 1 && command[2] == 0 => {
                let page = [0, 0, 0, 3, 0x00, 0x83, 0x89];
                buffer[..page.len()].copy_from_slice(&page);
                return Ok(Reply {
                    transferred: page.len(),
                    ..good
                });
            }
            (0x85, _) => {}
            _ => return Ok(check(Sense::ILLEGAL_REQUEST, 0x20, 0, None)),
        }
        let code = command[14];
        if state.fault(Defect::News(code)) {
            state.faults.retain(|fault| *fault != Defect::News(code));
            return Ok(check(Sense::UNIT_ATTENTION, 0x29, 0, None));
        }
        if code != IDENTIFY {
            state.commands.push(code);
            state.limits.push((code, timeout));
        }
        if state.fault(Defect::TimesOut(code)) {
            return Err(ScsiError::Timeout { limit: timeout });
        }
        let outcome = if state.fault(Defect::Aborts(code)) {
            state.prepared = false;
            Err(0)
        } else if state.fault(Defect::Ignores(code)) {
            Ok(success())
        } else {
            state.command(command, &mut data)
        };
        state.frozen |= state.fault(Defect::FreezesAfter(code));
        state.garbage |= state.fault(Defect::GarbageAfter(code));
        if state.fault(Defect::PowerCutAfter(code)) {
            state.powered = false;
        }
        if !state.powered || state.fault(Defect::AnswerLost(code)) {
            return Err(ScsiError::Timeout { limit: timeout });
        }
        let wants_registers = command[2] & 0x20 != 0 && !state.fault(Defect::NoRegisters);
        Ok(match outcome {
            Ok(registers) if wants_registers => {
                check(Sense::RECOVERED, 0x00, 0x1d, Some(registers))
            }
            Ok(_) if state.fault(Defect::Short(code)) => Reply {
                transferred: length.saturating_sub(100),
                ..good
            },
            Ok(_) => good,
            Err(lba) => {
                let registers = AtaRegisters {
                    status: 0x51,
                    error: 0x04,
                    lba,
                    whole: true,
                    ..AtaRegisters::default()
                };
                check(0x0b, 0, 0, Some(registers))
            }
        })
    }
}

fn check(key: u8, code: u8, qualifier: u8, ata: Option<AtaRegisters>) -> Reply {
    Reply {
        status: CHECK_CONDITION,
        sense: Some(Sense {
            key,
            code,
            qualifier,
            progress: None,
            ata,
        }),
        transferred: 0,
    }
}

impl State {
    fn readable(&self) -> io::Result<()> {
        let is_free = matches!(self.operation, Operation::None | Operation::Done);
        if self.powered && !self.locked && is_free {
            return Ok(());
        }
        Err(io::Error::from_raw_os_error(libc::EIO))
    }
}

impl Medium for Drive {
    fn size(&self) -> u64 {
        self.state().content.len() as u64
    }

    fn logical_block_size(&self) -> u32 {
        512
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), DiskError> {
        let state = self.state();
        state.readable().map_err(|source| DiskError::Read {
            path: "/dev/model".into(),
            offset,
            length: buffer.len() as u64,
            source,
        })?;
        let start = offset as usize;
        buffer.copy_from_slice(&state.content[start..start + buffer.len()]);
        Ok(())
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> Result<(), DiskError> {
        let mut state = self.state();
        state.readable().map_err(|source| DiskError::Write {
            path: "/dev/model".into(),
            offset,
            length: data.len() as u64,
            source,
        })?;
        let start = offset as usize;
        state.content[start..start + data.len()].copy_from_slice(data);
        Ok(())
    }

    fn zero_range(&self, offset: u64, length: u64) -> Result<(), DiskError> {
        self.write_at(offset, &vec![0; length as usize])
    }

    fn flush(&self) -> Result<(), DiskError> {
        Ok(())
    }
}
