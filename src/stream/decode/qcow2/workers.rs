//! The threads that inflate compressed clusters.

use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Builder, Scope, ScopedJoinHandle};

use super::error::Qcow2Error;
use super::geometry::Geometry;
use super::header::{Compression, Header};
use super::inflate::Inflater;
use super::output::{Failure, Output, Pools};
use crate::stream::decode::Extent;
use crate::stream::halt::Halt;

/// Bytes of the disk that a job makes, and compressed bytes that it may have: one buffer's worth.
const JOB: usize = 1 << 20;

/// Jobs that wait for a thread.
const WAITING: usize = 2;

/// Large, small and tiny buffers that all threads have together: 14 MiB.
const BUFFERS: [usize; 3] = [12, 32, 128];

/// The buffers of each thread. There are two threads even on a single processor, where one may
/// wait for the disk; more than four would only outrun the disk.
pub(super) fn pools(cluster: usize) -> Vec<Pools> {
    let count = thread::available_parallelism().map_or(2, |count| count.get().clamp(2, 4));
    (0..count)
        .map(|_| Pools::new(BUFFERS.map(|buffers| buffers / count), cluster))
        .collect()
}

/// Compressed clusters that lie together in the file.
#[derive(Debug, Default)]
struct Job {
    bytes: Vec<u8>,
    clusters: Vec<Piece>,
    /// The last part of `bytes`, which is one of the file: where it starts there and here, and
    /// where it ends there.
    host: u64,
    start: usize,
    end: u64,
}

/// One cluster in a job.
#[derive(Debug)]
struct Piece {
    start: usize,
    length: usize,
    host: u64,
    guest: u64,
}

impl Job {
    /// Add a cluster, whose bytes from one offset of the file to another are appended by `read`.
    /// Clusters that share bytes share them here. False where the bytes are not to be had.
    fn add(
        &mut self,
        host: u64,
        end: u64,
        guest: u64,
        mut read: impl FnMut(u64, u64, &mut Vec<u8>) -> bool,
    ) -> bool {
        let filled = self.bytes.len();
        let continues = filled > 0 && (self.host..=self.end).contains(&host);
        let from = if continues { self.end.min(end) } else { host };
        if from < end && !read(from, end, &mut self.bytes) {
            self.bytes.truncate(filled);
            return false;
        }
        if !continues {
            (self.host, self.start, self.end) = (host, filled, end);
        }
        self.end = self.end.max(end);
        self.clusters.push(Piece {
            start: self.start + (host - self.host) as usize,
            length: (end - host) as usize,
            host,
            guest,
        });
        true
    }

    fn is_full(&self, geometry: Geometry) -> bool {
        let clusters = (JOB as u64 >> geometry.cluster_bits).max(1);
        self.bytes.len() >= JOB || self.clusters.len() as u64 >= clusters
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.clusters.clear();
    }
}

/// The way to the threads. They are started with the first compressed cluster, and end when this
/// is dropped.
pub(super) struct Workers<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    geometry: Geometry,
    compression: Compression,
    halt: &'env Halt<'env>,
    output: Sender<Extent>,
    /// Until the start.
    pools: Option<&'scope mut [Pools]>,
    started: Option<Started<'scope>>,
    current: Job,
}

struct Started<'scope> {
    jobs: SyncSender<Job>,
    done: Receiver<Job>,
    threads: Vec<ScopedJoinHandle<'scope, Result<(), Failure>>>,
}

impl<'scope, 'env> Workers<'scope, 'env> {
    /// Threads to be, one for each of the pools.
    pub(super) fn new(
        scope: &'scope Scope<'scope, 'env>,
        header: &Header,
        pools: &'scope mut [Pools],
        halt: &'env Halt<'env>,
        output: Sender<Extent>,
    ) -> Self {
        Self {
            scope,
            geometry: header.geometry,
            compression: header.compression,
            halt,
            output,
            pools: Some(pools),
            started: None,
            current: Job::default(),
        }
    }

    /// Have a cluster inflated whose bytes of the file are appended by `read`. False where they are
    /// not to be had.
    pub(super) fn inflate(
        &mut self,
        host: u64,
        end: u64,
        guest: u64,
        read: impl FnMut(u64, u64, &mut Vec<u8>) -> bool,
    ) -> Result<bool, Failure> {
        if !self.current.add(host, end, guest, read) {
            return Ok(false);
        }
        if self.current.is_full(self.geometry) {
            self.hand_over()?;
        }
        Ok(true)
    }

    /// Wait until all is inflated.
    pub(super) fn finish(mut self) -> Result<(), Failure> {
        if !self.current.clusters.is_empty() {
            // A thread that failed says why below.
            let _ = self.hand_over();
        }
        match self.started.take() {
            Some(started) => started.join(),
            None => Ok(()),
        }
    }

    fn hand_over(&mut self) -> Result<(), Failure> {
        if self.started.is_none() {
            self.started = Some(self.start()?);
        }
        let Some(started) = &self.started else {
            return Ok(());
        };
        let mut next = started.done.try_recv().unwrap_or_default();
        next.clear();
        let job = std::mem::replace(&mut self.current, next);
        if started.jobs.send(job).is_ok() {
            return Ok(());
        }
        // All threads have ended.
        match self.started.take() {
            Some(started) => started.join().and(Err(Failure::Gone)),
            None => Err(Failure::Gone),
        }
    }

    fn start(&mut self) -> Result<Started<'scope>, Failure> {
        let (jobs, waiting) = sync_channel(WAITING);
        let (finished, done) = channel();
        let waiting = Arc::new(Mutex::new(waiting));
        let mut threads = Vec::new();
        for pools in self.pools.take().unwrap_or_default() {
            let (geometry, halt) = (self.geometry, self.halt);
            let mut worker = Worker {
                geometry,
                jobs: Arc::clone(&waiting),
                done: finished.clone(),
                inflater: Inflater::new(self.compression),
                output: Output::new(pools, halt, self.output.clone(), geometry.size),
            };
            let thread = Builder::new()
                .name("image-inflate".to_owned())
                .spawn_scoped(self.scope, move || worker.run())
                .map_err(Failure::Threads)?;
            threads.push(thread);
        }
        Ok(Started {
            jobs,
            done,
            threads,
        })
    }
}

impl Started<'_> {
    fn join(self) -> Result<(), Failure> {
        drop(self.jobs);
        let mut outcome = Ok(());
        for thread in self.threads {
            // A panic is a defect of ours and goes on where the others do.
            let ended = thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            // That the pipeline stops says less than any other reason.
            if matches!(outcome, Ok(()) | Err(Failure::Gone)) && ended.is_err() {
                outcome = ended;
            }
        }
        outcome
    }
}

/// One thread.
struct Worker<'a> {
    geometry: Geometry,
    jobs: Arc<Mutex<Receiver<Job>>>,
    done: Sender<Job>,
    inflater: Inflater,
    output: Output<'a>,
}

impl Worker<'_> {
    /// Inflate until there are no more jobs. After a failure the threads end one after another at
    /// their next job, so that none is left to wait for them.
    fn run(&mut self) -> Result<(), Failure> {
        loop {
            let next = self
                .jobs
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .recv();
            let Ok(job) = next else { return Ok(()) };
            let cluster = self.geometry.cluster();
            let runs = job
                .clusters
                .chunk_by(|one, next| one.guest + cluster == next.guest);
            for run in runs {
                for (number, piece) in run.iter().enumerate() {
                    self.inflate(&job, piece, run.len() - number)?;
                }
            }
            self.output.flush()?;
            // Where it cannot go back, its memory ends here.
            let _ = self.done.send(job);
        }
    }

    /// Inflate one cluster of so many that are neighbours in the disk.
    fn inflate(&mut self, job: &Job, piece: &Piece, run: usize) -> Result<(), Failure> {
        let input = &job.bytes[piece.start..piece.start + piece.length];
        let length = self.geometry.cluster() as usize;
        self.output
            .cluster(piece.guest, length, run * length, |cluster| {
                self.inflater
                    .inflate(input, cluster)
                    .map_err(|reason| Qcow2Error::Inflate {
                        host: piece.host,
                        guest: piece.guest,
                        reason,
                    })
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_share_the_bytes_of_a_job() {
        let file: Vec<u8> = (0..4000).map(|byte| (byte % 251) as u8).collect();
        let mut job = Job::default();
        let mut read = 0;
        let parts = [
            (100, 700),
            (600, 1100),
            (1100, 1200),
            (150, 300),
            (3000, 3100),
            (90, 200),
        ];
        for (host, end) in parts {
            let added = job.add(host, end, 0, |from, to, bytes| {
                read += to - from;
                bytes.extend_from_slice(&file[from as usize..to as usize]);
                true
            });
            assert!(added);
        }
        assert_eq!(read, 600 + 400 + 100 + 100 + 110);
        assert!(!job.add(3050, 3200, 0, |_, _, bytes| {
            bytes.push(0);
            false
        }));
        assert_eq!(job.bytes.len(), 1310);
        for (piece, (host, end)) in job.clusters.iter().zip(parts) {
            let bytes = &job.bytes[piece.start..piece.start + piece.length];
            assert!(bytes == &file[host as usize..end as usize], "{piece:?}");
        }
    }
}
