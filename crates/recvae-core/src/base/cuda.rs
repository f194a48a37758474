//! What there is of CUDA: in this build, of the machine's driver, of its GPUs. Nothing here panics where there is none.

use serde_json::{Value, json};

/// The least compute capability of a GPU that there is code for: Ampere's.
#[cfg_attr(not(feature = "cuda"), allow(dead_code))]
const CAPABILITY: (i32, i32) = (8, 0);

/// A GPU that opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CudaDevice {
    /// N of `cuda:N`.
    pub ordinal: u32,
    /// What its maker calls it.
    pub name: String,
    /// Bytes of memory that are free.
    pub free_memory: u64,
    /// Bytes of memory.
    pub memory: u64,
}

/// What can be had of CUDA here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cuda {
    /// The version of CUDA that the driver is for, such as 13.0; none without a driver.
    pub driver: Option<String>,
    /// The GPUs that open, in the driver's order.
    pub devices: Vec<CudaDevice>,
    /// Why there are no such GPUs, or what there is.
    pub reason: String,
}

impl Cuda {
    /// Asks the driver, and opens every GPU for a moment.
    #[must_use]
    pub fn here() -> Self {
        found::cuda()
    }

    /// Whether there is a GPU to compute on.
    #[must_use]
    pub fn is_available(&self) -> bool {
        !self.devices.is_empty()
    }

    /// The same as JSON: `{available, reason, driver, devices}`, with memory in bytes.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let device = |CudaDevice { ordinal, name, free_memory, memory }: &CudaDevice| json!({ "device": format!("cuda:{ordinal}"), "name": name, "freeMemory": free_memory, "memory": memory });
        json!({
            "available": self.is_available(), "reason": self.reason, "driver": self.driver,
            "devices": self.devices.iter().map(device).collect::<Value>(),
        })
    }
}

#[cfg(not(feature = "cuda"))]
mod found {
    use super::Cuda;

    pub(super) fn cuda() -> Cuda {
        Cuda { driver: None, devices: vec![], reason: "this build has no CUDA".into() }
    }
}

#[cfg(feature = "cuda")]
mod found {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use cudarc::driver::result::{self, DriverError};
    use cudarc::driver::{CudaContext, sys};

    use super::{CAPABILITY, Cuda, CudaDevice};

    /// The version of CUDA that this build's kernels are compiled by, as the driver counts: a driver has to know it.
    const BUILT_WITH: i32 = sys::CUDA_VERSION as i32;

    pub(super) fn cuda() -> Cuda {
        let absent = |driver, reason: String| Cuda { driver, devices: vec![], reason };
        // cudarc panics where a driver lacks a function that it looks for.
        let asked = catch_unwind(AssertUnwindSafe(ask));
        match asked.unwrap_or_else(|_| Err((None, "the driver lacks what CUDA 13 has".into()))) {
            Ok(cuda) => cuda,
            Err((driver, reason)) => absent(driver, reason),
        }
    }

    fn version(number: i32) -> String {
        format!("{}.{}", number / 1000, number % 1000 / 10)
    }

    /// A code of the driver in words.
    fn said(error: DriverError) -> String {
        use sys::cudaError_enum::*;
        match error.0 {
            CUDA_ERROR_NO_DEVICE => "the driver finds no GPU".into(),
            CUDA_ERROR_STUB_LIBRARY => "libcuda is a stand-in to link with, and no driver".into(),
            CUDA_ERROR_SYSTEM_DRIVER_MISMATCH => {
                "libcuda and the driver in the kernel are of different versions".into()
            }
            CUDA_ERROR_OUT_OF_MEMORY => "there is no memory left on it".into(),
            CUDA_ERROR_DEVICE_UNAVAILABLE => "another program has it for itself".into(),
            code => format!("the driver says {code:?}"),
        }
    }

    fn ask() -> Result<Cuda, (Option<String>, String)> {
        let mut number = 0;
        // SAFETY: the function writes one number to where it is told, and may be called before any other.
        #[allow(unsafe_code)]
        let code = unsafe { sys::cuDriverGetVersion(&raw mut number) };
        let driver = (code == sys::cudaError_enum::CUDA_SUCCESS && number > 0).then(|| version(number));
        if driver.is_some() && number < BUILT_WITH {
            let reason = format!(
                "the driver is for CUDA {}, and this build is of CUDA {}, which needs driver 580 or later",
                version(number),
                version(BUILT_WITH)
            );
            return Err((driver, reason));
        }
        let fail = |error| (driver.clone(), said(error));
        result::init().map_err(fail)?;
        let count = result::device::get_count().map_err(fail)?;
        let opened: Vec<_> = (0..count.unsigned_abs()).map(|ordinal| (ordinal, open(ordinal))).collect();
        let refused: Vec<String> = opened
            .iter()
            .filter_map(|(ordinal, device)| {
                device.as_ref().err().map(|why| format!("cuda:{ordinal} does not open: {why}"))
            })
            .collect();
        let devices: Vec<CudaDevice> = opened.into_iter().filter_map(|(_, device)| device.ok()).collect();
        let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
        let there = devices.iter().map(|CudaDevice { ordinal, name, free_memory, memory }| {
            format!("cuda:{ordinal} is {name} with {:.1} of {:.1} GiB free", gib(*free_memory), gib(*memory))
        });
        let reason: Vec<String> = there.chain(refused).collect();
        let reason = if reason.is_empty() { "the driver finds no GPU".into() } else { reason.join("; ") };
        Ok(Cuda { driver, devices, reason })
    }

    fn open(ordinal: u32) -> Result<CudaDevice, String> {
        let context = CudaContext::new(ordinal as usize).map_err(said)?;
        let about = || -> Result<_, DriverError> {
            Ok((context.name()?, context.compute_capability()?, context.mem_get_info()?))
        };
        let (name, capability, (free, memory)) = about().map_err(said)?;
        if capability < CAPABILITY {
            let number = |(major, minor)| format!("{major}.{minor}");
            return Err(format!(
                "{name} is of compute capability {}, and there is code for {} and later",
                number(capability),
                number(CAPABILITY)
            ));
        }
        Ok(CudaDevice { ordinal, name, free_memory: free as u64, memory: memory as u64 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_devices_says_why() {
        let cuda = Cuda::here();
        assert_eq!(cuda.is_available(), !cuda.devices.is_empty());
        assert!(!cuda.reason.is_empty());
        if cfg!(not(feature = "cuda")) {
            assert_eq!(cuda, Cuda { driver: None, devices: vec![], reason: "this build has no CUDA".into() });
        }
    }

    #[test]
    fn devices_are_told_with_their_memory() {
        let device = CudaDevice { ordinal: 1, name: "a GPU".into(), free_memory: 3, memory: 4 };
        let cuda = Cuda { driver: Some("13.0".into()), devices: vec![device], reason: "one".into() };
        let told = json!({
            "available": true, "reason": "one", "driver": "13.0",
            "devices": [{ "device": "cuda:1", "name": "a GPU", "freeMemory": 3, "memory": 4 }],
        });
        assert_eq!(cuda.to_json(), told);
    }
}
