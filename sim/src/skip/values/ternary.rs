//! Ternary rows times int8 vectors: exact sums. In: `rows` rows of trits, `n` vectors of codes, both padded to [`BLOCK`] columns;
//! out: a sum a vector and row.

use super::wide::wide;

/// Columns are padded to a multiple of this.
pub const BLOCK: usize = 32;

/// Rows of trits in the order of the array's sums.
#[derive(Clone, Debug)]
pub struct Rows {
    rows: usize,
    stride: usize,
    /// Trit + 1 (0, 1, 2), row by row, `stride` columns each: an unsigned byte is widened more cheaply than a signed one.
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
    pub fn sums(&self, codes: &[i16], sums: &mut [i32]) {
        wide(Sums { rows: self, codes, sums });
    }
}

struct Sums<'a> {
    rows: &'a Rows,
    codes: &'a [i16],
    sums: &'a mut [i32],
}

impl super::wide::Kernel for Sums<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let stride = self.rows.stride;
        for (codes, sums) in self.codes.chunks_exact(stride).zip(self.sums.chunks_exact_mut(self.rows.rows)) {
            let all: i32 = codes.iter().map(|&c| i32::from(c)).sum();
            for (row, sum) in self.rows.trits.chunks_exact(stride).zip(sums) {
                *sum = row.iter().zip(codes).map(|(&t, &c)| i32::from(t) * i32::from(c)).sum::<i32>() - all;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::wide::Kernel;
    use super::*;
    use tritforge_spec::random::Rng;

    #[test]
    fn sums_are_the_plain_loops_on_the_baseline_and_on_the_widest_vectors() {
        let mut r = Rng::new(1);
        for (rows, k, n) in [(1, 1, 1), (5, 16, 2), (7, 31, 1), (3, 32, 4), (9, 80, 3), (4, 272, 2), (2, 16384, 1)] {
            let trits: Vec<i8> = (0..rows * k).map(|_| r.trit()).collect();
            let weights = Rows::new(&trits, k);
            let stride = weights.stride();
            let mut codes = vec![0; n * stride];
            for vector in codes.chunks_exact_mut(stride) {
                // Extremes in some, so that nothing narrower than the sums would do.
                let extreme = r.below(2) == 0;
                vector[..k].iter_mut().for_each(|c| *c = if extreme { 127 } else { r.range(-127, 127) as i16 });
            }
            let dot = |v: usize, row: usize| (0..k).map(|c| i32::from(codes[v * stride + c]) * i32::from(trits[row * k + c])).sum();
            let expected: Vec<i32> = (0..n * rows).map(|i| dot(i / rows, i % rows)).collect();
            let (mut plain, mut widest) = (vec![0; n * rows], vec![0; n * rows]);
            Sums { rows: &weights, codes: &codes, sums: &mut plain }.run();
            weights.sums(&codes, &mut widest);
            assert_eq!((&plain, &widest), (&expected, &expected), "{rows} rows of {k}, {n} vectors");
        }
    }
}
