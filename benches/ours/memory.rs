//! Memory of this process, as Linux counts it: what is resident (`VmRSS`) and the most that has been (`VmHWM`). And the seconds of its
//! threads.

use std::fs;

use recvae_core::Csr;
use serde_json::{Value, json};

use crate::Outcome;

/// Resident bytes at one time.
pub(crate) struct Memory(u64);

fn status(name: &str) -> Outcome<u64> {
    let text = fs::read_to_string("/proc/self/status").map_err(|e| format!("memory is measured on Linux only: {e}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)).ok_or("/proc/self/status lacks a line")?;
    let kib: u64 = line.trim_matches(|c: char| !c.is_ascii_digit()).parse()?;
    Ok(1024 * kib)
}

impl Memory {
    pub(crate) fn now() -> Outcome<Self> {
        status("VmRSS:").map(Self)
    }

    /// From here on the peak counts anew, so that making the data does not count.
    pub(crate) fn forget_peak() -> Outcome<()> {
        Ok(fs::write("/proc/self/clear_refs", "5")?)
    }

    /// The peak, and what of it is beyond the program as it was at this time and beyond the matrix that it was given. What
    /// the allocator keeps of freed memory counts as used.
    pub(crate) fn grown(&self, data: &Csr) -> Outcome<Value> {
        let peak = status("VmHWM:")?;
        let input = (size_of_val(data.indptr()) + size_of_val(data.indices())) as u64;
        Ok(json!({ "peak": peak, "input": input, "beyond": peak.saturating_sub(self.0 + input) }))
    }
}

/// Seconds that processors worked on this process, all its threads together: other programs on the machine do not lengthen them but
/// by what they take of caches and memory.
pub(crate) fn processor_seconds() -> Outcome<f64> {
    let mut nanoseconds = 0;
    for thread in
        fs::read_dir("/proc/self/task").map_err(|e| format!("seconds of threads are told on Linux only: {e}"))?
    {
        let text = fs::read_to_string(thread?.path().join("schedstat"))?;
        nanoseconds += text.split(' ').next().unwrap_or_default().parse::<u64>()?;
    }
    Ok(nanoseconds as f64 / 1e9)
}
