//! Ternary rows times int8 vectors: exact sums. In: `rows` rows of trits, `n` vectors of codes, both padded to [`BLOCK`] columns;
//! out: a sum a vector and row.

/// Columns are padded to a multiple of this.
pub const BLOCK: usize = 32;

/// Rows of trits in the order of the array's sums.
#[derive(Clone, Debug)]
pub struct Rows {
    rows: usize,
    stride: usize,
    /// Trit + 1 (0, 1, 2), row by row, `stride` columns each: unsigned, as AVX2 multiplies them with signed codes.
    trits: Vec<u8>,
}

impl Rows {
    /// From `trits[row · k + column]`, each -1, 0 or 1.
    pub fn new(trits: &[i8], k: usize) -> Self {
        let stride = k.next_multiple_of(BLOCK);
        let rows = trits.len() / k;
        let mut out = vec![1; rows * stride];
        for (to, from) in out.chunks_exact_mut(stride).zip(trits.chunks_exact(k)) {
            to.iter_mut().zip(from).for_each(|(to, &t)| *to = (t + 1) as u8);
        }
        Rows { rows, stride, trits: out }
    }

    /// Columns of a vector of codes, those that pad included.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// Outputs of a vector.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// `sums[v · rows + r] = Σ codes[v · stride + c] · trit(r, c)`. Codes that pad are 0; the others lie in -127..=127.
    pub fn sums(&self, codes: &[i8], sums: &mut [i32]) {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has what the function is compiled for.
            return self.each(codes, sums, |row, codes| unsafe { dot_avx2(row, codes) });
        }
        self.each(codes, sums, dot);
    }

    fn each(&self, codes: &[i8], sums: &mut [i32], dot: impl Fn(&[u8], &[i8]) -> i32) {
        for (codes, sums) in codes.chunks_exact(self.stride).zip(sums.chunks_exact_mut(self.rows)) {
            let all: i32 = codes.iter().map(|&c| i32::from(c)).sum();
            for (row, sum) in self.trits.chunks_exact(self.stride).zip(sums) {
                *sum = dot(row, codes) - all;
            }
        }
    }
}

/// `Σ row · codes`, exactly.
fn dot(row: &[u8], codes: &[i8]) -> i32 {
    row.iter().zip(codes).map(|(&t, &c)| i32::from(t) * i32::from(c)).sum()
}

/// [`dot`] on vectors of 32 bytes: sums of two products in lanes of 16 bits, which hold 64 of them (64 · 2 · 2 · 127 < 2^15).
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn dot_avx2(row: &[u8], codes: &[i8]) -> i32 {
    use std::arch::x86_64::*;
    const RUN: usize = 64 * BLOCK;
    let mut wide = _mm256_setzero_si256();
    for (row, codes) in row.chunks(RUN).zip(codes.chunks(RUN)) {
        let mut lanes = _mm256_setzero_si256();
        for (row, codes) in row.chunks_exact(BLOCK).zip(codes.chunks_exact(BLOCK)) {
            // SAFETY: both pieces are BLOCK = 32 bytes long; the loads need no alignment.
            let (row, codes) = unsafe { (_mm256_loadu_si256(row.as_ptr().cast()), _mm256_loadu_si256(codes.as_ptr().cast())) };
            lanes = _mm256_add_epi16(lanes, _mm256_maddubs_epi16(row, codes));
        }
        wide = _mm256_add_epi32(wide, _mm256_madd_epi16(lanes, _mm256_set1_epi16(1)));
    }
    let half = _mm_add_epi32(_mm256_castsi256_si128(wide), _mm256_extracti128_si256::<1>(wide));
    let quarter = _mm_add_epi32(half, _mm_unpackhi_epi64(half, half));
    _mm_cvtsi128_si32(quarter) + _mm_extract_epi32::<1>(quarter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tritforge_spec::random::Rng;

    #[test]
    fn sums_are_the_plain_loops_on_the_baseline_and_on_the_widest_vectors() {
        let mut r = Rng::new(1);
        for (rows, k, n) in [(1, 1, 1), (5, 16, 2), (7, 31, 1), (3, 32, 4), (9, 80, 3), (4, 272, 2), (2, 16384, 1)] {
            let trits: Vec<i8> = (0..rows * k).map(|i| if i < k { 1 } else { r.trit() }).collect();
            let weights = Rows::new(&trits, k);
            let stride = weights.stride();
            let mut codes = vec![0i8; n * stride];
            for vector in codes.chunks_exact_mut(stride) {
                // Extremes in some, so that nothing narrower than the sums would do.
                let extreme = [None, Some(127), Some(-127)][r.below(3) as usize];
                vector[..k].iter_mut().for_each(|c| *c = extreme.unwrap_or(r.range(-127, 127) as i8));
            }
            let dot = |v: usize, row: usize| (0..k).map(|c| i32::from(codes[v * stride + c]) * i32::from(trits[row * k + c])).sum();
            let expected: Vec<i32> = (0..n * rows).map(|i| dot(i / rows, i % rows)).collect();
            let (mut plain, mut widest) = (vec![0; n * rows], vec![0; n * rows]);
            weights.each(&codes, &mut plain, super::dot);
            weights.sums(&codes, &mut widest);
            assert_eq!((&plain, &widest), (&expected, &expected), "{rows} rows of {k}, {n} vectors");
        }
    }
}
