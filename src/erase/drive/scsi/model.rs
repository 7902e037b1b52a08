//! A model of a SCSI disk: SANITIZE and FORMAT UNIT as SBC-4 draws them, and their failures.
//!
//! It was written from the standard, and never compared with a real disk.

use std::io;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use crate::sys::scsi::{CHECK_CONDITION, Data, GOOD, Reply, ScsiDevice, ScsiError, Sense};

pub(crate) const OLD: u8 = 0x5a;

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Faults {
    /// Every operation fails at its end.
    pub(crate) fails: bool,
    /// REQUEST SENSE says nothing of a running operation.
    pub(crate) silent: bool,
    /// A unit attention before every first command of its kind.
    pub(crate) news: bool,
    /// SANITIZE is refused with these additional codes of an illegal request.
    pub(crate) refuses: bool,
    /// The disk is gone once an operation began.
    pub(crate) vanishes: bool,
}

pub(crate) struct Disk(Mutex<State>);

struct State {
    /// Service actions of SANITIZE that it has.
    actions: Vec<u8>,
    protection: u8,
    content: Vec<u8>,
    running: Option<(u8, u32)>,
    broken: Option<u8>,
    gone: bool,
    faults: Faults,
    told: Vec<u8>,
    sent: Vec<Vec<u8>>,
    data: Vec<Vec<u8>>,
}

impl Disk {
    /// A disk full of old data with these service actions of SANITIZE, and FORMAT UNIT.
    pub(crate) fn new(actions: &[u8]) -> Self {
        Self(Mutex::new(State {
            actions: actions.to_vec(),
            protection: 0,
            content: vec![OLD; 4096],
            running: None,
            broken: None,
            gone: false,
            faults: Faults::default(),
            told: Vec::new(),
            sent: Vec::new(),
            data: Vec::new(),
        }))
    }

    pub(crate) fn failing(self, faults: Faults) -> Self {
        self.state().faults = faults;
        self
    }

    /// Byte 12 of READ CAPACITY (16).
    pub(crate) fn protected(self, byte: u8) -> Self {
        self.state().protection = byte;
        self
    }

    /// An operation that somebody else began.
    pub(crate) fn begin(&self, code: u8) {
        self.state().running = Some((code, 3));
    }

    pub(crate) fn holds_old_data(&self) -> bool {
        self.state().content.contains(&OLD)
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.state().broken.is_some()
    }

    /// Command blocks with this operation code, and the data of those that had any.
    pub(crate) fn sent(&self, code: u8) -> Vec<Vec<u8>> {
        let state = self.state();
        let sent = state.sent.iter().filter(|block| block[0] == code);
        sent.cloned().collect()
    }

    pub(crate) fn data(&self) -> Vec<Vec<u8>> {
        self.state().data.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

impl State {
    /// The sense data of an operation that runs, or broke the disk. Asking lets time pass.
    fn trouble(&mut self) -> Option<Sense> {
        if let Some((code, polls)) = self.running {
            if polls > 0 {
                self.running = Some((code, polls - 1));
                return Some(Sense {
                    key: Sense::NOT_READY,
                    code: 0x04,
                    qualifier: if code == 0x48 { 0x1b } else { 0x04 },
                    progress: Some(0xffff - 0x4000 * polls as u16),
                    ata: None,
                });
            }
            self.running = None;
            if self.faults.fails {
                self.broken = Some(if code == 0x48 { 0x03 } else { 0x01 });
            } else {
                self.content.fill(0);
                self.broken = None;
            }
        }
        self.broken.map(|qualifier| Sense {
            key: Sense::MEDIUM,
            code: 0x31,
            qualifier,
            ..Sense::default()
        })
    }
}

impl ScsiDevice for Disk {
    fn send(&self, command: &[u8], data: Data<'_>, _timeout: Duration) -> Result<Reply, ScsiError> {
        let mut state = self.state();
        if state.gone {
            return Err(ScsiError::Kernel(io::Error::from_raw_os_error(
                libc::ENODEV,
            )));
        }
        let code = command[0];
        state.sent.push(command.to_vec());
        if state.faults.news && !state.told.contains(&code) {
            state.told.push(code);
            return Ok(refused(Sense::UNIT_ATTENTION, 0x29, 0));
        }
        let answer = |data: Data<'_>, bytes: &[u8]| {
            let Data::In(buffer) = data else {
                return refused(Sense::ILLEGAL_REQUEST, 0x24, 0);
            };
            let length = bytes.len().min(buffer.len());
            buffer[..length].copy_from_slice(&bytes[..length]);
            Reply {
                transferred: length,
                ..good()
            }
        };
        if let Data::Out(bytes) = &data {
            state.data.push(bytes.to_vec());
        }
        let action = command.get(1).map_or(0, |byte| byte & 0x1f);
        Ok(match code {
            0x12 => answer(data, &[0; 36]),
            0xa3 => {
                let has = match command[3] {
                    0x48 => command[2] == 2 && state.actions.contains(&command[5]),
                    0x04 => command[2] == 1,
                    _ => false,
                };
                answer(data, &[0, if has { 3 } else { 1 }, 0, 0])
            }
            0x9e => {
                let mut capacity = [0; 32];
                capacity[12] = state.protection;
                answer(data, &capacity)
            }
            0x03 => match (state.faults.silent, state.trouble()) {
                (false, Some(sense)) => answer(data, &fixed(&sense)),
                _ => answer(data, &fixed(&Sense::default())),
            },
            0x00 => match state.trouble() {
                Some(sense) => refused_with(sense),
                None => good(),
            },
            // EXIT FAILURE MODE, which needs AUSE of the one before.
            0x48 if action == 0x1f => {
                let last = state
                    .sent
                    .iter()
                    .rev()
                    .find(|block| block[0] == 0x48 && block[1] & 0x1f != 0x1f);
                if last.is_some_and(|block| block[1] & 0x20 != 0) {
                    state.broken = None;
                    good()
                } else {
                    refused(Sense::ILLEGAL_REQUEST, 0x24, 0)
                }
            }
            0x48 | 0x04 if state.running.is_some() => refused(Sense::NOT_READY, 0x04, 0x1b),
            0x48 if state.faults.refuses || !state.actions.contains(&action) => {
                refused(Sense::ILLEGAL_REQUEST, 0x24, 0)
            }
            0x48 | 0x04 => {
                state.running = Some((code, 3));
                state.gone = state.faults.vanishes;
                good()
            }
            _ => refused(Sense::ILLEGAL_REQUEST, 0x20, 0),
        })
    }
}

fn fixed(sense: &Sense) -> [u8; 18] {
    let mut bytes = [0; 18];
    bytes[0] = 0x70;
    bytes[2] = sense.key;
    bytes[7] = 10;
    bytes[12] = sense.code;
    bytes[13] = sense.qualifier;
    if let Some(progress) = sense.progress {
        bytes[15] = 0x80;
        bytes[16..].copy_from_slice(&progress.to_be_bytes());
    }
    bytes
}

fn good() -> Reply {
    Reply {
        status: GOOD,
        sense: None,
        transferred: 0,
    }
}

fn refused(key: u8, code: u8, qualifier: u8) -> Reply {
    refused_with(Sense {
        key,
        code,
        qualifier,
        ..Sense::default()
    })
}

fn refused_with(sense: Sense) -> Reply {
    Reply {
        status: CHECK_CONDITION,
        sense: Some(sense),
        transferred: 0,
    }
}
