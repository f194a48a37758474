//! What tensors of candle have in common wherever they are used: a device that is opened, errors that become ours.

use candle_core::Device;

use crate::base::compute;
use crate::base::error::{Error, Result};

/// What candle gives back.
pub(crate) type Candle<T> = candle_core::Result<T>;

/// Turns candle's errors into ours; nobody outside knows candle's type.
pub(crate) trait IntoCore<T> {
    fn core(self) -> Result<T>;
}

impl<T> IntoCore<T> for Candle<T> {
    fn core(self) -> Result<T> {
        self.map_err(|error| {
            // A backtrace may follow.
            let text = error.to_string();
            if text.contains("OUT_OF_MEMORY") {
                let text = "the GPU has no memory left; the way out: device cpu, or of a network a smaller batchSize";
                return Error::Memory(text.into());
            }
            Error::Internal(format!("candle: {}", text.lines().next().unwrap_or_default()))
        })
    }
}

/// candle's device in that place.
pub(crate) fn open(place: compute::Device) -> Result<Device> {
    match place {
        compute::Device::Cpu => Ok(Device::Cpu),
        // One stream for all threads: they ask for scores side by side.
        compute::Device::Cuda(ordinal) => Device::new_cuda_with_stream(ordinal as usize).core(),
    }
}
