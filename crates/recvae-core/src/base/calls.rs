//! Threads that the calls of a process share: a hundred calls at once start as many threads as a few do.
//!
//! Each call has a rayon pool of its own, with as many workers as it asks for, so that calls never run each other's
//! tasks. The workers are no threads: they wait here for one of a bounded number of threads, and rayon does the work
//! with those workers that have one. A call has begun as soon as one of its workers has a thread. Its other workers get
//! threads while fewer are at work than there are cores.
//!
//! Long calls may not take the last threads, which are left for short ones ([`CallKind`]). So a request is answered
//! however many fits run, and the system shares the cores out between their threads. Of one kind, the call that came
//! first begins first.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rayon::ThreadBuilder;

use crate::base::cancel::Cancel;
use crate::base::error::{Error, Result};
use crate::base::threads::{Threads, Workers};

/// Threads beyond the cores: that many calls can begin though all cores are busy.
const BEYOND: usize = 4;

/// How long a thread without work stays. It keeps buffers of the matrix products, and starting one takes microseconds.
const LINGER: Duration = Duration::from_secs(1);

/// How long a call may last, and so which threads it may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallKind {
    /// A request that somebody waits for: milliseconds. It may take every thread.
    Request,
    /// A file that is read, lists for many users: seconds, or some minutes. It leaves one thread for requests.
    Brief,
    /// Anything else, such as a fit: up to hours. It leaves one more thread, for what is brief.
    Long,
}

/// The shortest first, which also begins first.
const KINDS: [CallKind; 3] = [CallKind::Request, CallKind::Brief, CallKind::Long];

/// What is known of a call before it begins.
#[derive(Clone, Debug)]
pub struct Call {
    /// How long it may last.
    pub kind: CallKind,
    /// With how many threads it may compute, at most.
    pub threads: usize,
    /// What tells it to stop; it never begins then.
    pub cancel: Cancel,
}

/// The work of a call, told `CANCELLED` instead of being done if it was cancelled before it began.
type Job = Box<dyn FnOnce(Result<()>) + Send>;

/// A worker of a call that has begun, without a thread yet.
struct Helper {
    number: u64,
    kind: CallKind,
    /// The workers of that call.
    workers: usize,
    /// Whether the first of them has a thread of others, whose core counts, too.
    beside_caller: bool,
    worker: ThreadBuilder,
}

/// What a thread does next.
enum Task {
    Begin(Call, Job),
    Help(Helper),
}

#[derive(Default)]
struct State {
    /// Calls that have not begun, by kind.
    waiting: [VecDeque<(Call, Job)>; 3],
    helpers: VecDeque<Helper>,
    /// Threads at work, by the kind of their call.
    busy: [usize; 3],
    /// Threads that wait for work, and all threads.
    idle: usize,
    threads: usize,
    /// The number of the latest call whose workers were offered to free threads.
    latest: u64,
}

/// A thread of others at work, until it is dropped.
struct Caller<'a>(&'a AtomicUsize);

impl<'a> Caller<'a> {
    fn new(callers: &'a AtomicUsize) -> Self {
        callers.fetch_add(1, Ordering::Relaxed);
        Self(callers)
    }
}

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Workers that wait for a thread, until it is dropped.
struct Offer {
    calls: Arc<Calls>,
    number: u64,
}

impl Drop for Offer {
    fn drop(&mut self) {
        self.calls.lock().helpers.retain(|helper| helper.number != self.number);
    }
}

/// Threads that calls share.
pub struct Calls {
    state: Mutex<State>,
    wake: Condvar,
    /// Threads of others that are at work, in [`Calls::here`].
    callers: AtomicUsize,
    cores: usize,
    linger: Duration,
}

impl Calls {
    /// Those of the process.
    #[must_use]
    pub fn of_process() -> &'static Arc<Self> {
        static ALL: LazyLock<Arc<Calls>> = LazyLock::new(|| Calls::new(Threads::available(), LINGER));
        &ALL
    }

    fn new(cores: usize, linger: Duration) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), wake: Condvar::new(), callers: AtomicUsize::new(0), cores, linger })
    }

    /// Runs `job` in a pool as soon as there is a thread for it. It is told `CANCELLED` instead if the call is
    /// cancelled before, and another error if the number of threads is not allowed or the system starts none.
    pub fn start(self: &Arc<Self>, call: Call, job: impl FnOnce(Result<()>) + Send + 'static) {
        if let Err(error) = Threads::check(call.threads) {
            return answer(Box::new(job), error);
        }
        let kind = call.kind;
        let mut state = self.lock();
        state.waiting[kind as usize].push_back((call, Box::new(job)));
        if let Err(error) = self.wake(&mut state) {
            let refused = state.waiting[kind as usize].pop_back();
            drop(state);
            if let Some((_, job)) = refused {
                answer(job, Error::Internal(format!("the system starts no thread: {error}")));
            }
        }
    }

    /// Runs `work` on the calling thread, as [`Threads::here`]. Of so many threads the others are those that are free
    /// meanwhile, while fewer are at work than there are cores: it waits for none of them.
    ///
    /// # Errors
    /// As [`Threads::here`].
    ///
    /// # Panics
    /// If `work` does.
    pub fn here<R: Send + 'static>(
        self: &Arc<Self>,
        threads: usize,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> Result<R> {
        if rayon::current_thread_index().is_some() {
            return Ok(work());
        }
        let _caller = Caller::new(&self.callers);
        let threads = threads.min(self.cores);
        if threads <= 1 {
            return Threads::here(work);
        }
        let calls = Arc::clone(self);
        let offer = move |others| calls.offer(CallKind::Request, true, threads, others);
        Threads::here_with(threads, offer, work)
    }

    /// Lets threads that are free run the other workers of a call, of so many, until the offer is dropped.
    fn offer(
        self: &Arc<Self>,
        kind: CallKind,
        beside_caller: bool,
        workers: usize,
        others: Vec<ThreadBuilder>,
    ) -> Offer {
        let mut state = self.lock();
        state.latest += 1;
        let number = state.latest;
        let helper = |worker| Helper { number, kind, workers, beside_caller, worker };
        state.helpers.extend(others.into_iter().map(helper));
        // The thread of the first worker is there, so it may fail.
        let _ = self.wake(&mut state);
        Offer { calls: Arc::clone(self), number }
    }

    /// Answers the calls that were cancelled before they began. Whoever cancels calls this.
    pub fn answer_cancelled(&self) {
        let mut cancelled = vec![];
        let mut state = self.lock();
        for waiting in &mut state.waiting {
            for (call, job) in std::mem::take(waiting) {
                if call.cancel.is_cancelled() {
                    cancelled.push(job);
                } else {
                    waiting.push_back((call, job));
                }
            }
        }
        drop(state);
        cancelled.into_iter().for_each(|job| answer(job, Error::Cancelled));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many threads calls of a kind may take, together with longer ones.
    fn most(&self, kind: CallKind) -> usize {
        self.cores + BEYOND - kind as usize
    }

    /// How many more threads may work for calls of that kind, beside all that do.
    fn room(&self, state: &State, kind: CallKind) -> usize {
        let free = |kind: &CallKind| self.most(*kind).saturating_sub(state.busy[*kind as usize..].iter().sum());
        // What it leaves for shorter ones is left by both together.
        KINDS[..=kind as usize].iter().map(free).min().unwrap_or(0)
    }

    /// Whether one more worker of a call that has begun may have a thread.
    fn may_help(&self, state: &State, helper: &Helper) -> bool {
        // Calls that have begun would not be told when a caller is done.
        let callers = if helper.beside_caller { self.callers.load(Ordering::Relaxed) } else { 0 };
        state.busy.iter().sum::<usize>() + callers < self.cores.max(helper.workers) && self.room(state, helper.kind) > 0
    }

    /// Wakes or starts threads for what can be done now. Fails if there is something to do and no thread at all.
    fn wake(self: &Arc<Self>, state: &mut State) -> std::io::Result<()> {
        let begin = KINDS.map(|kind| state.waiting[kind as usize].len().min(self.room(state, kind)));
        let help = state.helpers.iter().filter(|helper| self.may_help(state, helper)).count();
        // A thread that finds nothing to do waits again, so one too many does no harm.
        let wanted = begin.iter().sum::<usize>() + help;
        (0..wanted.min(state.idle)).for_each(|_| self.wake.notify_one());
        for _ in state.idle..wanted {
            if state.threads >= self.most(CallKind::Request) {
                break;
            }
            let calls = Arc::clone(self);
            match std::thread::Builder::new().name("recvae".into()).spawn(move || calls.serve()) {
                Ok(_) => state.threads += 1,
                Err(error) if state.threads == 0 => return Err(error),
                // The threads that there are do it, one thing after the other.
                Err(_) => break,
            }
        }
        Ok(())
    }

    /// What a thread is to do next, if there is anything that it may.
    fn next(&self, state: &mut State) -> Option<Task> {
        for kind in KINDS {
            if self.room(state, kind) > 0
                && let Some((call, job)) = state.waiting[kind as usize].pop_front()
            {
                return Some(Task::Begin(call, job));
            }
        }
        let at = state.helpers.iter().position(|helper| self.may_help(state, helper))?;
        state.helpers.remove(at).map(Task::Help)
    }

    /// The life of a thread.
    fn serve(self: Arc<Self>) {
        let mut state = self.lock();
        let mut lingered = false;
        loop {
            if let Some(task) = self.next(&mut state) {
                state = self.run(state, task);
                lingered = false;
            } else if lingered {
                state.threads -= 1;
                return;
            } else {
                state.idle += 1;
                let waited = self.wake.wait_timeout(state, self.linger).unwrap_or_else(PoisonError::into_inner);
                lingered = waited.1.timed_out();
                state = waited.0;
                state.idle -= 1;
            }
        }
    }

    /// Does one task without the lock.
    fn run<'a>(self: &'a Arc<Self>, mut state: MutexGuard<'a, State>, task: Task) -> MutexGuard<'a, State> {
        let kind = match &task {
            Task::Begin(call, _) => call.kind,
            Task::Help(helper) => helper.kind,
        };
        state.busy[kind as usize] += 1;
        match task {
            Task::Help(helper) => {
                drop(state);
                helper.worker.run();
                state = self.lock();
            }
            Task::Begin(call, job) => {
                drop(state);
                self.begin(&call, job);
                state = self.lock();
            }
        }
        state.busy[kind as usize] -= 1;
        state
    }

    /// Runs a call to its end, as the first of its workers.
    fn begin(self: &Arc<Self>, call: &Call, job: Job) {
        if call.cancel.is_cancelled() {
            return answer(job, Error::Cancelled);
        }
        let Workers { pool, first, others } = match Workers::new(call.threads) {
            Ok(workers) => workers,
            Err(error) => return answer(job, error),
        };
        pool.spawn(move || tell(job, Ok(())));
        // It ends with the job.
        drop(pool);
        let _offered = (!others.is_empty()).then(|| self.offer(call.kind, false, call.threads, others));
        first.run();
    }
}

fn answer(job: Job, error: Error) {
    tell(job, Err(error));
}

/// A job hands its result on by itself. Where it panics, nobody can be told; rayon would end the process.
fn tell(job: Job, outcome: Result<()>) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| job(outcome))) {
        // To drop a payload of an unknown type may panic again.
        std::mem::forget(payload);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::thread::{ThreadId, current, sleep};

    use rayon::prelude::*;

    use super::*;

    const CORES: usize = 2;
    /// Longer than any of these tests should take, on a busy machine too.
    const PATIENCE: Duration = Duration::from_secs(60);

    fn calls() -> Arc<Calls> {
        Calls::new(CORES, Duration::from_millis(20))
    }

    fn call(kind: CallKind, threads: usize) -> Call {
        Call { kind, threads, cancel: Cancel::default() }
    }

    /// Starts a call that says that it has begun, and ends when it is told to.
    fn held(calls: &Arc<Calls>, kind: CallKind, begun: &Sender<usize>, number: usize) -> Sender<()> {
        let (end, ended): (_, Receiver<()>) = channel();
        let begun = begun.clone();
        calls.start(call(kind, 1), move |outcome| {
            outcome.unwrap();
            begun.send(number).unwrap();
            let _ = ended.recv();
        });
        end
    }

    fn next<T>(from: &Receiver<T>) -> T {
        from.recv_timeout(PATIENCE).unwrap()
    }

    /// Runs work in [`Calls::here`] that lasts until two threads do it or it has been told that none will help; gives
    /// the threads.
    fn helped(calls: &Arc<Calls>, threads: usize, alone: Duration) -> HashSet<ThreadId> {
        let work = move || {
            let seen = Mutex::new(HashSet::new());
            let begun = std::time::Instant::now();
            (0..64).into_par_iter().for_each(|_| {
                let _ = seen.lock().map(|mut seen| seen.insert(current().id()));
                while seen.lock().is_ok_and(|seen| seen.len() < 2) && begun.elapsed() < alone {
                    sleep(Duration::from_millis(1));
                }
            });
            seen.into_inner().unwrap()
        };
        calls.here(threads, work).unwrap()
    }

    #[test]
    fn work_on_the_callers_thread_is_helped_by_threads_that_are_free() {
        let calls = calls();
        let seen = helped(&calls, CORES, PATIENCE);
        assert_eq!(seen.len(), 2);
        assert!(seen.contains(&current().id()));
        // Nothing is left of it.
        assert_eq!((calls.callers.load(Ordering::Relaxed), calls.lock().helpers.len()), (0, 0));
    }

    #[test]
    fn work_on_the_callers_thread_waits_for_no_thread() {
        let calls = calls();
        let (sender, receiver) = channel();
        let ends: Vec<_> = (0..CORES).map(|number| held(&calls, CallKind::Long, &sender, number)).collect();
        (0..CORES).for_each(|_| assert!(next(&receiver) < CORES));
        // The cores are busy.
        assert_eq!(helped(&calls, CORES, Duration::from_millis(50)), HashSet::from([current().id()]));
        // One thread was asked for.
        assert_eq!(helped(&calls, 1, Duration::from_millis(5)), HashSet::from([current().id()]));
        drop(ends);
        let panicked = catch_unwind(AssertUnwindSafe(|| calls.here(CORES, || panic!("in work"))));
        assert!(panicked.is_err());
        assert_eq!((calls.callers.load(Ordering::Relaxed), calls.lock().helpers.len()), (0, 0));
    }

    #[test]
    fn callers_that_keep_the_cores_busy_do_not_help_each_other() {
        let calls = calls();
        let busy = Arc::clone(&calls);
        let seen = calls.here(1, move || helped(&busy, CORES, Duration::from_millis(50)));
        // That was in a pool already: now from two threads.
        assert_eq!(seen.unwrap(), HashSet::from([current().id()]));
        let (begun, has_begun) = channel();
        let (end, ended): (_, Receiver<()>) = channel();
        let other = Arc::clone(&calls);
        let thread = std::thread::spawn(move || {
            other.here(1, move || {
                begun.send(()).unwrap();
                let _ = ended.recv();
            })
        });
        next(&has_begun);
        assert_eq!(helped(&calls, CORES, Duration::from_millis(50)), HashSet::from([current().id()]));
        // A call that begins now has all its workers all the same: nobody would tell it when the caller is done.
        let (sender, receiver) = channel();
        calls.start(call(CallKind::Long, CORES), move |outcome| {
            outcome.unwrap();
            let first = current().id();
            let others = || {
                (0..64).into_par_iter().any(|_| {
                    sleep(Duration::from_millis(1));
                    current().id() != first
                })
            };
            let begun = std::time::Instant::now();
            while !others() && begun.elapsed() < PATIENCE {}
            sender.send(begun.elapsed() < PATIENCE).unwrap();
        });
        assert!(next(&receiver));
        drop(end);
        thread.join().unwrap().unwrap();
        assert_eq!(helped(&calls, CORES, PATIENCE).len(), 2);
    }

    #[test]
    fn a_hundred_calls_at_once_take_as_many_threads_as_there_are_cores_and_four() {
        let calls = calls();
        let (sender, receiver) = channel();
        let (at_once, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        for n in 0..100 {
            let kind = KINDS[n % 3];
            let (sender, at_once, most) = (sender.clone(), Arc::clone(&at_once), Arc::clone(&most));
            calls.start(call(kind, 1 + n % 9), move |outcome| {
                outcome.unwrap();
                most.fetch_max(at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                let ids: Vec<ThreadId> = (0..64).into_par_iter().map(|_| current().id()).collect();
                let sum: usize = (0..10_000usize).into_par_iter().sum();
                at_once.fetch_sub(1, Ordering::SeqCst);
                sender.send((n, sum, ids, rayon::current_num_threads())).unwrap();
            });
            assert!(calls.lock().threads <= CORES + BEYOND);
        }
        let mut seen = HashSet::new();
        for _ in 0..100 {
            let (n, sum, ids, threads) = next(&receiver);
            assert_eq!((sum, threads), (49_995_000, 1 + n % 9));
            assert!(ids.iter().collect::<HashSet<_>>().len() <= threads);
            assert!(seen.insert(n));
        }
        assert!(most.load(Ordering::SeqCst) <= CORES + BEYOND);
        // Threads without work end.
        while calls.lock().threads > 0 {
            sleep(Duration::from_millis(1));
        }
        let state = calls.lock();
        assert_eq!((state.busy, state.idle, state.helpers.len()), ([0; 3], 0, 0));
    }

    #[test]
    fn a_call_of_one_thread_computes_on_one() {
        // Its thread is still there when it is counted, however late that is.
        let calls = Calls::new(CORES, PATIENCE);
        let (sender, receiver) = channel();
        calls.start(call(CallKind::Long, 1), move |_| {
            let ids = (0..1000).into_par_iter().map(|_| current().id());
            sender.send(ids.collect::<Vec<_>>()).unwrap();
        });
        assert_eq!(next(&receiver).into_iter().collect::<HashSet<_>>().len(), 1);
        assert_eq!(calls.lock().threads, 1);
    }

    #[test]
    fn a_call_alone_has_all_the_threads_that_it_asks_for() {
        let calls = calls();
        let (sender, receiver) = channel();
        calls.start(call(CallKind::Long, CORES), move |_| {
            // Each waits for the other, so it only ends if two threads are at work.
            let barrier = std::sync::Barrier::new(2);
            rayon::join(|| barrier.wait(), || barrier.wait());
            sender.send(()).unwrap();
        });
        next(&receiver);
    }

    #[test]
    fn what_is_long_leaves_threads_for_what_is_short() {
        let calls = calls();
        let (begun, begins) = channel();
        let hold = |kind, numbers: std::ops::Range<usize>| -> Vec<Sender<()>> {
            numbers.map(|number| held(&calls, kind, &begun, number)).collect()
        };
        let mut long = hold(CallKind::Long, 0..10);
        assert_eq!((0..CORES + 2).map(|_| next(&begins)).collect::<HashSet<_>>(), (0..4).collect());
        let brief = hold(CallKind::Brief, 10..20);
        assert_eq!(next(&begins), 10);
        let requests = hold(CallKind::Request, 20..22);
        assert_eq!(next(&begins), 20);
        assert!(begins.try_recv().is_err());
        assert_eq!(calls.lock().threads, CORES + BEYOND);
        // Whatever ends, the shortest that waits is next.
        drop(long.remove(0));
        assert_eq!(next(&begins), 21);
        drop(requests);
        assert_eq!(next(&begins), 11);
        sleep(Duration::from_millis(50));
        assert!(begins.try_recv().is_err()); // the last thread is for requests, though long calls have fewer than they may
        drop((long, brief));
        assert_eq!((0..14).map(|_| next(&begins)).collect::<HashSet<_>>().len(), 14);
    }

    #[test]
    fn a_call_that_waits_can_be_cancelled() {
        let calls = calls();
        let (begun, begins) = channel();
        let work: Vec<_> = (0..CORES + 2).map(|n| held(&calls, CallKind::Long, &begun, n)).collect();
        (0..CORES + 2).for_each(|_| assert!(next(&begins) < CORES + 2));
        let (sender, outcomes) = channel();
        let cancels = [Cancel::default(), Cancel::default()];
        for (n, cancel) in cancels.iter().enumerate() {
            let call = Call { cancel: cancel.clone(), ..call(CallKind::Long, 1) };
            let sender = sender.clone();
            calls.start(call, move |outcome| sender.send((n, outcome.map_err(|e| e.code()))).unwrap());
        }
        cancels[1].cancel();
        calls.answer_cancelled();
        assert_eq!(outcomes.try_recv(), Ok((1, Err("CANCELLED"))));
        drop(work);
        assert_eq!(next(&outcomes), (0, Ok(())));
        // One that nobody told of is found when it is about to begin.
        let cancel = Cancel::default();
        cancel.cancel();
        let call = Call { cancel, ..call(CallKind::Long, 2) };
        calls.start(call, move |outcome| sender.send((2, outcome.map_err(|e| e.code()))).unwrap());
        assert_eq!(next(&outcomes), (2, Err("CANCELLED")));
    }

    #[test]
    fn a_panic_ends_its_call_alone() {
        let calls = calls();
        let (sender, receiver) = channel();
        for n in 0..20 {
            let sender = sender.clone();
            calls.start(call(CallKind::Long, 2), move |_| {
                sender.send(n).unwrap();
                std::panic::resume_unwind(Box::new("on purpose"));
            });
        }
        (0..20).for_each(|_| assert!(next(&receiver) < 20));
        calls.start(call(CallKind::Long, 0), move |outcome| {
            assert_eq!(outcome.unwrap_err().to_string(), "threads is 0; allowed: a whole number from 1 to 1024");
            sender.send(20).unwrap();
        });
        assert_eq!(next(&receiver), 20);
    }

    #[test]
    fn work_here_runs_on_the_calling_thread() {
        let me = current().id();
        for _ in 0..3 {
            let (ids, threads) = Threads::here(|| {
                let ids: Vec<_> = (0..1000).into_par_iter().map(|_| current().id()).collect();
                (ids, rayon::current_num_threads())
            })
            .unwrap();
            assert!(ids.into_iter().all(|id| id == me) && threads == 1);
            let inner = Threads::here(|| Threads::here(|| Threads::here(|| 7).unwrap()).unwrap()).unwrap();
            assert_eq!(inner, 7);
            let quiet = || std::panic::resume_unwind(Box::new("on purpose"));
            assert!(catch_unwind(|| Threads::here::<()>(quiet)).is_err());
        }
        assert_eq!(rayon::current_thread_index(), None);
    }
}
