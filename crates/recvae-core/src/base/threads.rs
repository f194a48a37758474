//! The one place that decides how many threads compute.
//!
//! The core never asks for threads itself: it splits work, matrix products included, over the rayon pool that it runs in.
//! Running a call inside [`Threads::install`] therefore bounds all of it.

use crate::base::error::{Error, Result};

/// A pool of its own, apart from rayon's global one and from Node's.
pub struct Threads(rayon::ThreadPool);

impl Threads {
    /// A pool of `n` threads; `None` takes [`Threads::available`].
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if `n` is 0 or above 1,024, or if the system refuses the threads.
    pub fn new(n: Option<usize>) -> Result<Self> {
        let n = n.unwrap_or_else(Self::available);
        if !(1..=1024).contains(&n) {
            return Err(Error::invalid_argument("threads", n, "1 to 1024"));
        }
        rayon::ThreadPoolBuilder::new()
            .num_threads(n)
            .thread_name(|index| format!("recvae-{index}"))
            .build()
            .map(Self)
            .map_err(|e| Error::invalid_argument("threads", n, format!("what the system can start ({e})")))
    }

    /// The cores that this process may use: affinity mask and cgroup quota included.
    #[must_use]
    pub fn available() -> usize {
        std::thread::available_parallelism().map_or(1, usize::from)
    }

    /// Runs `work` on the pool.
    pub fn install<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.0.install(work)
    }
}
