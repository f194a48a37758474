//! Operations that candle lacks, or has only in a slow form on a GPU: each with a plain form for the processor, which
//! the tests compare with what candle's own operations give, and a kernel of `kernels.cu`, which computes the same in
//! f32.
//!
//! Rows are those of a batch: entries of row `r` are `entries[offsets[r]..offsets[r + 1]]`, an item or [`ABSENT`],
//! which is what dropout has taken away.

use std::marker::PhantomData;

use candle_core::{CpuStorage, CudaStorage, CustomOp1, InplaceOp3, Layout, Shape, Storage, Tensor, WithDType, bail};

use super::Candle;
use super::kernels::Kernels;
#[cfg(feature = "cuda")]
use super::kernels::{launch, on_device};
use crate::base::random::Philox;
use crate::math::real::Real;
use crate::nn::noise::{Noise, Purpose, Seeded, bar, stream};

/// What stands for an entry that is not there; no item has the number.
pub(super) const ABSENT: u32 = u32::MAX;

/// How many threads walk along a row's entries, and of how many sums the input layer's is made.
const LANES: u32 = 32;
const PARTS: u32 = 8;

/// Sparse rows on a device.
#[derive(Clone)]
pub(super) struct Rows {
    /// Shape `(entries,)`, u32.
    pub(super) entries: Tensor,
    /// Shape `(rows + 1,)`, u32.
    pub(super) offsets: Tensor,
    /// The value of each row's entries, shape `(rows,)`.
    pub(super) values: Tensor,
    pub(super) n_rows: usize,
}

/// Runs `work` on the numbers of tensors that lie on the processor.
macro_rules! on_host {
    ($($name:ident: $type:ty = $tensor:expr),+ => $work:expr) => {{
        $(let $name = $tensor.storage_and_layout();)+
        $(let $name: &[$type] = host::<$type>(&$name.0, $name.1)?;)+
        $work
    }};
}

fn host<'a, N: WithDType>(storage: &'a Storage, layout: &Layout) -> Candle<&'a [N]> {
    match storage {
        Storage::Cpu(storage) => whole(storage, layout),
        _ => bail!("numbers that are not the processor's"),
    }
}

/// The numbers of a tensor that lie one behind the other.
fn whole<'a, N: WithDType>(storage: &'a CpuStorage, layout: &Layout) -> Candle<&'a [N]> {
    match layout.contiguous_offsets() {
        Some((from, to)) => Ok(&storage.as_slice::<N>()?[from..to]),
        None => bail!("numbers that are not one behind the other"),
    }
}

/// What dropout leaves of the histories of a batch's users, or all of them: entries of rows, from interactions that lie
/// on the device. Applied to the items of all interactions.
pub(super) struct Entries {
    pub(super) kernels: Kernels,
    pub(super) users: Tensor,
    pub(super) starts: Tensor,
    pub(super) offsets: Tensor,
    pub(super) n_entries: usize,
    pub(super) seed: u64,
    pub(super) pass: u64,
    /// The share that is dropped.
    pub(super) rate: f64,
}

impl CustomOp1 for Entries {
    fn name(&self) -> &'static str {
        "entries"
    }

    fn cpu_fwd(&self, items: &CpuStorage, layout: &Layout) -> Candle<(CpuStorage, Shape)> {
        let items = whole::<u32>(items, layout)?;
        let mut out = vec![ABSENT; self.n_entries];
        let random = Philox::new(self.seed, stream(Purpose::Dropout, self.pass));
        let bar = bar(self.rate);
        on_host!(users: u32 = self.users, starts: u32 = self.starts, offsets: u32 = self.offsets => {
            for (row, (&user, &start)) in users.iter().zip(starts).enumerate() {
                let out = &mut out[offsets[row] as usize..offsets[row + 1] as usize];
                let items = items[start as usize..][..out.len()].chunks(4);
                for ((block, out), items) in (0u64..).zip(out.chunks_mut(4)).zip(items) {
                    let numbers = if bar > 0 { random.block(u64::from(user) << 32 | block) } else { [ABSENT; 4] };
                    for ((out, &item), number) in out.iter_mut().zip(items).zip(numbers) {
                        *out = if number >= bar { item } else { ABSENT };
                    }
                }
            }
        });
        Ok((CpuStorage::U32(out), self.n_entries.into()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, items: &CudaStorage, layout: &Layout) -> Candle<(CudaStorage, Shape)> {
        let items = super::kernels::whole::<u32>(items, layout)?;
        let (n_rows, bar) = (self.users.elem_count(), bar(self.rate));
        let (seed, stream) = (self.seed, stream(Purpose::Dropout, self.pass));
        let mut out = self.kernels.room::<u32>(self.n_entries)?;
        on_device!(users: u32 = self.users, starts: u32 = self.starts, offsets: u32 = self.offsets => {
            launch!(self.kernels, "entries", n_rows * LANES as usize; &mut out, &items, &users, &starts, &offsets, &seed, &stream, &bar, &LANES)
        });
        Ok((self.kernels.storage(out), self.n_entries.into()))
    }
}

/// Standard normal numbers of users, shape `(users, latent)`, as [`draw_noise`](crate::nn::batch::draw_noise) gives
/// them. Applied to the numbers of the users.
pub(super) struct Normals<T> {
    pub(super) kernels: Kernels,
    pub(super) latent_dim: usize,
    pub(super) seed: u64,
    pub(super) pass: u64,
    pub(super) of: PhantomData<T>,
}

impl<T: Real + WithDType> CustomOp1 for Normals<T> {
    fn name(&self) -> &'static str {
        "normals"
    }

    fn cpu_fwd(&self, users: &CpuStorage, layout: &Layout) -> Candle<(CpuStorage, Shape)> {
        let users = whole::<u32>(users, layout)?;
        let mut out = vec![T::ZERO; users.len() * self.latent_dim];
        for (&user, out) in users.iter().zip(out.chunks_mut(self.latent_dim)) {
            Seeded(self.seed).normal(self.pass, user as usize, out);
        }
        Ok((T::to_cpu_storage_owned(out), (users.len(), self.latent_dim).into()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, users: &CudaStorage, layout: &Layout) -> Candle<(CudaStorage, Shape)> {
        let n_rows = layout.shape().elem_count();
        let users = super::kernels::whole::<u32>(users, layout)?;
        let (latent, pairs) = (self.latent_dim as u32, self.latent_dim.div_ceil(2) as u32);
        let (seed, stream) = (self.seed, stream(Purpose::Latent, self.pass));
        let mut out = self.kernels.room::<f32>(n_rows * self.latent_dim)?;
        launch!(self.kernels, "normals", n_rows * pairs as usize; &mut out, &users, &seed, &stream, &latent, &pairs);
        Ok((self.kernels.storage(out), (n_rows, self.latent_dim).into()))
    }
}

/// The sum of the weights of each row's items, times the row's value: shape `(rows, width)`. Applied to the weights,
/// shape `(items, width)`, which it has the gradient of.
pub(super) struct InputSums<T> {
    pub(super) kernels: Kernels,
    pub(super) rows: Rows,
    pub(super) of: PhantomData<T>,
}

impl<T: Real + WithDType> CustomOp1 for InputSums<T> {
    fn name(&self) -> &'static str {
        "input sums"
    }

    fn cpu_fwd(&self, weight: &CpuStorage, layout: &Layout) -> Candle<(CpuStorage, Shape)> {
        let width = layout.dims()[1];
        let weight = whole::<T>(weight, layout)?;
        let mut out = vec![T::ZERO; self.rows.n_rows * width];
        on_host!(entries: u32 = self.rows.entries, offsets: u32 = self.rows.offsets, values: T = self.rows.values => {
            for (row, out) in out.chunks_mut(width).enumerate() {
                for &item in &entries[offsets[row] as usize..offsets[row + 1] as usize] {
                    if item != ABSENT {
                        let weight = &weight[item as usize * width..][..width];
                        out.iter_mut().zip(weight).for_each(|(sum, &number)| *sum += number);
                    }
                }
                out.iter_mut().for_each(|sum| *sum *= values[row]);
            }
        });
        Ok((T::to_cpu_storage_owned(out), (self.rows.n_rows, width).into()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, weight: &CudaStorage, layout: &Layout) -> Candle<(CudaStorage, Shape)> {
        let (n_rows, width) = (self.rows.n_rows, layout.dims()[1]);
        let weight = super::kernels::whole::<f32>(weight, layout)?;
        let columns = width as u32;
        let n_parts = n_rows * PARTS as usize * width;
        let mut parts = self.kernels.room::<f32>(n_parts)?;
        let mut out = self.kernels.room::<f32>(n_rows * width)?;
        on_device!(entries: u32 = self.rows.entries, offsets: u32 = self.rows.offsets, values: f32 = self.rows.values => {
            launch!(self.kernels, "input_parts", n_parts; &mut parts, &weight, &entries, &offsets, &columns, &PARTS);
            launch!(self.kernels, "input_sums", n_rows * width; &mut out, &parts, &values, &columns, &PARTS)
        });
        Ok((self.kernels.storage(out), (n_rows, width).into()))
    }

    /// The rows as a dense matrix, transposed, times the gradient: a product of matrices is fast, and always adds in
    /// one order.
    fn bwd(&self, weight: &Tensor, _: &Tensor, gradient: &Tensor) -> Candle<Option<Tensor>> {
        let n_items = weight.dim(0)?;
        let Self { kernels, rows, .. } = self;
        let dense = Dense::<T> { kernels: kernels.clone(), rows: rows.clone(), n_items, of: PhantomData };
        let dense = rows.values.apply_op1_no_bwd(&dense)?;
        dense.t()?.matmul(&gradient.contiguous()?).map(Some)
    }
}

/// Rows as a matrix of shape `(rows, items)`. Applied to the values of the rows.
struct Dense<T> {
    kernels: Kernels,
    rows: Rows,
    n_items: usize,
    of: PhantomData<T>,
}

impl<T: Real + WithDType> CustomOp1 for Dense<T> {
    fn name(&self) -> &'static str {
        "dense rows"
    }

    fn cpu_fwd(&self, values: &CpuStorage, layout: &Layout) -> Candle<(CpuStorage, Shape)> {
        let values = whole::<T>(values, layout)?;
        let mut out = vec![T::ZERO; values.len() * self.n_items];
        on_host!(entries: u32 = self.rows.entries, offsets: u32 = self.rows.offsets => {
            for (row, (out, &value)) in out.chunks_mut(self.n_items).zip(values).enumerate() {
                for &item in &entries[offsets[row] as usize..offsets[row + 1] as usize] {
                    if item != ABSENT {
                        out[item as usize] = value;
                    }
                }
            }
        });
        Ok((T::to_cpu_storage_owned(out), (values.len(), self.n_items).into()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, values: &CudaStorage, layout: &Layout) -> Candle<(CudaStorage, Shape)> {
        let n_rows = self.rows.n_rows;
        let values = super::kernels::whole::<f32>(values, layout)?;
        let n_items = self.n_items as u32;
        let mut out = self.kernels.zeros::<f32>(n_rows * self.n_items)?;
        on_device!(entries: u32 = self.rows.entries, offsets: u32 = self.rows.offsets => {
            launch!(self.kernels, "dense", n_rows * LANES as usize; &mut out, &entries, &offsets, &values, &n_items, &LANES)
        });
        Ok((self.kernels.storage(out), (n_rows, self.n_items).into()))
    }
}

/// The multinomial log-likelihood of each row's items, shape `(rows,)`. Applied to logits, shape `(rows, items)`, which
/// it has the gradient of; the values of the rows are the numbers of their items.
pub(super) struct LogLikelihood<T> {
    pub(super) kernels: Kernels,
    /// Without absent entries.
    pub(super) rows: Rows,
    /// The log of the sum of the exponentials of the logits, shape `(rows,)`.
    pub(super) log_sums: Tensor,
    pub(super) of: PhantomData<T>,
}

impl<T: Real + WithDType> CustomOp1 for LogLikelihood<T> {
    fn name(&self) -> &'static str {
        "log-likelihood"
    }

    fn cpu_fwd(&self, logits: &CpuStorage, layout: &Layout) -> Candle<(CpuStorage, Shape)> {
        let n_items = layout.dims()[1];
        let logits = whole::<T>(logits, layout)?;
        let mut out = Vec::with_capacity(self.rows.n_rows);
        on_host!(entries: u32 = self.rows.entries, offsets: u32 = self.rows.offsets, counts: T = self.rows.values, log_sums: T = self.log_sums => {
            for (row, logits) in logits.chunks(n_items).enumerate() {
                let items = &entries[offsets[row] as usize..offsets[row + 1] as usize];
                let own = items.iter().fold(T::ZERO, |sum, &item| sum + logits[item as usize]);
                out.push(own - counts[row] * log_sums[row]);
            }
        });
        Ok((T::to_cpu_storage_owned(out), self.rows.n_rows.into()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, logits: &CudaStorage, layout: &Layout) -> Candle<(CudaStorage, Shape)> {
        let n_rows = self.rows.n_rows;
        let n_items = layout.dims()[1] as u32;
        let logits = super::kernels::whole::<f32>(logits, layout)?;
        let mut lanes = self.kernels.room::<f32>(n_rows * LANES as usize)?;
        on_device!(entries: u32 = self.rows.entries, offsets: u32 = self.rows.offsets => {
            launch!(self.kernels, "own_logits", n_rows * LANES as usize; &mut lanes, &logits, &entries, &offsets, &n_items, &LANES)
        });
        let mut out = self.kernels.room::<f32>(n_rows)?;
        on_device!(counts: f32 = self.rows.values, log_sums: f32 = self.log_sums => {
            launch!(self.kernels, "log_likelihoods", n_rows; &mut out, &lanes, &counts, &log_sums, &LANES)
        });
        Ok((self.kernels.storage(out), n_rows.into()))
    }

    fn bwd(&self, logits: &Tensor, _: &Tensor, gradient: &Tensor) -> Candle<Option<Tensor>> {
        let Self { kernels, rows, log_sums, .. } = self;
        let slopes = gradient.contiguous()?;
        let (kernels, rows, log_sums) = (kernels.clone(), rows.clone(), log_sums.clone());
        let gradient = LogLikelihoodGradient::<T> { kernels, rows, log_sums, slopes, of: PhantomData };
        logits.apply_op1_no_bwd(&gradient).map(Some)
    }
}

/// The gradient of [`LogLikelihood`], times a slope for each row. Applied to the logits.
struct LogLikelihoodGradient<T> {
    kernels: Kernels,
    rows: Rows,
    log_sums: Tensor,
    slopes: Tensor,
    of: PhantomData<T>,
}

impl<T: Real + WithDType> CustomOp1 for LogLikelihoodGradient<T> {
    fn name(&self) -> &'static str {
        "gradient of the log-likelihood"
    }

    fn cpu_fwd(&self, logits: &CpuStorage, layout: &Layout) -> Candle<(CpuStorage, Shape)> {
        let n_items = layout.dims()[1];
        let mut out = whole::<T>(logits, layout)?.to_vec();
        on_host!(entries: u32 = self.rows.entries, offsets: u32 = self.rows.offsets, counts: T = self.rows.values, log_sums: T = self.log_sums, slopes: T = self.slopes => {
            for (row, out) in out.chunks_mut(n_items).enumerate() {
                let weight = -(slopes[row] * counts[row]);
                out.iter_mut().for_each(|logit| *logit = weight * Real::exp(*logit - log_sums[row]));
                for &item in &entries[offsets[row] as usize..offsets[row + 1] as usize] {
                    out[item as usize] += slopes[row];
                }
            }
        });
        Ok((T::to_cpu_storage_owned(out), layout.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, logits: &CudaStorage, layout: &Layout) -> Candle<(CudaStorage, Shape)> {
        let (n_rows, n_items) = (self.rows.n_rows, layout.dims()[1] as u32);
        let n = layout.shape().elem_count();
        let logits = super::kernels::whole::<f32>(logits, layout)?;
        let mut out = self.kernels.room::<f32>(n)?;
        on_device!(entries: u32 = self.rows.entries, offsets: u32 = self.rows.offsets, counts: f32 = self.rows.values, log_sums: f32 = self.log_sums, slopes: f32 = self.slopes => {
            launch!(self.kernels, "softmax_gradient", n; &mut out, &logits, &log_sums, &slopes, &counts, &n_items);
            launch!(self.kernels, "own_gradient", n_rows * LANES as usize; &mut out, &slopes, &entries, &offsets, &n_items, &LANES)
        });
        Ok((self.kernels.storage(out), layout.shape().clone()))
    }
}

/// One of Adam's three updates, in place. The moments are updated by gradient and value, then the value by the moments.
pub(super) enum Update {
    First { pull: f64, share: f64 },
    Second { pull: f64, keep: f64, share: f64 },
    Value { rate: f64, scale: f64, epsilon: f64 },
}

pub(super) struct Adam<T> {
    pub(super) kernels: Kernels,
    pub(super) update: Update,
    pub(super) of: PhantomData<T>,
}

impl<T: Real + WithDType> Adam<T> {
    /// What becomes of a number, given those in the same place of the other two.
    fn apply(&self) -> impl Fn(&mut T, T, T) {
        let number = |number: f64| -> T { Real::from_f64(number) };
        let (kind, [a, b, c]) = match self.update {
            Update::First { pull, share } => (0, [pull, share, 0.0]),
            Update::Second { pull, keep, share } => (1, [pull, keep, share]),
            Update::Value { rate, scale, epsilon } => (2, [rate, scale, epsilon]),
        };
        let [a, b, c] = [a, b, c].map(number);
        move |out, one, other| match kind {
            0 => *out += (one + a * other - *out) * b,
            1 => {
                let slope = one + a * other;
                *out = *out * b + slope * slope * c;
            }
            _ => *out -= one * a / (Real::sqrt(other) / b + c),
        }
    }
}

impl<T: Real + WithDType> InplaceOp3 for Adam<T> {
    fn name(&self) -> &'static str {
        "adam"
    }

    fn cpu_fwd(
        &self,
        out: &mut CpuStorage,
        layout: &Layout,
        one: &CpuStorage,
        one_layout: &Layout,
        other: &CpuStorage,
        other_layout: &Layout,
    ) -> Candle<()> {
        let (one, other) = (whole::<T>(one, one_layout)?, whole::<T>(other, other_layout)?);
        let Some((from, to)) = layout.contiguous_offsets() else { bail!("moments in another order") };
        // candle gives no slice to be written but by the type.
        let mut numbers = out.as_slice::<T>()?.to_vec();
        let apply = self.apply();
        numbers[from..to].iter_mut().zip(one).zip(other).for_each(|((out, &one), &other)| apply(out, one, other));
        *out = T::to_cpu_storage_owned(numbers);
        Ok(())
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        out: &mut CudaStorage,
        layout: &Layout,
        one: &CudaStorage,
        one_layout: &Layout,
        other: &CudaStorage,
        other_layout: &Layout,
    ) -> Candle<()> {
        let n = layout.shape().elem_count();
        let Some((from, to)) = layout.contiguous_offsets() else { bail!("moments in another order") };
        let (one, other) =
            (super::kernels::whole::<f32>(one, one_layout)?, super::kernels::whole::<f32>(other, other_layout)?);
        let mut out = out.as_cuda_slice_mut::<f32>()?.slice_mut(from..to);
        match self.update {
            Update::First { pull, share } => {
                let [pull, share] = [pull, share].map(|number| number as f32);
                launch!(self.kernels, "adam_first", n; &mut out, &one, &other, &pull, &share);
            }
            Update::Second { pull, keep, share } => {
                let [pull, keep, share] = [pull, keep, share].map(|number| number as f32);
                launch!(self.kernels, "adam_second", n; &mut out, &one, &other, &pull, &keep, &share);
            }
            Update::Value { rate, scale, epsilon } => {
                let [rate, scale, epsilon] = [rate, scale, epsilon].map(|number| number as f32);
                launch!(self.kernels, "adam_value", n; &mut out, &one, &other, &rate, &scale, &epsilon);
            }
        }
        Ok(())
    }
}
