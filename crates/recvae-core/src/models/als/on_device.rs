//! One side of iALS on a device of candle's, a GPU above all: the equations of [`solve`](super::solve), many rows at a
//! time, by batched products.
//!
//! Rows whose lists are about as long make a batch of `b` rows: the vectors of their lists are gathered to `V`, shape
//! `(b, n, d)`, where a list that is shorter than the longest, `n`, is filled up with a vector of zeros of confidence
//! 0. All rows take the same steps of conjugate gradients, preconditioned by the diagonal `D`, each with its own
//! lengths of steps: a step is `V p` and `V' (C V p)`, two batched products, and what is elementwise. Lists that the
//! processor solves exactly take as many steps as solve them here: `D^-1 (D + V' C V)` is the identity and a matrix of
//! rank `min(n, d)`, so one step more than that would do without rounding, and twice as many do with it where
//! confidences differ by orders of magnitude.
//!
//! The fixed rows are sent once a side, `(m + 1) d` numbers; rows come and go batch by batch. The turn to principal
//! axes is the processor's. The loss of a row is a further product with its list while that is there.

use candle_core::{D, DType, Device, Tensor};
use ndarray::{Array2, ArrayViewMut2};

use super::solve::{Fixed, Lists, Weights, is_solved_exactly};
use crate::base::cancel::Cancel;
use crate::base::error::Result;
use crate::base::matrix::{row_major, row_major_mut};
use crate::base::tensors::{Candle, IntoCore};

/// Numbers of the gathered vectors of a batch, unless one list alone has more.
const GATHERED: usize = 1 << 24;
/// The most rows of a batch.
const ROWS: usize = 1 << 12;

/// Where a side is solved, if that is not the processor.
pub(super) struct OnDevice {
    device: Device,
    /// Numbers of gathered vectors.
    gathered: usize,
    /// Steps of conjugate gradients of a list that is not solved exactly.
    steps: usize,
    cancel: Cancel,
}

/// Numbers that a side takes on a device at most, with so many fixed rows of `d` numbers and so long a list: the fixed
/// rows, as they come, too, and of a batch its vectors and what is elementwise.
pub(super) fn numbers_on_device(fixed: f64, longest: f64, d: f64) -> f64 {
    let gathered = (GATHERED as f64).max(longest * d);
    2.0 * (fixed + 1.0) * d + gathered + 8.0 * gathered / d + 12.0 * ROWS as f64 * d
}

/// Whether all places of the tensors are told apart by 32 bits, as a GPU counts them.
pub(super) fn fits_in_32_bits(fixed: usize, longest: usize, d: usize) -> bool {
    let most = fixed.saturating_add(1).max(longest).saturating_mul(d);
    u32::try_from(most).is_ok()
}

/// A batch on the device.
struct Batch {
    /// `V`, shape `(b, n, d)`.
    listed: Tensor,
    /// `C`, shape `(b, n, 1)`: 0 where a list is filled up.
    confidences: Tensor,
    /// What the right side has beside, shape `(b, n, 1)`, likewise.
    beside: Tensor,
    /// `D`, shape `(b, d)`.
    shared: Tensor,
}

impl OnDevice {
    pub(super) fn new(device: Device, steps: usize, cancel: Cancel) -> Self {
        Self { device, gathered: GATHERED, steps, cancel }
    }

    /// What [`Fixed::improve`] does, and the loss of the rows, as [`Fixed::loss`] has it.
    pub(super) fn improve(
        &self,
        fixed: &Fixed<f32>,
        weights: Weights,
        lists: Lists<'_>,
        axes: Option<&Array2<f32>>,
        solved: ArrayViewMut2<'_, f32>,
    ) -> Result<f64> {
        let d = solved.ncols();
        let solved = row_major_mut(solved);
        let length = |row: usize| lists.row(row).items.len();
        let mut rows: Vec<usize> = (0..solved.len() / d).collect();
        rows.sort_by_key(|&row| length(row));
        let first = rows.partition_point(|&row| length(row) == 0);
        rows[..first].iter().for_each(|&row| solved[row * d..(row + 1) * d].fill(0.0));
        let side = Side::send(&self.device, fixed, axes).core()?;
        let mut loss = 0.0;
        let mut rest = &rows[first..];
        while let Some(&shortest) = rest.first() {
            self.cancel.check()?;
            // Not with lists half as long, which would mostly be zeros, nor with those that take other steps.
            let (most, is_exact) = (2 * length(shortest).max(4), |n| is_solved_exactly(n, d, self.steps));
            let fits = |count: usize| {
                let n = length(rest[count - 1]);
                n <= most && is_exact(n) == is_exact(length(shortest)) && count * n * d <= self.gathered
            };
            let (mut count, mut above) = (1, rest.len().min(ROWS) + 1);
            while above - count > 1 {
                let middle = usize::midpoint(count, above);
                *(if fits(middle) { &mut count } else { &mut above }) = middle;
            }
            let (batch, others) = rest.split_at(count);
            rest = others;
            let longest = length(batch[count - 1]);
            let enough = (longest.min(d) + 1) * if lists.confidences.is_some() { 2 } else { 1 };
            let steps = if is_exact(longest) { enough } else { self.steps };
            let before: Vec<f32> = batch.iter().flat_map(|&row| &solved[row * d..(row + 1) * d]).copied().collect();
            let (after, losses) = side.solve(weights, lists, batch, longest, steps, before).core()?;
            for (&row, after) in batch.iter().zip(after.chunks_exact(d)) {
                solved[row * d..(row + 1) * d].copy_from_slice(after);
            }
            loss += losses.iter().map(|&loss| f64::from(loss)).sum::<f64>();
        }
        Ok(loss)
    }
}

/// The fixed rows on the device.
struct Side<'a> {
    device: &'a Device,
    d: usize,
    n_rows: usize,
    /// With a row of zeros behind them.
    rows: Tensor,
    /// Shape `(1, d)`.
    spectrum: Tensor,
    axes: Option<Tensor>,
}

impl<'a> Side<'a> {
    fn send(device: &'a Device, fixed: &Fixed<f32>, axes: Option<&Array2<f32>>) -> Candle<Self> {
        let (n_rows, d) = fixed.rows().dim();
        let rows = Tensor::from_slice(row_major(fixed.rows()), (n_rows, d), device)?;
        let zeros = Tensor::zeros((1, d), DType::F32, device)?;
        let axes = axes.map(|axes| Tensor::from_slice(row_major(axes.view()), (d, d), device)).transpose()?;
        Ok(Self {
            device,
            d,
            n_rows,
            rows: Tensor::cat(&[rows, zeros], 0)?,
            spectrum: Tensor::from_slice(fixed.spectrum(), (1, d), device)?,
            axes,
        })
    }

    fn batch(&self, weights: Weights, lists: Lists<'_>, of: &[usize], longest: usize) -> Candle<Batch> {
        let Self { device, d, n_rows, .. } = *self;
        let (b, n) = (of.len(), longest);
        let mut items = vec![n_rows as u32; b * n];
        let (mut confidences, mut beside) = (vec![0.0f32; b * n], vec![0.0f32; b * n]);
        let mut ridges = Vec::with_capacity(b);
        for (at, &row) in of.iter().enumerate() {
            let list = lists.row(row);
            let here = at * n..at * n + list.items.len();
            items[here.clone()].copy_from_slice(list.items);
            match list.confidences {
                Some(own) => confidences[here.clone()].copy_from_slice(own),
                None => confidences[here.clone()].fill(1.0),
            }
            beside[here].fill(weights.beside as f32);
            ridges.push(weights.ridge(list.sum(), n_rows) as f32);
        }
        let items = Tensor::from_vec(items, b * n, device)?;
        let ridges = Tensor::from_vec(ridges, (b, 1), device)?;
        Ok(Batch {
            listed: self.rows.index_select(&items, 0)?.reshape((b, n, d))?,
            confidences: Tensor::from_vec(confidences, (b, n, 1), device)?,
            beside: Tensor::from_vec(beside, (b, n, 1), device)?,
            shared: (&self.spectrum * weights.alpha0)?.broadcast_add(&ridges)?,
        })
    }

    /// The rows of a batch after so many steps from where they stood, and the loss of each.
    fn solve(
        &self,
        weights: Weights,
        lists: Lists<'_>,
        of: &[usize],
        longest: usize,
        steps: usize,
        before: Vec<f32>,
    ) -> Candle<(Vec<f32>, Vec<f32>)> {
        let batch = self.batch(weights, lists, of, longest)?;
        let before = Tensor::from_vec(before, (of.len(), self.d), self.device)?;
        let mut x = match &self.axes {
            Some(axes) => before.matmul(axes)?,
            None => before,
        };
        // c (1 - q x) + beside of each of the list.
        let right = ((&batch.confidences * (1.0 - batch.scores(&x)?)?)? + &batch.beside)?;
        let mut residual = (batch.sums(&right)? - (&batch.shared * &x)?)?;
        let mut direction = (&residual / &batch.shared)?;
        let mut square = batch.square(&residual)?;
        for step in 1..=steps {
            let product =
                ((&batch.shared * &direction)? + batch.sums(&(&batch.confidences * batch.scores(&direction)?)?)?)?;
            let curvature = (&direction * &product)?.sum_keepdim(D::Minus1)?;
            // A row that is solved has nowhere to go.
            let length = quotient(&square, &curvature)?;
            x = (x + direction.broadcast_mul(&length)?)?;
            if step == steps {
                break;
            }
            residual = (residual - product.broadcast_mul(&length)?)?;
            let next = batch.square(&residual)?;
            direction = ((&residual / &batch.shared)? + direction.broadcast_mul(&quotient(&next, &square)?)?)?;
            square = next;
        }
        let losses = batch.losses(&x)?.to_vec1()?;
        Ok((x.flatten_all()?.to_vec1()?, losses))
    }
}

impl Batch {
    /// `V x`, shape `(b, n, 1)`.
    fn scores(&self, x: &Tensor) -> Candle<Tensor> {
        self.listed.matmul(&x.unsqueeze(2)?)
    }

    /// `V' w`, shape `(b, d)`.
    fn sums(&self, w: &Tensor) -> Candle<Tensor> {
        self.listed.transpose(1, 2)?.matmul(w)?.squeeze(2)
    }

    /// `x' D^-1 x` of each row, shape `(b, 1)`.
    fn square(&self, x: &Tensor) -> Candle<Tensor> {
        (x.sqr()? / &self.shared)?.sum_keepdim(D::Minus1)
    }

    /// The sum of `c (s - 1)^2 + beside ((s - 1)^2 - s^2)` over each list, and `x' D x`.
    fn losses(&self, x: &Tensor) -> Candle<Tensor> {
        let scores = self.scores(x)?;
        let seen = (&self.confidences * (&scores - 1.0)?.sqr()?)?;
        let beside = (&self.beside * (1.0 - (scores * 2.0)?)?)?;
        let of_list = (seen + beside)?.sum((1, 2))?;
        of_list + (x.sqr()? * &self.shared)?.sum(1)?
    }
}

/// `a / b` of numbers that are not negative, 0 where `b` is 0 and so `a` is, too.
fn quotient(a: &Tensor, b: &Tensor) -> Candle<Tensor> {
    a / b.maximum(&Tensor::full(f32::MIN_POSITIVE, b.shape(), b.device())?)?
}

#[cfg(test)]
mod tests;
