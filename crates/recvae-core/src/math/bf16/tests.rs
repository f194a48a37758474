use super::*;
use crate::base::random::Stream;

/// Numbers near 1, rounded, and some zeros.
fn random_numbers(random: &mut Stream, n: usize) -> Vec<f32> {
    let number = |random: &mut Stream| if random.below(9) == 0 { 0.0 } else { random.normal() as f32 };
    (0..n).map(|_| number(random)).collect()
}

fn rounded(x: f32) -> f64 {
    f32::from_bits(u32::from(x.to_bf16()) << 16).into()
}

/// Both sides of a product in every form that there is.
struct Product {
    n_rows: usize,
    depth: usize,
    n_cols: usize,
    left: Vec<f32>,
    right: Vec<f32>,
}

impl Product {
    fn new(random: &mut Stream, [n_rows, depth, n_cols]: [usize; 3]) -> Self {
        let (left, right) = (random_numbers(random, n_rows * depth), random_numbers(random, depth * n_cols));
        Self { n_rows, depth, n_cols, left, right }
    }

    /// The transpose of a matrix.
    fn transposed(values: &[f32], n_cols: usize) -> Vec<f32> {
        (0..n_cols).flat_map(|column| values.iter().skip(column).step_by(n_cols).copied()).collect()
    }

    /// As rows in the order of each level, and as columns, from number 3 on, of a matrix that has more.
    fn left_forms(&self) -> [(Vec<Line>, Option<Rows>); 3] {
        let [steps, tiles] = [Level::Plain, Level::Amx].map(|level| {
            let rows = Rows::of(level, self.depth);
            let mut lines = vec![Line([7; LANES]); rows.lines(self.n_rows)];
            rows.round(&self.left, self.depth, &mut lines);
            (lines, Some(rows))
        });
        let transposed = Self::transposed(&self.left, self.depth);
        let wide: Vec<f32> = transposed.chunks(self.n_rows).flat_map(|row| [&[1.0; 3], row].concat()).collect();
        let n_pairs = pairs(self.depth) * (self.n_rows + 3);
        let mut columns = vec![Line([7; LANES]); n_pairs.div_ceil(LANES)];
        interleave_rows(&wide, self.n_rows + 3, &mut bytemuck::cast_slice_mut(&mut columns)[..n_pairs]);
        [steps, tiles, (columns, None)]
    }

    fn left<'a>(&self, (all, rows): &'a (Vec<Line>, Option<Rows>)) -> Left<'a> {
        match rows {
            Some(rows) => rows.left(all, self.n_rows),
            None => {
                let all = &bytemuck::cast_slice(all)[..pairs(self.depth) * (self.n_rows + 3)];
                Left::columns(all, self.n_rows + 3, 3..3 + self.n_rows)
            }
        }
    }

    /// Panels from the rows of the right side and from those of its transpose: the same.
    fn panels(&self) -> Vec<Line> {
        let mut panels = [(); 2].map(|()| vec![Line([9; LANES]); panels_len(self.depth, self.n_cols)]);
        columns_into_panels(&self.right, self.n_cols, &mut panels[0]);
        rows_into_panels(&Self::transposed(&self.right, self.n_cols), self.depth, &mut panels[1]);
        assert!(panels[0].iter().zip(&panels[1]).all(|(a, b)| a.0 == b.0), "{} x {}", self.depth, self.n_cols);
        let [panels, _] = panels;
        panels
    }

    /// Each sum of the rounded numbers, exact, and the sum of the products' magnitudes.
    fn exact(&self) -> impl Iterator<Item = [f64; 2]> {
        (0..self.n_rows * self.n_cols).map(|at| {
            let (row, column) = (at / self.n_cols, at % self.n_cols);
            let products = (0..self.depth)
                .map(|k| rounded(self.left[row * self.depth + k]) * rounded(self.right[k * self.n_cols + column]));
            products.fold([0.0, 0.0], |[sum, size], product| [sum + product, size + product.abs()])
        })
    }
}

/// Around the edges of tiles (12 rows and 1 or 2 vectors of 16 columns; 16 rows, pairs and columns, two by two), of
/// panels, pairs, blocks of rows and stretches of the depth.
#[test]
fn every_level_gives_the_products_of_the_rounded_numbers() {
    let mut random = Stream::new(5, 0);
    let levels: Vec<_> = levels().collect();
    for n_rows in [1, 2, 5, 6, 7, 12, 13, 15, 16, 17, 31, 32, 33, 48, 127, 128, 129, 145] {
        for n_cols in [1, 15, 16, 17, 31, 33, 48, 63, 64, 65, 80, 97, 129, 200] {
            for depth in [1, 2, 3, 31, 32, 33, 200, 2 * DEPTH - 1, 2 * DEPTH, 2 * DEPTH + 3] {
                if depth > 200 && n_cols > 65 || n_rows > 33 && depth * n_cols > 13_000 {
                    continue;
                }
                let product = Product::new(&mut random, [n_rows, depth, n_cols]);
                let (panels, row) = (product.panels(), random_numbers(&mut random, n_cols));
                let right = Right::new(&panels, depth, n_cols);
                for form in &product.left_forms() {
                    for &level in &levels {
                        let mut out = vec![f32::NAN; n_rows * n_cols];
                        let sizes = |level: Level, start, out: &mut [f32]| {
                            multiply_by(level, product.left(form), right, start, out);
                        };
                        sizes(level, Start::Zero, &mut out);
                        let first = out.clone();
                        sizes(level, Start::Row(&row), &mut out);
                        let mut twice = first.clone();
                        sizes(level, Start::Out, &mut twice);
                        // In rows with room behind them: the same bits.
                        let step = n_cols.next_multiple_of(LANES);
                        let mut wide = vec![f32::NAN; n_rows * step];
                        for (start, expected) in
                            [(Start::Row(&row[..]), &out), (Start::Zero, &first), (Start::Out, &twice)]
                        {
                            multiply_rows_by(level, product.left(form), right, start, &mut wide, step, &panels);
                            let found = wide.chunks(step).flat_map(|row| &row[..n_cols]);
                            assert!(found.eq(expected), "{level:?}: {n_rows} x {depth} x {n_cols} in rows of {step}");
                        }
                        for (at, [sum, size]) in product.exact().enumerate() {
                            // Each of the sums is rounded at most `depth` times, by half a unit of no more than the
                            // size; the instruction may round once more in a pair.
                            let tolerance = |size: f64| f64::from(f32::EPSILON) * (depth + 2) as f64 * size + 1e-30;
                            let start = f64::from(row[at % n_cols]);
                            let what = || format!("{level:?}: {n_rows} x {depth} x {n_cols} at {at}");
                            assert!((f64::from(first[at]) - sum).abs() <= tolerance(size), "{}", what());
                            let bar = tolerance(size + start.abs());
                            assert!((f64::from(out[at]) - sum - start).abs() <= bar, "{}", what());
                            assert!((f64::from(twice[at]) - 2.0 * sum).abs() <= tolerance(3.0 * size), "{}", what());
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn sums_in_double_precision_are_those_of_the_rounded_numbers() {
    let product = Product::new(&mut Stream::new(6, 0), [5, 43, 19]);
    let (panels, forms) = (product.panels(), product.left_forms());
    let mut out = vec![f64::NAN; 5 * 19];
    multiply_by(level(), product.left(&forms[0]), Right::new(&panels, 43, 19), Start::Zero, &mut out);
    assert!(out.iter().zip(product.exact()).all(|(found, [sum, size])| (found - sum).abs() <= 1e-14 * size));
}

/// What is not a number comes out as that, and infinities as they are: a fit must see them.
#[test]
fn what_is_not_finite_stays_so() {
    for level in levels() {
        for (x, is_nan) in [(f32::NAN, true), (f32::INFINITY, false), (f32::NEG_INFINITY, false)] {
            let rows = Rows::of(level, 3);
            let mut left = vec![Line::default(); rows.lines(3)];
            rows.round(&[1.0f32, 2.0, 3.0, 1.0, x, 1.0, 0.5, 0.5, 0.5], 3, &mut left);
            let mut panels = vec![Line::default(); panels_len(3, 17)];
            columns_into_panels(&[1.0f32; 3 * 17], 17, &mut panels);
            let mut out = [0f32; 3 * 17];
            multiply_by(level, rows.left(&left, 3), Right::new(&panels, 3, 17), Start::Zero, &mut out);
            let expected = |out: &f32| if is_nan { out.is_nan() } else { *out == x };
            assert!(out[17..34].iter().all(expected) && out[..17] == [6.0; 17] && out[34..] == [1.5; 17]);
        }
    }
}

#[test]
fn panels_are_as_equal_as_can_be() {
    for n_cols in 1..700 {
        let all: Vec<_> = panels(n_cols).collect();
        assert!(all.iter().all(|columns| (1..=VECTORS).contains(&(columns.len() / LANES))), "{n_cols}");
        assert_eq!(
            all.iter().flat_map(Clone::clone).collect::<Vec<_>>(),
            (0..n_cols.next_multiple_of(LANES)).collect::<Vec<_>>()
        );
        let sizes = || all.iter().map(ExactSizeIterator::len);
        assert!(sizes().max().unwrap() - sizes().min().unwrap() <= LANES);
        assert!(all.last().unwrap().start < n_cols);
    }
}
