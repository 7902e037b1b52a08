//! Extents of any length, alignment and order, and what a failure leaves of them.

use std::sync::{Arc, LazyLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use farrier_plugin::{ErrorKind, SilentContext};
use proptest::prelude::*;
use proptest::sample::Index;

use super::{MIB, head_is_blank, image};
use crate::stream::StreamError;
use crate::stream::buffer::Pool;
use crate::stream::decode::{Content, Extent};
use crate::stream::halt::Halt;
use crate::stream::sink::{Sink, WRITERS};
use crate::stream::staged::Staged;
use crate::sys::block_device::Medium;
use crate::sys::memory_medium::{Change, Fault, MemoryMedium};

static NOISE: LazyLock<Arc<Vec<u8>>> = LazyLock::new(|| image(24 * MIB));

/// What a decoder would send: an offset, and bytes of the image or a number of zeros.
#[derive(Clone, Debug)]
struct Piece {
    offset: usize,
    length: usize,
    zeros: bool,
}

/// A disk's content and how a decoder makes it.
#[derive(Clone, Debug)]
pub(super) struct Made {
    content: Vec<u8>,
    pieces: Vec<Piece>,
    pub(super) block_size: u32,
    pub(super) read_back: bool,
}

impl Made {
    fn medium(&self) -> MemoryMedium {
        let room = self.content.len().next_multiple_of(MIB) + 3 * MIB;
        MemoryMedium::of(vec![0xaa; room], self.block_size)
    }

    /// Send the pieces from a pool of so few buffers that a sink which keeps them would stop all.
    fn stage<'m>(&self, medium: &'m dyn Medium) -> Result<Staged<'m>, StreamError> {
        let staged = Staged::begin(medium, "one", self.read_back)?;
        let halt = Halt::new(&SilentContext);
        let (output, extents) = mpsc::channel();
        let sink = Sink::new(extents, &staged, &halt, "one");
        let outcomes = thread::scope(|scope| {
            let writers: Vec<_> = (0..WRITERS).map(|_| scope.spawn(|| sink.write())).collect();
            let mut pool = Pool::new(MIB, 3);
            for piece in &self.pieces {
                let offset = piece.offset as u64;
                let content = if piece.zeros {
                    Content::Zeros(piece.length as u64)
                } else {
                    let Some(mut buffer) = pool.take(&halt) else {
                        break;
                    };
                    buffer.fill_from(&self.content[piece.offset..][..piece.length]);
                    Content::Data(buffer)
                };
                if output.send(Extent { offset, content }).is_err() {
                    break;
                }
            }
            drop(output);
            writers
                .into_iter()
                .map(|writer| writer.join().unwrap())
                .collect::<Vec<_>>()
        });
        outcomes.into_iter().collect::<Result<(), _>>()?;
        staged.flush().map_err(|source| StreamError::Disk {
            image: "one".to_owned(),
            source,
        })?;
        staged.read_back(self.content.len() as u64, &halt, "reading back")?;
        Ok(staged)
    }

    pub(super) fn write(&self, medium: &dyn Medium) -> Result<(), StreamError> {
        self.stage(medium)?.commit()
    }

    /// More bytes that are no zeros, at the end.
    pub(super) fn add_data(&mut self, length: usize) {
        for start in (0..length).step_by(MIB) {
            let offset = self.content.len();
            let length = MIB.min(length - start);
            self.content.extend_from_slice(&NOISE[..length]);
            self.pieces.push(Piece {
                offset,
                length,
                zeros: false,
            });
        }
    }

    fn assert_on(&self, medium: &MemoryMedium) {
        self.assert_held(&medium.content());
    }

    /// The content, zeros in the disk's last MiB, and the old bytes between.
    pub(super) fn assert_held(&self, held: &[u8]) {
        let size = self.content.len();
        assert!(held[..size] == self.content, "the content is on the medium");
        let tail = held.len() - MIB;
        let old = vec![0xaa; held.len()];
        assert!(held[size.max(MIB)..tail] == old[size.max(MIB)..tail]);
        assert!(held[tail..] == [0; MIB]);
    }
}

/// Lengths as decoders have them: clusters, buffers, and anything.
fn lengths() -> impl Strategy<Value = usize> {
    prop_oneof![
        Just(MIB),
        Just(65_536),
        Just(4096),
        Just(512),
        1..3 * MIB,
        1_usize..9000,
    ]
}

pub(super) fn made(limit: usize) -> impl Strategy<Value = Made> {
    let extents = prop::collection::vec((lengths(), 0_u8..4), 1..60);
    (extents, prop::bool::ANY, prop::bool::ANY, any::<u64>()).prop_map(
        move |(extents, small_blocks, shuffled, mut state)| {
            let noise = &*NOISE;
            let mut content = Vec::new();
            let mut pieces = Vec::new();
            for (length, kind) in extents {
                let offset = content.len();
                let length = length.min(limit - offset);
                if length == 0 {
                    break;
                }
                match kind {
                    // Zeros as such, zeros in data, data.
                    0 | 1 => content.resize(offset + length, 0),
                    _ => content.extend_from_slice(&noise[offset..offset + length]),
                }
                let zeros = kind == 0;
                // A buffer holds a MiB.
                let step = if zeros { length } else { MIB };
                for start in (0..length).step_by(step) {
                    let length = step.min(length - start);
                    pieces.push(Piece {
                        offset: offset + start,
                        length,
                        zeros,
                    });
                }
            }
            if shuffled {
                for last in (1..pieces.len()).rev() {
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1);
                    pieces.swap(last, (state >> 33) as usize % (last + 1));
                }
            }
            Made {
                content,
                pieces,
                block_size: if small_blocks { 512 } else { 4096 },
                read_back: false,
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// The medium itself panics where two writes meet in a block.
    #[test]
    fn extents_in_any_order_make_the_disk(made in made(9 * MIB)) {
        let medium = made.medium();
        made.write(&medium).unwrap();
        made.assert_on(&medium);
        let block = made.block_size as u64;
        let odd = medium
            .log()
            .iter()
            .filter(|change| match change {
                Change::Write { offset, data } => {
                    !offset.is_multiple_of(block) || !(data.len() as u64).is_multiple_of(block)
                }
                Change::Zero { offset, length } => {
                    !offset.is_multiple_of(block) || !length.is_multiple_of(block)
                }
                Change::Flush => false,
            })
            .count();
        prop_assert!(odd <= 1, "{} writes of partial blocks, of an image without gaps", odd);
    }

    #[test]
    fn a_failure_at_any_change_is_told_and_leaves_nothing_that_boots(
        made in made(5 * MIB),
        number in any::<Index>(),
        enospc: bool,
    ) {
        let medium = made.medium();
        made.write(&medium).unwrap();
        let changes = medium.log().len();
        // Order and merging differ from run to run, the number of changes before the head a little.
        let number = number.index(changes.saturating_sub(6)) + 1;
        let errno = if enospc { libc::ENOSPC } else { libc::EIO };
        let medium = made.medium().failing(Fault::Change(number, errno));
        if let Err(error) = made.write(&medium) {
            prop_assert!(matches!(error, StreamError::Disk { .. }), "{}", error);
            prop_assert_eq!(error.kind(), ErrorKind::ImageWrite);
            prop_assert!(medium.content()[..4096].iter().all(|byte| *byte == 0));
        } else {
            prop_assert!(medium.log().len() <= number);
        }
    }

    /// The disk may lose or keep any block that was written since the last flush.
    #[test]
    fn a_power_cut_at_any_moment_leaves_nothing_that_boots(
        made in made(4 * MIB),
        cut in any::<Index>(),
        mut state in any::<u64>(),
    ) {
        let mut made = made;
        if let Some(first) = made.pieces.iter_mut().find(|piece| piece.offset == 0) {
            first.zeros = false;
            first.length = first.length.min(MIB);
            let length = first.length;
            made.content[..length].fill(0x5b);
        }
        let medium = made.medium();
        made.write(&medium).unwrap();
        let log = medium.log();
        // Up to the first flush the disk's old head may still be there.
        let blank = log.iter().position(|change| *change == Change::Flush).unwrap() + 1;
        let cut = blank + cut.index(log.len() + 1 - blank);
        // Between the last two flushes is where an order would be wrong that does no harm before.
        let late = log.len() - 1;
        for cut in [cut, late - 1, late, late, late] {
            let held = medium.after_power_cut(cut, || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                state >> 63 == 1
            });
            if held[0] == 0 {
                prop_assert!(held[..512].iter().all(|byte| *byte == 0));
            } else {
                // Within the last write only its own blocks may be missing.
                prop_assert!(cut >= late, "a boot record after {} of {}", cut, log.len());
                prop_assert!(held[4096..] == medium.content()[4096..]);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn a_disk_that_loses_a_block_is_found_out_by_reading_back(
        made in made(4 * MIB),
        lost in any::<Index>(),
        in_head: bool,
    ) {
        let made = Made { read_back: true, ..made };
        let medium = made.medium();
        made.write(&medium).unwrap();
        made.assert_on(&medium);
        let most = if in_head { MIB } else { usize::MAX };
        let lost = lost.index(made.content.len().min(most));
        let start = lost - lost % made.block_size as usize;
        let end = (start + made.block_size as usize).min(made.content.len());
        let medium = made.medium().failing(Fault::Loses(lost as u64));
        let outcome = made.write(&medium);
        prop_assume!(made.content[start..end] != vec![0xaa; end - start]);
        let Err(error) = outcome else { panic!("byte {lost} is not on the disk") };
        prop_assert!(matches!(error, StreamError::ReadBack { .. }), "{}", error);
        prop_assert_eq!(error.kind(), ErrorKind::ImageWrite);
        if lost >= MIB {
            prop_assert!(head_is_blank(&medium.content()));
        }
    }
}

#[test]
fn zeros_are_asked_of_the_medium_and_never_written() {
    // A MiB each: data, zeros in data, zeros as such, data; from the last to the first.
    let mut content = (**NOISE).clone();
    content[8 * MIB..16 * MIB].fill(0);
    let pieces = (0..24)
        .rev()
        .map(|number| Piece {
            offset: number * MIB,
            length: MIB,
            zeros: (12..16).contains(&number),
        })
        .collect();
    let made = Made {
        content,
        pieces,
        block_size: 512,
        read_back: false,
    };
    let medium = made.medium();
    made.write(&medium).unwrap();
    made.assert_on(&medium);
    let zeroed: u64 = medium
        .log()
        .iter()
        .map(|change| match change {
            Change::Zero { offset, length } if *offset >= 1 << 20 => *length,
            _ => 0,
        })
        .sum();
    assert_eq!(zeroed, 9 << 20, "eight of the image and the medium's last");
}

#[test]
fn bytes_beyond_the_disk_are_told_where_they_come() {
    let content = NOISE[..8 * MIB].to_vec();
    for zeros in [false, true] {
        let mut pieces: Vec<_> = (0..7)
            .map(|number| Piece {
                offset: number * MIB,
                length: MIB,
                zeros: false,
            })
            .collect();
        pieces.push(Piece {
            offset: 7 * MIB,
            length: MIB,
            zeros,
        });
        let made = Made {
            content: content.clone(),
            pieces,
            block_size: 512,
            read_back: false,
        };
        let medium = MemoryMedium::used(8 * MIB - 512);
        let Err(error) = made.stage(&medium) else {
            panic!("it does not fit")
        };
        assert!(
            matches!(
                error,
                StreamError::TooLarge { size, device_size, .. }
                    if size == 8 << 20 && device_size == (8 << 20) - 512
            ),
            "{error}"
        );
        assert!(head_is_blank(&medium.content()));
    }
}

/// 512-byte clusters on a disk with 4096-byte blocks, in an order in which no block is ever whole
/// before thousands of others are begun.
#[test]
fn clusters_smaller_than_a_block_are_put_together() {
    let content = NOISE[..2 * MIB + 512].to_vec();
    let clusters = content.len() / 512;
    let pieces = (0..8)
        .flat_map(|part| (part..clusters).step_by(8))
        .map(|cluster| Piece {
            offset: cluster * 512,
            length: 512,
            zeros: cluster % 9 == 8,
        })
        .collect::<Vec<_>>();
    let mut content = content;
    for piece in pieces.iter().filter(|piece| piece.zeros) {
        content[piece.offset..][..512].fill(0);
    }
    let made = Made {
        content,
        pieces,
        block_size: 4096,
        read_back: false,
    };
    let medium = made.medium();
    let started = Instant::now();
    made.write(&medium).unwrap();
    made.assert_on(&medium);
    assert!(started.elapsed() < Duration::from_secs(60));
}
