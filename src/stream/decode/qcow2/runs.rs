//! An L2 table as runs: neighbours in the disk that are neighbours in the file.

use std::ops::ControlFlow;

use super::entry::{self, Cluster};
use super::error::Qcow2Error;
use super::geometry::Geometry;
use super::map::{MOST_UNITS, MOST_ZEROS};
use super::tables::Table;

/// Bytes of zeros between data that are written along with it: a single larger write is cheaper
/// for a disk than two and a request to zero.
const CARRIED_ZEROS: u64 = 64 << 10;

/// A part of the disk. `unit` is the first of its units, counted from the disk's start.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Run {
    Zeros {
        unit: u64,
        units: u64,
    },
    /// Data as it stands at this offset of the file, and zeros after it.
    Plain {
        host: u64,
        unit: u64,
        units: u64,
        zeros: u64,
    },
    /// A compressed cluster.
    Compressed {
        host: u64,
        unit: u64,
        length: u64,
    },
}

/// Show the table's runs in the disk's order, without gap, from the unit that is wanted first to the
/// table's or the disk's end. Where `visit` breaks, the unit that its run starts with, counted
/// from the table's first, is the answer.
///
/// `length` is the file's where it is known: nothing may start behind it.
pub(super) fn visit<E: From<Qcow2Error>>(
    geometry: Geometry,
    length: Option<u64>,
    table: Table,
    bytes: &[u8],
    visit: impl FnMut(Run) -> Result<ControlFlow<()>, E>,
) -> Result<Option<u64>, E> {
    let mut gatherer = Gatherer {
        unit_bits: geometry.unit_bits(),
        carried: (CARRIED_ZEROS >> geometry.unit_bits()).min(MOST_ZEROS),
        current: None,
        visit,
    };
    let first = table.first_unit(geometry);
    let in_cluster = geometry.cluster() >> geometry.unit_bits();
    let disk = geometry.size.div_ceil(geometry.unit());
    let outcome = entries(geometry, bytes)
        .enumerate()
        .skip((table.from() / in_cluster) as usize)
        .try_for_each(|(number, (entry, bitmap))| {
            let cluster =
                entry::cluster(geometry, entry, bitmap).map_err(|e| Stop::Error(e.into()))?;
            check_within(cluster, length).map_err(|e| Stop::Error(e.into()))?;
            let start = first + number as u64 * in_cluster;
            if start >= disk {
                return Ok(());
            }
            if let Cluster::Compressed { host, length } = cluster {
                return gatherer.compressed(host, start, length);
            }
            let from = (first + table.from()).max(start);
            for unit in from..disk.min(start + in_cluster) {
                let within = unit - start;
                match cluster {
                    Cluster::Data { host, units } if units >> within & 1 == 1 => {
                        gatherer.data(host + (within << geometry.unit_bits()), unit)?;
                    }
                    _ => gatherer.zero(unit)?,
                }
            }
            Ok(())
        })
        .and_then(|()| gatherer.show());
    match outcome {
        Ok(()) => Ok(None),
        Err(Stop::Break(unit)) => Ok(Some(unit - first)),
        Err(Stop::Error(error)) => Err(error),
    }
}

/// Entries and, where they are extended, their bitmaps.
fn entries(geometry: Geometry, bytes: &[u8]) -> impl Iterator<Item = (u64, u64)> {
    let words = bytes.as_chunks::<8>().0;
    words
        .chunks_exact(if geometry.extended { 2 } else { 1 })
        .map(|words| {
            let bitmap = words.get(1).map_or(0, |word| u64::from_be_bytes(*word));
            (u64::from_be_bytes(words[0]), bitmap)
        })
}

/// QEMU reads zeros behind the file's end. That is right for a last cluster which was not written
/// in full; a cluster that starts there was lost.
fn check_within(cluster: Cluster, length: Option<u64>) -> Result<(), Qcow2Error> {
    let (Cluster::Data { host, .. } | Cluster::Compressed { host, .. }) = cluster else {
        return Ok(());
    };
    match length {
        Some(length) if host >= length => Err(Qcow2Error::Outside {
            what: "data cluster",
            offset: host,
            length,
        }),
        _ => Ok(()),
    }
}

enum Stop<E> {
    /// At the run that starts with this unit.
    Break(u64),
    Error(E),
}

/// Makes runs of units.
struct Gatherer<V> {
    unit_bits: u32,
    /// Units of zeros that data may carry with it.
    carried: u64,
    current: Option<Run>,
    visit: V,
}

impl<E, V: FnMut(Run) -> Result<ControlFlow<()>, E>> Gatherer<V> {
    fn data(&mut self, from: u64, unit: u64) -> Result<(), Stop<E>> {
        if let Some(Run::Plain {
            host,
            units,
            zeros: 0,
            ..
        }) = &mut self.current
            && *host + (*units << self.unit_bits) == from
            && *units < MOST_UNITS
        {
            *units += 1;
            return Ok(());
        }
        self.show()?;
        self.current = Some(Run::Plain {
            host: from,
            unit,
            units: 1,
            zeros: 0,
        });
        Ok(())
    }

    fn zero(&mut self, at: u64) -> Result<(), Stop<E>> {
        match &mut self.current {
            Some(Run::Zeros { units, .. }) => *units += 1,
            Some(Run::Plain { zeros, .. }) if *zeros < self.carried => *zeros += 1,
            Some(Run::Plain { zeros, .. }) => {
                // Too many to carry: they become a run of their own.
                let units = std::mem::take(zeros) + 1;
                self.show()?;
                self.current = Some(Run::Zeros {
                    unit: at + 1 - units,
                    units,
                });
            }
            _ => {
                self.current = Some(Run::Zeros { unit: at, units: 1 });
            }
        }
        Ok(())
    }

    fn compressed(&mut self, host: u64, unit: u64, length: u64) -> Result<(), Stop<E>> {
        self.show()?;
        self.current = Some(Run::Compressed { host, unit, length });
        self.show()
    }

    fn show(&mut self) -> Result<(), Stop<E>> {
        let Some(run) = self.current.take() else {
            return Ok(());
        };
        let (Run::Zeros { unit, .. } | Run::Plain { unit, .. } | Run::Compressed { unit, .. }) =
            run;
        match (self.visit)(run) {
            Ok(ControlFlow::Continue(())) => Ok(()),
            Ok(ControlFlow::Break(())) => Err(Stop::Break(unit)),
            Err(error) => Err(Stop::Error(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn geometry(cluster_bits: u32, extended: bool, size: u64) -> Geometry {
        Geometry {
            cluster_bits,
            extended,
            zero_clusters: true,
            size,
        }
    }

    fn table(words: &[u64], geometry: Geometry) -> Vec<u8> {
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        bytes.resize(geometry.cluster() as usize, 0);
        bytes
    }

    fn runs(geometry: Geometry, bytes: &[u8], at: Table) -> Result<Vec<Run>, Qcow2Error> {
        let mut runs = Vec::new();
        visit(geometry, Some(1 << 40), at, bytes, |run| {
            runs.push(run);
            Ok::<_, Qcow2Error>(ControlFlow::Continue(()))
        })?;
        Ok(runs)
    }

    #[test]
    fn neighbours_are_one_run() {
        let geometry = geometry(16, false, 12 << 16);
        let c = 1 << 16;
        let words = [
            5 * c,
            6 * c,
            7 * c,
            0,
            8 * c,
            20 * c,
            0,
            1,
            0,
            1 << 62 | 99,
            4 * c,
        ];
        let bytes = table(&words, geometry);
        let plain = |host, unit, units, zeros| Run::Plain {
            host,
            unit,
            units,
            zeros,
        };
        let expected = [
            plain(5 * c, 0, 3, 1),
            plain(8 * c, 4, 1, 0),
            plain(20 * c, 5, 1, 0),
            Run::Zeros { unit: 6, units: 3 },
            Run::Compressed {
                host: 99,
                unit: 9,
                length: 512 - 99,
            },
            plain(4 * c, 10, 1, 1),
        ];
        assert_eq!(
            runs(geometry, &bytes, Table::new(0, 0, 0)).unwrap(),
            expected
        );
        assert_eq!(
            runs(geometry, &bytes, Table::new(0, 0, 1)).unwrap()[0],
            plain(6 * c, 1, 2, 1)
        );
        let stopped = visit(geometry, None, Table::new(0, 0, 0), &bytes, |run| {
            Ok::<_, Qcow2Error>(match run {
                Run::Zeros { .. } => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            })
        });
        assert_eq!(stopped, Ok(Some(6)));
        let outside = visit(geometry, Some(20 * c), Table::new(0, 0, 0), &bytes, |_| {
            Ok::<_, Qcow2Error>(ControlFlow::Continue(()))
        });
        assert!(matches!(outside, Err(Qcow2Error::Outside { .. })));
    }

    proptest! {
        /// Unit for unit what the entries say, however the visit is interrupted.
        #[test]
        fn runs_are_the_entries(
            words in prop::collection::vec(
                prop_oneof![Just(0), (1_u64..5).prop_map(|c| c << 14),
                            (0_u64..9).prop_map(|h| 1 << 62 | h << 9)], 0..200),
            bitmaps in prop::collection::vec(any::<u32>(), 200),
            extended: bool, size in 1_u64..300, index in 0_u64..3, stop_every in 1_usize..9,
        ) {
            let base = geometry(14, extended, 0);
            let geometry = Geometry {
                size: index * base.table_span() + size * 7 * 512,
                ..base
            };
            let mut flat = Vec::new();
            for (word, bitmap) in words.iter().zip(&bitmaps) {
                flat.push(*word);
                if extended {
                    let set = if *word == 0 { 0 } else { u64::from(*bitmap) };
                    flat.push(set);
                }
            }
            let bytes = table(&flat, geometry);
            let whole = Table::new(0, index, 0);
            let (mut seen, mut from, mut turns) = (Vec::new(), Some(0), 0);
            while let Some(start) = from {
                let mut left = stop_every;
                from = visit(geometry, None, Table::new(0, index, start), &bytes, |run| {
                    if left == 0 {
                        return Ok::<_, Qcow2Error>(ControlFlow::Break(()));
                    }
                    left -= 1;
                    seen.push(run);
                    Ok(ControlFlow::Continue(()))
                }).unwrap();
                turns += 1;
                prop_assert!(turns < 100_000);
            }
            // Flatten to what each unit is.
            let bits = geometry.unit_bits();
            let in_cluster = geometry.cluster() >> bits;
            let mut units = Vec::new();
            for run in seen {
                match run {
                    Run::Zeros { unit, units: count } =>
                        units.extend((unit..unit + count).map(|unit| (unit, None))),
                    Run::Plain { host, unit, units: count, zeros } => {
                        units.extend((0..count).map(|n| (unit + n, Some(host + (n << bits)))));
                        units.extend((0..zeros).map(|n| (unit + count + n, None)));
                    }
                    Run::Compressed { host, unit, .. } => units.extend(
                        (unit..unit + in_cluster).map(|unit| (unit, Some(1 << 60 | host)))),
                }
            }
            let first = whole.first_unit(geometry);
            let disk = geometry.size.div_ceil(geometry.unit());
            let mut expected = Vec::new();
            for number in 0..geometry.entries() {
                let word = words.get(number as usize).copied().unwrap_or(0);
                let start = first + number * in_cluster;
                if start >= disk {
                    break;
                }
                for within in 0..in_cluster {
                    let unit = start + within;
                    let bitmap = bitmaps.get(number as usize).copied().unwrap_or(0);
                    if word >> 62 == 1 {
                        expected.push((unit, Some(1 << 60 | (word & !(1 << 62)))));
                    } else if unit < disk {
                        let is_set = word != 0 && (!extended || bitmap >> within & 1 == 1);
                        expected.push((unit, is_set.then_some(word + (within << bits))));
                    }
                }
            }
            prop_assert_eq!(units, expected);
        }
    }
}
