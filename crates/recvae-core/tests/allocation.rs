//! Steps of training reuse their memory: what an epoch allocates does not grow with its steps.

#![allow(clippy::unwrap_used)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use recvae_core::{Csr, FitRun, ModelKind, Stream};
use serde_json::json;

/// The system's allocator, counting bytes.
struct Counting;

static ALLOCATED: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call goes to the system's allocator as it came.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size() as u64, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes allocated in the last epoch of four.
fn bytes_of_an_epoch(kind: ModelKind, n_users: usize) -> u64 {
    let mut random = Stream::new(1, 0);
    let rows: Vec<Vec<u32>> = (0..n_users).map(|_| (0..2000).filter(|_| random.below(40) == 0).collect()).collect();
    let train = Csr::from_rows(&rows, 2000).unwrap();
    let ends = Mutex::new(vec![]);
    let on_progress = |_: &_| ends.lock().unwrap().push(ALLOCATED.load(Ordering::Relaxed));
    let options = match kind {
        ModelKind::MultDae => json!({ "epochs": 4, "latentDim": 50, "batchSize": 100 }),
        _ => json!({ "epochs": 4, "hiddenDim": 100, "latentDim": 50, "batchSize": 100 }),
    };
    kind.fit(&options, &train, None, &FitRun { on_progress: &on_progress, ..FitRun::default() }).unwrap();
    let ends = ends.into_inner().unwrap();
    ends[3] - ends[2]
}

#[test]
fn a_step_allocates_next_to_nothing() {
    for kind in [ModelKind::RecVae, ModelKind::MultVae, ModelKind::MultDae] {
        let (few, many) = (bytes_of_an_epoch(kind, 500), bytes_of_an_epoch(kind, 2500));
        let passes = if kind == ModelKind::RecVae { 4 } else { 1 };
        // 20 batches more a pass. The smallest matrix of a step, users x latent, has 20,000 bytes, and a step touches
        // dozens; the order of the users grows by 8 bytes each, and what rayon queues and the lists of tasks are small:
        // up to 9,900 bytes.
        let per_step = many.saturating_sub(few) / (20 * passes);
        assert!(per_step < 15_000, "{kind:?}: {per_step} bytes a step ({few} and {many} an epoch)");
    }
}
