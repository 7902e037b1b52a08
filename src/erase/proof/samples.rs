//! Where a device is looked at to prove an erase.

use farrier_plugin::SplitMix;

/// Bytes of one sample at a fixed place.
pub(in crate::erase) const SAMPLE: u64 = 1 << 20;

/// Samples at random places, and bytes of each: nobody who makes a device can know them, and they
/// are small so that a hard disk reads all of them in a second.
pub(in crate::erase) const RANDOM_SAMPLES: u64 = 16;
const RANDOM_SAMPLE: u64 = 64 << 10;

/// The reference's positions, in hundredths of the device (contract/data-plane 7.15), and the very
/// end, which the reference never looks at.
const HUNDREDTHS: [u64; 11] = [0, 1, 10, 25, 40, 50, 60, 75, 90, 99, 100];

/// An area of the device.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::erase) struct Sample {
    /// First byte, a multiple of the block size, except on plain files of odd sizes.
    pub(in crate::erase) offset: u64,
    /// Bytes.
    pub(in crate::erase) length: usize,
}

/// The areas to sample, ascending, from the first to the last byte of the device. They overlap on
/// a device of a few MiB.
pub(in crate::erase) fn positions(size: u64, block_size: u32) -> Vec<Sample> {
    if size == 0 {
        return Vec::new();
    }
    let length = SAMPLE.min(size);
    let block = u64::from(block_size.max(1));
    let mut samples: Vec<Sample> = HUNDREDTHS
        .iter()
        .map(|hundredths| {
            // In 128 bits, since 99 hundredths of a device of 2^58 bytes overflow 64.
            let exact = u128::from(size - length) * u128::from(*hundredths) / 100;
            let exact = u64::try_from(exact).unwrap_or(size - length);
            let offset = exact - exact % block;
            Sample {
                offset,
                // Rounding down at the end must not leave the last bytes out.
                length: (length
                    + if *hundredths == 100 {
                        exact - offset
                    } else {
                        0
                    }) as usize,
            }
        })
        .collect();
    samples.dedup();
    samples
}

/// [`positions`], and random places that follow from the seed; none of these on a device that the
/// fixed places cover already. All ascending.
pub(in crate::erase) fn with_random(size: u64, block_size: u32, seed: u64) -> Vec<Sample> {
    let mut samples = positions(size, block_size);
    let block = u64::from(block_size.max(1));
    if size > SAMPLE * HUNDREDTHS.len() as u64 {
        let room = (size - RANDOM_SAMPLE) / block;
        samples.extend(
            SplitMix::with_seed(seed)
                .numbers(0)
                .take(RANDOM_SAMPLES as usize)
                .map(|number| Sample {
                    offset: number % (room + 1) * block,
                    length: RANDOM_SAMPLE as usize,
                }),
        );
        samples.sort_by_key(|sample| sample.offset);
    }
    samples
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::*;

    #[test]
    fn the_positions_are_the_references_and_the_end() {
        let offsets: Vec<u64> = positions(480_103_981_056, 512)
            .iter()
            .map(|sample| sample.offset)
            .collect();
        assert_eq!(
            offsets,
            [
                0,
                4_801_029_120,
                48_010_293_248,
                120_025_733_120,
                192_041_172_992,
                240_051_466_240,
                288_061_759_488,
                360_077_199_360,
                432_092_639_232,
                475_301_902_848,
                480_102_932_480,
            ]
        );
    }

    #[test]
    fn a_tiny_device_is_sampled_whole() {
        assert_eq!(
            positions(4096, 512),
            [Sample {
                offset: 0,
                length: 4096
            }]
        );
        assert!(positions(0, 512).is_empty());
    }

    proptest! {
        #[test]
        fn random_samples_follow_from_the_seed_and_lie_on_the_device(
            blocks in 1_u64..u64::MAX / 4096,
            block in proptest::sample::select(vec![512_u32, 4096]),
            seed in proptest::prelude::any::<u64>(),
        ) {
            let size = blocks * u64::from(block);
            let samples = with_random(size, block, seed);
            prop_assert_eq!(&samples, &with_random(size, block, seed));
            for sample in &samples {
                prop_assert!(sample.offset.is_multiple_of(u64::from(block)));
                prop_assert!(sample.offset + sample.length as u64 <= size);
            }
            if size > 16 << 20 {
                prop_assert!(samples.len() as u64 >= RANDOM_SAMPLES + 2);
            }
            prop_assert!(samples.windows(2).all(|pair| pair[0].offset <= pair[1].offset));
        }

        #[test]
        fn samples_lie_on_the_device_and_reach_both_ends(
            blocks in 1_u64..u64::MAX / 4096, block in proptest::sample::select(vec![512_u32, 4096])
        ) {
            let size = blocks * u64::from(block);
            let samples = positions(size, block);
            prop_assert_eq!(samples[0].offset, 0);
            let last = samples[samples.len() - 1];
            prop_assert_eq!(last.offset + last.length as u64, size);
            for sample in &samples {
                prop_assert!(sample.offset.is_multiple_of(u64::from(block)));
                prop_assert!(sample.offset + sample.length as u64 <= size);
                prop_assert!(sample.length > 0);
            }
            prop_assert!(samples.windows(2).all(|pair| pair[0].offset <= pair[1].offset));
        }
    }
}
