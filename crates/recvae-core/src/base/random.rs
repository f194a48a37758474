//! Random numbers that depend on a seed and a position, never on threads or on who asked first.
//!
//! Philox4x32-10 maps a key of 64 bits and a counter of 128 bits to 128 random bits. The key is the seed; the upper
//! half of the counter is a stream (what the numbers are for), the lower half the position within it. So any thread can
//! compute any part of the noise of a run, and gets the same bits. Not for cryptography.
//!
//! Source: J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, Parallel Random Numbers: As Easy as 1, 2, 3, SC 2011;
//! tested with the known answers of their library, Random123.

/// The generator as a pure function of (seed, stream, counter).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Philox {
    seed: u64,
    stream: u64,
}

impl Philox {
    /// The numbers of one seed and one stream. Different pairs give unrelated numbers.
    #[must_use]
    pub fn new(seed: u64, stream: u64) -> Self {
        Self { seed, stream }
    }

    /// The four numbers at a position.
    #[inline(always)]
    #[must_use]
    pub fn block(&self, counter: u64) -> [u32; 4] {
        philox4x32_10(
            [low(counter), high(counter), low(self.stream), high(self.stream)],
            [low(self.seed), high(self.seed)],
        )
    }

    /// The two uniform numbers in [0, 1) at a position, with 53 random bits each.
    #[inline(always)]
    #[must_use]
    pub fn uniforms(&self, counter: u64) -> [f64; 2] {
        let [a, b, c, d] = self.block(counter);
        [unit(join(a, b)), unit(join(c, d))]
    }

    /// The two independent standard normal numbers at a position, by additions, multiplications, divisions and square
    /// roots alone: the same bits on every platform, and eight positions at a time where a loop goes over them.
    ///
    /// Source: G. E. P. Box, M. E. Muller, A Note on the Generation of Random Normal Deviates, 1958.
    #[inline(always)]
    #[must_use]
    pub fn normals(&self, counter: u64) -> [f64; 2] {
        let [a, b] = self.uniforms(counter);
        // 1 - a lies in (0, 1], so the logarithm is finite.
        let radius = (-2.0 * ln(1.0 - a)).sqrt();
        let [sine, cosine] = sine_and_cosine(b);
        [radius * cosine, radius * sine]
    }
}

/// The natural logarithm of a normal number above 0: x = 2^n m with m from sqrt(1/2) to sqrt(2), and of that by ln m =
/// 2 artanh s with s = (m - 1) / (m + 1), whose series has terms s^(2k + 1) / (2k + 1). With |s| < 0.172 those from
/// s^25 on are below a unit of the last place.
#[inline(always)]
fn ln(x: f64) -> f64 {
    const LN_2_HIGH: f64 = 0.693_147_180_369_123_8;
    const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    let bits = x.to_bits();
    let m = f64::from_bits(bits & ((1 << 52) - 1) | 1023 << 52);
    let is_large = m > std::f64::consts::SQRT_2;
    let m = if is_large { 0.5 * m } else { m };
    // As a whole number in the low bits of 2^52 + 1023 + n: a conversion that all processors have vector instructions
    // for.
    let n =
        f64::from_bits(bits >> 52 | 1075 << 52) - (4_503_599_627_370_496.0 + 1023.0) + if is_large { 1.0 } else { 0.0 };
    let s = (m - 1.0) / (m + 1.0);
    let square = s * s;
    let mut series = 1.0 / 23.0;
    for odd in [21.0, 19.0, 17.0, 15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0f64] {
        series = series * square + 1.0 / odd;
    }
    n * LN_2_HIGH + (2.0 * s + (2.0 * s * (square * series) + n * LN_2_LOW))
}

/// Sine and cosine of a part of a whole turn, from 0 to below 1, by their series on an eighth of a turn to either side
/// of the nearest quarter. The terms from the 19th and 18th power on are below a unit of the last place.
#[inline(always)]
fn sine_and_cosine(turn: f64) -> [f64; 2] {
    /// What rounds to a whole number, whose lowest bits are then those of the sum.
    const ROUND: f64 = 6_755_399_441_055_744.0; // 1.5 * 2^52
    let shifted = 4.0 * turn + ROUND;
    let quarter = shifted.to_bits();
    // Exact: both are multiples of 2^-53 below 1.
    let x = (turn - (shifted - ROUND) * 0.25) * std::f64::consts::TAU;
    let square = x * x;
    let (mut sine, mut cosine) = (1.0, 1.0);
    for n in [8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0f64] {
        sine = 1.0 - sine * square * (1.0 / (2.0 * n * (2.0 * n + 1.0)));
        cosine = 1.0 - cosine * square * (1.0 / (2.0 * n * (2.0 * n - 1.0)));
    }
    let sine = sine * x;
    let (a, b) = if quarter & 1 == 0 { (sine, cosine) } else { (cosine, sine) };
    // Of the four quarters the sine is negative in the last two, and the cosine in the middle ones.
    let sign = |is_negative: u64| is_negative << 63;
    let [a_sign, b_sign] = [sign(quarter >> 1 & 1), sign((quarter >> 1 ^ quarter) & 1)];
    [f64::from_bits(a.to_bits() ^ a_sign), f64::from_bits(b.to_bits() ^ b_sign)]
}

/// The numbers of a [`Philox`] one after the other.
#[derive(Clone, Debug)]
pub struct Stream {
    philox: Philox,
    counter: u64,
    block: [u32; 4],
    /// How many numbers of `block` are used up.
    used: usize,
    /// The second number of the last normal pair, until it is asked for.
    normal: Option<f64>,
}

impl Stream {
    /// Starts at position 0 of the stream.
    #[must_use]
    pub fn new(seed: u64, stream: u64) -> Self {
        Self { philox: Philox::new(seed, stream), counter: 0, block: [0; 4], used: 4, normal: None }
    }

    /// 32 random bits.
    pub fn next_u32(&mut self) -> u32 {
        if self.used == 4 {
            self.block = self.philox.block(self.counter);
            self.counter = self.counter.wrapping_add(1);
            self.used = 0;
        }
        self.used += 1;
        self.block[self.used - 1]
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        join(self.next_u32(), self.next_u32())
    }

    /// A whole number from 0 to below `n`, each equally likely.
    ///
    /// Source: D. Lemire, Fast Random Integer Generation in an Interval, 2019, arXiv 1805.10941.
    ///
    /// # Panics
    /// If `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        assert!(n > 0, "there is no whole number from 0 to below 0");
        let mut product = u128::from(self.next_u64()) * u128::from(n);
        if (product as u64) < n {
            // The first 2^64 mod n values of each interval would make some results more likely than others.
            let biased = n.wrapping_neg() % n;
            while (product as u64) < biased {
                product = u128::from(self.next_u64()) * u128::from(n);
            }
        }
        (product >> 64) as u64
    }

    /// A uniform number in [0, 1) with 53 random bits.
    pub fn uniform(&mut self) -> f64 {
        unit(self.next_u64())
    }

    /// A standard normal number. The pairs are those of [`Philox::normals`] at the next whole positions.
    pub fn normal(&mut self) -> f64 {
        if let Some(second) = self.normal.take() {
            return second;
        }
        let [first, second] = self.philox.normals(self.counter);
        self.counter = self.counter.wrapping_add(1);
        self.normal = Some(second);
        first
    }

    /// Puts the values into a random order, each order equally likely (Fisher and Yates).
    pub fn shuffle<T>(&mut self, values: &mut [T]) {
        for last in (1..values.len()).rev() {
            values.swap(last, self.below(last as u64 + 1) as usize);
        }
    }

    /// `k` different whole numbers from 0 to below `n`, in random order; all `n` of them if `k` is larger.
    pub fn sample(&mut self, n: usize, k: usize) -> Vec<usize> {
        let mut values: Vec<usize> = (0..n).collect();
        let k = k.min(n);
        for at in 0..k {
            values.swap(at, at + self.below((n - at) as u64) as usize);
        }
        values.truncate(k);
        values
    }
}

/// Ten rounds on the counter, the key raised by the Weyl constants between them.
#[inline(always)]
fn philox4x32_10(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for round in 0..10 {
        if round > 0 {
            key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
        }
        let a = 0xD251_1F53 * u64::from(counter[0]);
        let b = 0xCD9E_8D57 * u64::from(counter[2]);
        counter = [high(b) ^ counter[1] ^ key[0], low(b), high(a) ^ counter[3] ^ key[1], low(a)];
    }
    counter
}

#[inline(always)]
fn low(word: u64) -> u32 {
    word as u32
}

#[inline(always)]
fn high(word: u64) -> u32 {
    (word >> 32) as u32
}

#[inline(always)]
fn join(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

/// The upper 53 bits as a fraction in [0, 1).
#[inline(always)]
fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `philox4x32 10` lines of Random123's tests/kat_vectors.
    #[test]
    fn known_answers_of_random123() {
        for (counter, key, answer) in [
            ([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
            ([u32::MAX; 4], [u32::MAX; 2], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
            (
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0],
                [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
            ),
        ] {
            assert_eq!(philox4x32_10(counter, key), answer);
        }
        let pi = Philox::new(0x299f_31d0_a409_3822, 0x0370_7344_1319_8a2e);
        assert_eq!(pi.block(0x85a3_08d3_243f_6a88), [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]);
    }

    #[test]
    fn a_stream_reads_the_blocks_in_order() {
        let (philox, mut stream) = (Philox::new(7, 3), Stream::new(7, 3));
        for counter in 0..5 {
            assert_eq!([(); 4].map(|()| stream.next_u32()), philox.block(counter));
        }
        let mut stream = Stream::new(7, 3);
        for counter in 0..5 {
            assert_eq!([stream.uniform(), stream.uniform()], philox.uniforms(counter));
        }
        let mut stream = Stream::new(7, 3);
        for counter in 0..5 {
            assert_eq!([stream.normal(), stream.normal()], philox.normals(counter));
        }
        assert_ne!(Philox::new(7, 4).block(0), philox.block(0));
        assert_ne!(Philox::new(8, 3).block(0), philox.block(0));
    }

    /// Two units of the last place of what is about 1, or of the result where that is larger.
    #[test]
    fn logarithm_sine_and_cosine_are_close_to_the_library_s() {
        let mut stream = Stream::new(4, 0);
        let ends = [0.0, 0.125, 0.25, 0.375, 0.5, 0.75, 0.875, 1.0 - f64::EPSILON / 2.0, 1.0 / (1u64 << 53) as f64];
        for x in ends.into_iter().chain((0..200_000).map(|_| stream.uniform())) {
            let [sine, cosine] = sine_and_cosine(x);
            let (s, c) = (std::f64::consts::TAU * x).sin_cos();
            // The library takes the rounded product, which is off by up to half a unit of 2 pi.
            assert!((sine - s).abs() < 1e-15 && (cosine - c).abs() < 1e-15, "{x}: {sine}, {cosine}");
            for x in [1.0 - x, x * x * x * 1e-3].into_iter().filter(|&x| x > 1e-300) {
                assert!((ln(x) - x.ln()).abs() <= 2.0 * f64::EPSILON * x.ln().abs(), "{x}: {}", ln(x));
            }
        }
        assert_eq!(ln(1.0), 0.0);
        assert_eq!(sine_and_cosine(0.25), [1.0, 0.0]);
    }

    /// Five standard errors of each moment: E x = 0, E x^2 = 1, E x^3 = 0, E x^4 = 3, variances 1, 2, 15, 96.
    #[test]
    fn normal_numbers_have_the_moments_of_a_normal() {
        let (mut stream, n) = (Stream::new(1, 0), 400_000);
        let mut sums = [0.0; 4];
        for _ in 0..n {
            let x = stream.normal();
            assert!(x.is_finite());
            for (power, sum) in (1..).zip(&mut sums) {
                *sum += x.powi(power);
            }
        }
        for ((sum, mean), variance) in sums.into_iter().zip([0.0, 1.0, 0.0, 3.0]).zip([1.0f64, 2.0, 15.0, 96.0]) {
            let error = (sum / f64::from(n) - mean).abs();
            assert!(error < 5.0 * (variance / f64::from(n)).sqrt(), "{error} from {mean}");
        }
    }

    /// Chi-square over `n` cells has mean n - 1 and variance 2 (n - 1); five standard deviations.
    fn assert_uniform(counts: &[u32]) {
        let expected = f64::from(counts.iter().sum::<u32>()) / counts.len() as f64;
        let chi: f64 = counts.iter().map(|&count| (f64::from(count) - expected).powi(2) / expected).sum();
        let freedom = counts.len() as f64 - 1.0;
        assert!((chi - freedom).abs() < 5.0 * (2.0 * freedom).sqrt(), "chi-square {chi} at {freedom}");
    }

    #[test]
    fn below_is_uniform() {
        for n in [2usize, 3, 10, 1000] {
            let (mut stream, mut counts) = (Stream::new(2, n as u64), vec![0; n]);
            for _ in 0..200 * n {
                counts[stream.below(n as u64) as usize] += 1;
            }
            assert_uniform(&counts);
        }
        let (mut stream, n) = (Stream::new(2, 0), u64::MAX / 3 * 2 + 1);
        let mut counts = [0; 2];
        for _ in 0..10_000 {
            // Without the rejection step, every other value would be twice as likely.
            counts[(stream.below(n) % 2) as usize] += 1;
        }
        assert_uniform(&counts);
        assert_eq!(stream.below(1), 0);
    }

    #[test]
    fn shuffles_and_samples_are_uniform() {
        let (mut orders, mut pairs) = ([0; 6], [0; 20]);
        let mut stream = Stream::new(3, 0);
        for _ in 0..12_000 {
            let mut values = [0, 1, 2];
            stream.shuffle(&mut values);
            orders[values[0] * 2 + usize::from(values[1] > values[2])] += 1;
            let pair = stream.sample(5, 2);
            assert!(pair.len() == 2 && pair[0] != pair[1]);
            pairs[pair[0] * 4 + pair[1] - usize::from(pair[1] > pair[0])] += 1;
        }
        assert_uniform(&orders);
        assert_uniform(&pairs);
        let mut all = stream.sample(4, 9);
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3]);
        assert!(stream.sample(0, 2).is_empty());
    }
}
