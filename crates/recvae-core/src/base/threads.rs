//! The one place that decides how many threads compute.
//!
//! The core never asks for threads itself: it splits work, matrix products included, over the rayon pool that it runs
//! in. Running a call inside [`Threads::install`] therefore bounds all of it. `calls.rs` has pools that share their
//! threads.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use rayon::{ThreadBuilder, ThreadPool, ThreadPoolBuilder};

use crate::base::error::{Error, Result};

/// Bytes that a thread reads in one or two milliseconds. For fewer the help of another one, which is awake a tenth of a
/// millisecond later, costs those who could use that thread more than it gives.
const SHARE: usize = 24 << 20;

/// A pool of its own, apart from rayon's global one and from Node's.
pub struct Threads(ThreadPool);

impl Threads {
    /// A pool of `n` threads; `None` takes [`Threads::available`].
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if `n` is 0 or above 1,024, or if the system refuses the threads.
    pub fn new(n: Option<usize>) -> Result<Self> {
        let n = n.unwrap_or_else(Self::available);
        Self::check(n)?;
        ThreadPoolBuilder::new()
            .num_threads(n)
            .thread_name(|index| format!("recvae-{index}"))
            .build()
            .map(Self)
            .map_err(|e| Error::invalid_argument("threads", n, format!("what the system can start ({e})")))
    }

    /// Whether there may be that many threads.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if `n` is 0 or above 1,024.
    pub fn check(n: usize) -> Result<()> {
        Self::number(n as f64).map(drop)
    }

    /// That many threads.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if `n` is no whole number from 1 to 1,024.
    pub fn number(n: f64) -> Result<usize> {
        if n.fract() == 0.0 && (1.0..=1024.0).contains(&n) {
            return Ok(n as usize);
        }
        Err(Error::invalid_argument("threads", n, "a whole number from 1 to 1024"))
    }

    /// The cores that this process may use: affinity mask and cgroup quota included.
    #[must_use]
    pub fn available() -> usize {
        std::thread::available_parallelism().map_or(1, usize::from)
    }

    /// How many threads are worth it where a request waits for so many bytes of a model.
    #[must_use]
    pub fn that_read(bytes: usize) -> usize {
        1 + bytes / SHARE
    }

    /// Runs `work` on the pool.
    pub fn install<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.0.install(work)
    }

    /// Runs `work` on the calling thread alone, and starts none. So threads that call this do not wait for each other.
    /// A thread of a pool runs it in that pool.
    ///
    /// # Errors
    /// `INTERNAL` if rayon does not run it, which is a bug.
    ///
    /// # Panics
    /// If `work` does.
    pub fn here<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> Result<R> {
        if rayon::current_thread_index().is_some() {
            return Ok(work());
        }
        Self::here_with(1, drop, work)
    }

    /// The same in a pool of more workers, of which all but the first are handed to `offer` when the work begins:
    /// whoever runs one while the work lasts does a part of it. What `offer` gives is dropped at the end of the work.
    pub(crate) fn here_with<R: Send + 'static, G>(
        workers: usize,
        offer: impl FnOnce(Vec<ThreadBuilder>) -> G + Send + 'static,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> Result<R> {
        let Workers { pool, first, others } = Workers::new(workers)?;
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        pool.spawn(move || {
            let offered_work = || {
                let _offered = offer(others);
                work()
            };
            // The receiver is read below. Rayon would end the process for a panic.
            let _ = sender.send(catch_unwind(AssertUnwindSafe(offered_work)));
        });
        // It ends with the work.
        drop(pool);
        first.run();
        let result = receiver.recv().map_err(|_| Error::Internal("a pool ended before its work".into()))?;
        result.map_or_else(|payload| resume_unwind(payload), Ok)
    }
}

/// A pool without threads: each worker does its part of the work where it is run, until the pool is dropped and what it
/// was given is done. A worker that is never run does no harm as long as another one is.
pub(crate) struct Workers {
    pub(crate) pool: ThreadPool,
    pub(crate) first: ThreadBuilder,
    pub(crate) others: Vec<ThreadBuilder>,
}

impl Workers {
    pub(crate) fn new(n: usize) -> Result<Self> {
        let mut others = Vec::with_capacity(n);
        let keep = |worker| {
            others.push(worker);
            Ok(())
        };
        let pool = ThreadPoolBuilder::new().num_threads(n).spawn_handler(keep).build();
        let pool = pool.map_err(|error| Error::Internal(error.to_string()))?;
        let first = others.pop().ok_or_else(|| Error::Internal("a pool without workers".into()))?;
        Ok(Self { pool, first, others })
    }
}
