//! The inverse of a symmetric positive definite matrix on a device of candle's, a GPU above all: large products there,
//! small triangles here.
//!
//! The lower half of the matrix lies on the device as panels, one for every [`BLOCK`] columns: panel `k` has those
//! columns and the rows from its own block on, shape `(n - k BLOCK, BLOCK)`. Its rows lie one behind the other, so that
//! every block of rows is a part that products take as it is; no tensor has more than `n BLOCK` numbers, whatever `n^2`
//! is. Two walks, `n^3` floating point operations in all, as few as LAPACK's:
//!
//! 1. The factor, `A = L L'`, panel by panel from the left. The block on the diagonal comes to the host, which gives
//!    back the inverse `V` of its triangle. What is below it becomes `S = A_21 V'`, which every panel to the right
//!    loses its product with.
//! 2. The inverse `P`, from the right. With `L = [V^-1 0; S D]` and the inverse `Q` of `D D'`, which is there already,
//!    `P = [V' V + W' Q W, .; -Q W, Q]` where `W = S V`.
//!
//! Beside the panels, `n^2 / 2` numbers, there are a few more of the size of the largest one: a quarter of what the
//! inverse beside its factor takes. Nothing is made in place, since candle has no sum over a product.
//!
//! Rows with few entries are not eliminated first, as [`invert_positive_definite`](super::invert_positive_definite)
//! does: that is the processor's work, and takes it longer than a GPU takes for all rows.
//!
//! Source of the first walk: LAPACK's `potrf`, the right-looking form. The second is the inverse of a matrix of two by
//! two blocks.

use candle_core::{Device, Tensor};
use faer::MatMut;
use faer::prelude::ReborrowMut;
use ndarray::ArrayViewMut2;
use rayon::prelude::*;

use super::{NoInverse, check, factor, invert_lower, mirror_rows};
use crate::base::matrix::row_major_mut;
use crate::base::steps::Steps;
use crate::base::tensors::{Candle, IntoCore};
use crate::math::costs;

/// Columns of a panel: products are large, and the triangles that the host inverts meanwhile take it milliseconds each.
const BLOCK: usize = 1024;
/// Rows that go to the device or come back at once, so that the host holds no copy of a panel.
const SLAB: usize = 128;

/// Numbers of the panels of a matrix of `n` rows.
pub(crate) fn numbers_of_half(n: f64) -> f64 {
    n * (n + n.min(BLOCK as f64)) / 2.0
}

/// Numbers that [`invert_on`] holds on the device beside the panels, at most: as many as eight of the largest.
pub(crate) fn numbers_beside_half(n: f64) -> f64 {
    8.0 * n * n.min(BLOCK as f64)
}

/// Bytes that [`invert_on`] holds on the host beside a matrix of `n` rows: rows on their way, twice, and a block of the
/// diagonal with its copies.
pub(crate) fn bytes_on_host(n: usize) -> usize {
    size_of::<f32>() * (2 * SLAB.min(n) * n + 4 * n.min(BLOCK).pow(2))
}

/// What [`invert_on`] will have told of in the end.
pub(crate) fn work_on_device(n: usize) -> f64 {
    costs::GPU_OPERATION * (n as f64).powi(3)
}

/// What [`invert_positive_definite`](super::invert_positive_definite) does, by products on a device. `steps` are looked
/// at before each product, and told of each panel.
///
/// # Errors
/// As there, or what the device has said.
pub(crate) fn invert_on(device: &Device, matrix: ArrayViewMut2<'_, f32>, steps: &Steps<'_>) -> Result<(), NoInverse> {
    invert_in_blocks(device, matrix, BLOCK, steps)
}

/// The same with blocks of another size.
fn invert_in_blocks(
    device: &Device,
    matrix: ArrayViewMut2<'_, f32>,
    block: usize,
    steps: &Steps<'_>,
) -> Result<(), NoInverse> {
    let n = matrix.nrows();
    let matrix = row_major_mut(matrix);
    let panels = Panels { device, n, block, steps };
    let mut sent = panels.send(matrix)?;
    let factored = panels.factor(&mut sent)?;
    panels.invert(factored, sent).and_then(|inverse| panels.fetch(inverse, matrix))?;
    mirror_rows(matrix, 0, n);
    match (0..n).find(|&index| !matrix[index * (n + 1)].is_finite()) {
        Some(index) => Err(NoInverse::Pivot(index)),
        None => Ok(()),
    }
}

/// How a matrix is cut.
struct Panels<'a> {
    device: &'a Device,
    n: usize,
    block: usize,
    steps: &'a Steps<'a>,
}

impl Panels<'_> {
    fn count(&self) -> usize {
        self.n.div_ceil(self.block)
    }

    /// The first column of a panel, and its first row; `n` behind the last one.
    fn start(&self, panel: usize) -> usize {
        (panel * self.block).min(self.n)
    }

    /// Columns of a panel.
    fn width(&self, panel: usize) -> usize {
        self.start(panel + 1) - self.start(panel)
    }

    /// Floating point operations of the products of the square below a panel's block with it, halved by its symmetry.
    fn operations(&self, panel: usize) -> f64 {
        (self.n - self.start(panel + 1)).pow(2) as f64 * self.width(panel) as f64
    }

    /// The rows of a part of a panel that begins with block `from`, from block `to` on.
    fn below(&self, part: &Tensor, from: usize, to: usize) -> Candle<Tensor> {
        part.narrow(0, self.start(to) - self.start(from), self.n - self.start(to))
    }

    /// Pieces of a panel's columns: the first one and how many.
    fn slabs(&self, panel: usize) -> impl Iterator<Item = (usize, usize)> {
        let width = self.width(panel);
        (0..width).step_by(SLAB).map(move |first| (first, SLAB.min(width - first)))
    }

    /// The right half of the matrix, whose columns are the rows of the lower half.
    fn send(&self, matrix: &[f32]) -> Result<Vec<Tensor>, NoInverse> {
        let panel = |panel: usize| {
            check(self.steps)?;
            let (start, long) = (self.start(panel), self.n - self.start(panel));
            let slab = |(first, rows): (usize, usize)| {
                let mut numbers = vec![0.0f32; rows * long];
                let from = matrix[(start + first) * self.n..].par_chunks_exact(self.n);
                numbers.par_chunks_exact_mut(long).zip(from).for_each(|(to, row)| to.copy_from_slice(&row[start..]));
                Tensor::from_vec(numbers, (rows, long), self.device)
            };
            let slabs = self.slabs(panel).map(slab).collect::<Candle<Vec<_>>>();
            let panel = slabs.and_then(|slabs| Tensor::cat(&slabs, 0)?.t()?.contiguous());
            panel.core().map_err(NoInverse::Failed)
        };
        (0..self.count()).map(panel).collect()
    }

    /// Of each panel the inverse of the triangle on the diagonal, transposed; in `panels` is left of each what is below
    /// it in the factor.
    fn factor(&self, panels: &mut [Tensor]) -> Result<Vec<Tensor>, NoInverse> {
        let mut inverses = vec![];
        for k in 0..self.count() {
            check(self.steps)?;
            let width = self.width(k);
            // The host takes columns one behind the other, of which the lower half counts.
            let block =
                panels[k].narrow(0, 0, width).and_then(|block| block.t()?.contiguous()?.flatten_all()?.to_vec1());
            let mut block: Vec<f32> = block.core().map_err(NoInverse::Failed)?;
            self.invert_triangle(&mut block, k)?;
            let inverse = Tensor::from_vec(block, (width, width), self.device).core().map_err(NoInverse::Failed)?;
            if k + 1 < self.count() {
                let below = self.below(&panels[k], k, k + 1).and_then(|below| below.matmul(&inverse));
                panels[k] = below.core().map_err(NoInverse::Failed)?;
            }
            for j in k + 1..self.count() {
                check(self.steps)?;
                let less = self.below(&panels[k], k + 1, j).and_then(|rows| {
                    let own = rows.narrow(0, 0, self.width(j))?;
                    &panels[j] - rows.matmul(&own.t()?)?
                });
                panels[j] = less.core().map_err(NoInverse::Failed)?;
            }
            inverses.push(inverse);
            self.steps.did(costs::GPU_OPERATION * self.operations(k));
        }
        Ok(inverses)
    }

    /// The inverse of the factor of a block of columns one behind the other, with zeros above its diagonal.
    fn invert_triangle(&self, block: &mut [f32], panel: usize) -> Result<(), NoInverse> {
        let width = self.width(panel);
        // What it takes is not told: the products are.
        let silent = Steps::silent(self.steps.cancel());
        let mut matrix = MatMut::from_column_major_slice_mut(block, width, width);
        factor(matrix.rb_mut(), &silent).map_err(|error| match error {
            NoInverse::Pivot(index) => NoInverse::Pivot(self.start(panel) + index),
            other => other,
        })?;
        invert_lower(matrix, &silent)?;
        (1..width).for_each(|column| block[column * width..][..column].fill(0.0));
        Ok(())
    }

    /// The panels of the inverse, from the transposed inverses of the triangles and what is below them, which is given
    /// up one by one.
    fn invert(&self, mut inverses: Vec<Tensor>, mut below: Vec<Tensor>) -> Result<Vec<Tensor>, NoInverse> {
        // The last panel comes first here.
        let mut done: Vec<Tensor> = vec![];
        while let (Some(inverse), Some(below)) = (inverses.pop(), below.pop()) {
            check(self.steps)?;
            let k = inverses.len();
            let square = || inverse.matmul(&inverse.t()?);
            let panel = if done.is_empty() {
                square().core().map_err(NoInverse::Failed)?
            } else {
                let weights = below.matmul(&inverse.t().core().map_err(NoInverse::Failed)?);
                let weights = weights.core().map_err(NoInverse::Failed)?;
                drop(below);
                let product = self.symmetric_product(&done, k, &weights)?;
                let panel = || {
                    let own = (square()? + weights.t()?.matmul(&product)?)?;
                    Tensor::cat(&[own, product.neg()?], 0)
                };
                panel().core().map_err(NoInverse::Failed)?
            };
            done.push(panel);
            // So that what is told is done, and a stop is not behind a thousand products.
            self.device.synchronize().core().map_err(NoInverse::Failed)?;
            self.steps.did(costs::GPU_OPERATION * 2.0 * self.operations(k));
        }
        done.reverse();
        Ok(done)
    }

    /// The inverse behind block `k`, the last panel first, times columns of as many rows. A panel gives its own rows'
    /// part to all rows from its block on, and as what it is in the other half the part of the rows below it to its
    /// block.
    fn symmetric_product(&self, panels: &[Tensor], k: usize, columns: &Tensor) -> Result<Tensor, NoInverse> {
        let mut blocks = vec![];
        // What the panels so far give to the rows from here on.
        let mut sums: Option<Tensor> = None;
        for (j, panel) in (k + 1..).zip(panels.iter().rev()) {
            check(self.steps)?;
            let is_last = j + 1 == self.count();
            let more = || -> Candle<_> {
                let own = self.below(columns, k + 1, j)?.narrow(0, 0, self.width(j))?;
                let product = panel.matmul(&own)?;
                let sums = match &sums {
                    Some(sums) => (sums + product)?,
                    None => product,
                };
                let block = sums.narrow(0, 0, self.width(j))?;
                if is_last {
                    return Ok((block, None));
                }
                let across = self.below(panel, j, j + 1)?.t()?.matmul(&self.below(columns, k + 1, j + 1)?)?;
                Ok(((block + across)?, Some(self.below(&sums, j, j + 1)?)))
            };
            let (block, rest) = more().core().map_err(NoInverse::Failed)?;
            blocks.push(block);
            sums = rest;
        }
        Tensor::cat(&blocks, 0).core().map_err(NoInverse::Failed)
    }

    /// Writes panels over the right half of the matrix.
    fn fetch(&self, panels: Vec<Tensor>, matrix: &mut [f32]) -> Result<(), NoInverse> {
        for (k, panel) in panels.into_iter().enumerate() {
            let start = self.start(k);
            for (first, rows) in self.slabs(k) {
                check(self.steps)?;
                let slab =
                    panel.narrow(1, first, rows).and_then(|slab| slab.t()?.contiguous()?.flatten_all()?.to_vec1());
                let slab: Vec<f32> = slab.core().map_err(NoInverse::Failed)?;
                let rows = matrix[(start + first) * self.n..].par_chunks_exact_mut(self.n);
                rows.zip(slab.par_chunks_exact(self.n - start))
                    .for_each(|(row, from)| row[start..].copy_from_slice(from));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::cancel::Cancel;
    use crate::base::matrix::view2_mut;
    use crate::base::numbers::Numbers;
    use crate::base::tensors::open;
    use crate::math::linalg::invert_positive_definite;

    /// A matrix of a condition number below 64.
    fn entry(i: usize, j: usize) -> f64 {
        if i == j { 4.0 } else { 1.0 / (1 + i.abs_diff(j)).pow(2) as f64 }
    }

    /// Its right half, with numbers left of it that nobody is to read.
    fn right_half<T: bytemuck::Pod + Send + Sync>(n: usize, number: impl Fn(f64) -> T + Sync) -> Numbers<T> {
        let mut matrix = Numbers::zeros(n * n);
        matrix.par_chunks_exact_mut(n).enumerate().for_each(|(i, row)| {
            row.iter_mut().enumerate().for_each(|(j, to)| *to = number(if j < i { f64::NAN } else { entry(i, j) }));
        });
        matrix
    }

    fn invert(device: &Device, n: usize, block: usize) -> Numbers<f32> {
        let mut matrix = right_half(n, |number| number as f32);
        let never = Cancel::default();
        invert_in_blocks(device, matrix.view2_mut((n, n)), block, &Steps::silent(&never)).unwrap();
        matrix
    }

    /// The first GPU, if one opens.
    fn gpu() -> Option<Device> {
        crate::test_support::gpu().map(|gpu| open(gpu).unwrap())
    }

    /// The processor's device of candle always, and a GPU where one opens.
    #[test]
    fn a_gpu_inverts_as_the_processor() {
        let gpu = gpu();
        for (n, block) in [
            // Blocks of one row and all in one block; a last block of one row, of all but one, of as many; several
            // slabs.
            (1, 16),
            (2, 1),
            (5, 1),
            (15, 16),
            (16, 16),
            (17, 16),
            (47, 16),
            (48, 16),
            (301, 100),
            (500, BLOCK),
            (700, 300),
            (1301, BLOCK),
        ] {
            let mut exact = right_half(n, |number| number);
            invert_positive_definite(exact.view2_mut((n, n)), &Steps::silent(&Cancel::default())).unwrap();
            for device in [Some(Device::Cpu), gpu.clone()].into_iter().flatten() {
                let rounded = invert(&device, n, block);
                let error = rounded.iter().zip(&exact[..]).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
                // As of the processor's own in f32: entries are below 1, and the condition number is below 64.
                assert!(error < 64.0 * f64::from(f32::EPSILON), "{n} in blocks of {block}: {error}");
                assert!((0..n * n).all(|at| rounded[at] == rounded[at % n * n + at / n]), "{n} in blocks of {block}");
            }
        }
    }

    /// Of a large matrix the product of its inverse with a vector is multiplied by it again. 46,400 rows are more than
    /// a 32-bit index has places for entries; they are for a GPU alone.
    #[test]
    fn a_gpu_inverts_matrices_of_many_panels() {
        let gpu = gpu();
        let on_gpu = gpu.iter().flat_map(|gpu| [5_000, 46_400].map(|n| (gpu.clone(), n)));
        for (device, n) in on_gpu.chain([(Device::Cpu, 2_500)]) {
            let inverse = invert(&device, n, BLOCK);
            let x: Vec<f64> = (0..n).map(|i| ((i * 37) % 101) as f64 / 101.0).collect();
            let solved: Vec<f64> = inverse
                .par_chunks_exact(n)
                .map(|row| row.iter().zip(&x).map(|(&a, b)| f64::from(a) * b).sum())
                .collect();
            let worst = (0..n).into_par_iter().map(|i| {
                let back: f64 = solved.iter().enumerate().map(|(j, solved)| entry(i, j) * solved).sum();
                (back - x[i]).abs()
            });
            let worst = worst.reduce(|| 0.0, f64::max);
            assert!(worst < 1e-4, "{n}: {worst}");
        }
    }

    #[test]
    fn an_indefinite_matrix_names_its_pivot() {
        let never = Cancel::default();
        for pivot in [0, 15, 16, 37, 49] {
            let n = 50;
            let mut matrix = vec![0.0f32; n * n];
            (0..n).for_each(|index| matrix[index * (n + 1)] = if index == pivot { -1.0 } else { 1.0 });
            let steps = Steps::silent(&never);
            let inverted = invert_in_blocks(&Device::Cpu, view2_mut(&mut matrix, (n, n)), 16, &steps);
            assert!(matches!(inverted, Err(NoInverse::Pivot(found)) if found == pivot), "{pivot}: {inverted:?}");
        }
        let mut matrix = vec![f32::NAN; 4];
        assert!(invert_on(&Device::Cpu, view2_mut(&mut matrix, (2, 2)), &Steps::silent(&never)).is_err());
    }

    #[test]
    fn it_is_stopped_between_products_and_tells_how_far_it_is() {
        use crate::base::error::Error;
        use std::sync::Mutex;
        let n = 100;
        for looks in [1, 2, 6, 12, 20, 40] {
            let cancel = Cancel::at_look(looks);
            let mut matrix = right_half(n, |number| number as f32);
            let stopped = invert_in_blocks(&Device::Cpu, matrix.view2_mut((n, n)), 16, &Steps::silent(&cancel));
            assert!(matches!(stopped, Err(NoInverse::Failed(Error::Cancelled))), "{looks}: {stopped:?}");
        }
        let seen = Mutex::new(vec![]);
        let tell = |progress: &crate::base::progress::Progress| seen.lock().unwrap().push(progress.fraction.unwrap());
        let never = Cancel::default();
        let mut matrix = right_half(n, |number| number as f32);
        let steps = Steps::told(&tell, &never, None, work_on_device(n));
        invert_in_blocks(&Device::Cpu, matrix.view2_mut((n, n)), 16, &steps).unwrap();
        let seen = seen.into_inner().unwrap();
        // Blocks on the diagonal are not told of.
        assert!(seen.len() > 8 && seen.is_sorted() && seen[seen.len() - 1] > 0.7, "{seen:?}");
    }
}
