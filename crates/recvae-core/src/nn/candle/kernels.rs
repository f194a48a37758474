//! The kernels of `kernels.cu` on a device, and how they are launched. Without the feature `cuda` there are none.

#[cfg(feature = "cuda")]
pub(super) use with::{Kernels, launch, on_device, shape_of, whole};
#[cfg(not(feature = "cuda"))]
pub(super) use without::Kernels;

#[cfg(not(feature = "cuda"))]
mod without {
    use candle_core::Device;

    use super::super::Candle;

    /// Nothing: what has a kernel is computed by its plain form.
    #[derive(Clone)]
    pub(in super::super) struct Kernels;

    impl Kernels {
        #[allow(clippy::unnecessary_wraps)] // the other one can fail
        pub(in super::super) fn on(_: &Device) -> Candle<Self> {
            Ok(Self)
        }
    }
}

#[cfg(feature = "cuda")]
mod with {
    use std::sync::Arc;

    use candle_core::cuda_backend::{CudaDType, WrapErr};
    use candle_core::{CudaDevice, CudaStorage, Device, Layout, bail};
    use cudarc::driver::{CudaFunction, CudaModule, CudaSlice, CudaView, DeviceRepr, LaunchConfig, ValidAsZeroBits};
    use cudarc::nvrtc::Ptx;

    use super::super::Candle;

    /// Machine code, and text for other GPUs, of `kernels.cu`.
    static IMAGE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/kernels.fatbin"));

    /// Threads of a block, and blocks at most: each thread goes on with what lies that much further.
    const THREADS: u32 = 256;
    const BLOCKS: u64 = 1 << 16;

    /// The kernels, loaded on a GPU; nothing on the processor.
    #[derive(Clone)]
    pub(in super::super) struct Kernels(Option<(CudaDevice, Arc<CudaModule>)>);

    impl Kernels {
        pub(in super::super) fn on(device: &Device) -> Candle<Self> {
            let Device::Cuda(device) = device else { return Ok(Self(None)) };
            let module = device.cuda_stream().context().load_module(Ptx::from_binary(IMAGE.to_vec())).w()?;
            Ok(Self(Some((device.clone(), module))))
        }

        fn loaded(&self) -> Candle<&(CudaDevice, Arc<CudaModule>)> {
            match &self.0 {
                Some(loaded) => Ok(loaded),
                None => bail!("kernels of another device"),
            }
        }

        pub(in super::super) fn device(&self) -> Candle<&CudaDevice> {
            Ok(&self.loaded()?.0)
        }

        pub(in super::super) fn function(&self, name: &str) -> Candle<CudaFunction> {
            self.loaded()?.1.load_function(name).w()
        }

        /// Room for numbers that a kernel writes, all of them.
        #[allow(unsafe_code)]
        pub(in super::super) fn room<N: DeviceRepr>(&self, n: usize) -> Candle<CudaSlice<N>> {
            // SAFETY: every caller launches a kernel that writes each number before anything reads it, on the same
            // stream.
            unsafe { self.device()?.alloc::<N>(n) }
        }

        pub(in super::super) fn zeros<N: DeviceRepr + ValidAsZeroBits>(&self, n: usize) -> Candle<CudaSlice<N>> {
            self.device()?.alloc_zeros::<N>(n)
        }

        pub(in super::super) fn storage<N: CudaDType>(&self, numbers: CudaSlice<N>) -> CudaStorage {
            let (device, _) = self.0.as_ref().expect("numbers that a kernel of these wrote");
            CudaStorage::wrap_cuda_slice(numbers, device.clone())
        }
    }

    /// Blocks and threads for so many rounds.
    pub(in super::super) fn shape_of(rounds: u64) -> LaunchConfig {
        let blocks = rounds.div_ceil(u64::from(THREADS)).clamp(1, BLOCKS) as u32;
        LaunchConfig { grid_dim: (blocks, 1, 1), block_dim: (THREADS, 1, 1), shared_mem_bytes: 0 }
    }

    /// The numbers of a tensor that lie one behind the other.
    pub(in super::super) fn whole<'a, N: CudaDType>(
        storage: &'a CudaStorage,
        layout: &Layout,
    ) -> Candle<CudaView<'a, N>> {
        match layout.contiguous_offsets() {
            Some((from, to)) => Ok(storage.as_cuda_slice::<N>()?.slice(from..to)),
            None => bail!("numbers that are not one behind the other"),
        }
    }

    /// Launches a kernel for so many rounds; the arguments behind the number of rounds are those that `kernels.cu`
    /// names.
    macro_rules! launch {
        ($kernels:expr, $name:literal, $rounds:expr; $($argument:expr),+) => {{
            use candle_core::cuda_backend::WrapErr;
            use cudarc::driver::PushKernelArg;
            let rounds = $rounds as u64;
            if rounds > 0 {
                let (function, stream) = ($kernels.function($name)?, $kernels.device()?.cuda_stream());
                let mut builder = stream.launch_builder(&function);
                builder.arg(&rounds);
                $(builder.arg($argument);)+
                // SAFETY: the arguments are the kernel's, by number and type; its rounds write within what they are
                // given, and only what no other round touches. All work of a device is on one stream.
                #[allow(unsafe_code)]
                let launched = unsafe { builder.launch($crate::nn::candle::kernels::shape_of(rounds)) };
                launched.w()?;
            }
        }};
    }
    pub(in super::super) use launch;

    /// Runs `work` on the numbers of tensors that lie on a GPU.
    macro_rules! on_device {
        ($($name:ident: $type:ty = $tensor:expr),+ => $work:expr) => {{
            $(let $name = $tensor.storage_and_layout();)+
            $(let $name = match &*$name.0 {
                candle_core::Storage::Cuda(storage) => $crate::nn::candle::kernels::whole::<$type>(storage, $name.1)?,
                _ => candle_core::bail!("numbers that are not a GPU's"),
            };)+
            $work
        }};
    }
    pub(in super::super) use on_device;
}
