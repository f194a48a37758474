//! Golden vectors for the tests of this crate, in `test/fixtures/reference`. Their names are those of PyTorch modules;
//! all noise is stored with them. `recvae_step` and `multvae_step` hold one batch with its loss and gradients,
//! `recvae_run` two epochs of alternating training, `ease_*` closed forms. `edlae`, `rdlae`, `deql`, `hoease` and
//! `multdae_step` come from the `make.py` beside them, `als_weights` and `hvamp_step` from their own.

use std::collections::BTreeMap;

use safetensors::SafeTensors;

#[cfg(feature = "candle")]
use crate::base::compute::Device;
#[cfg(feature = "candle")]
use crate::base::cuda::Cuda;
use crate::math::csr::Csr;
use crate::math::real::Real;

/// The first GPU, or a word that a test is skipped.
#[cfg(feature = "candle")]
pub(crate) fn gpu() -> Option<Device> {
    let cuda = Cuda::here();
    if cuda.devices.is_empty() {
        #[allow(clippy::print_stderr)]
        {
            eprintln!("skipped: {}", cuda.reason);
        }
    }
    cuda.devices.first().map(|gpu| Device::Cuda(gpu.ordinal))
}

/// One file of reference values, all of them f64.
pub(crate) struct Golden(BTreeMap<String, (Vec<usize>, Vec<f64>)>);

impl Golden {
    pub(crate) fn read(name: &str) -> Self {
        let path = format!("{}/../../test/fixtures/reference/{name}.safetensors", env!("CARGO_MANIFEST_DIR"));
        let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        Self(
            tensors
                .iter()
                .map(|(name, view)| {
                    let number = |bytes: &[u8]| match view.dtype() {
                        safetensors::Dtype::F64 => f64::from_le_bytes(bytes.try_into().unwrap()),
                        safetensors::Dtype::I64 => i64::from_le_bytes(bytes.try_into().unwrap()) as f64,
                        other => panic!("{name}: {other:?}"),
                    };
                    (name.to_owned(), (view.shape().to_vec(), view.data().chunks_exact(8).map(number).collect()))
                })
                .collect(),
        )
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(|name| &name[..])
    }

    pub(crate) fn shape(&self, name: &str) -> &[usize] {
        &self.0.get(name).unwrap_or_else(|| panic!("no tensor {name}")).0
    }

    pub(crate) fn values(&self, name: &str) -> &[f64] {
        &self.0.get(name).unwrap_or_else(|| panic!("no tensor {name}")).1
    }

    /// The positions of the ones in a 0/1 row.
    pub(crate) fn csr_row(&self, name: &str) -> Vec<u32> {
        (0u32..).zip(self.values(name)).filter(|(_, value)| **value != 0.0).map(|(item, _)| item).collect()
    }

    /// A dense 0/1 matrix as CSR.
    pub(crate) fn csr(&self, name: &str) -> Csr {
        let n_cols = self.shape(name)[1];
        let rows = self
            .values(name)
            .chunks(n_cols)
            .map(|row| (0u32..).zip(row).filter(|(_, value)| **value != 0.0).map(|(item, _)| item).collect::<Vec<_>>());
        Csr::from_rows(rows, n_cols).unwrap()
    }
}

/// Whether numbers are those recorded, relative to the largest of them.
#[track_caller]
pub(crate) fn close<T: Real>(what: &str, ours: &[T], golden: &[f64], tolerance: f64) {
    assert_eq!(ours.len(), golden.len(), "{what}");
    let scale = golden.iter().fold(0f64, |max, value| max.max(value.abs()));
    let worst = ours.iter().zip(golden).map(|(a, b)| (a.to_f64() - b).abs()).fold(0f64, f64::max);
    assert!(worst <= tolerance * scale, "{what}: off by {worst} where the largest number is {scale}");
}
