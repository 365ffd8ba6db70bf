//! Ternary rows times int8 vectors: exact sums. In: `rows` rows of trits, `n` vectors of codes, both padded to [`BLOCK`] columns;
//! out: a sum a vector and row.

/// Columns are padded to a multiple of this.
pub const BLOCK: usize = 32;

/// Rows of trits in the order of the array's sums.
#[derive(Clone, Debug)]
pub struct Rows {
    rows: usize,
    stride: usize,
    /// Trit + 1 (0, 1, 2): row by row, `stride` columns each. Unsigned, so that AVX2 multiplies them with signed codes.
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
        for (codes, sums) in codes.chunks_exact(self.stride).zip(sums.chunks_exact_mut(self.rows)) {
            let all: i32 = codes.iter().map(|&c| i32::from(c)).sum();
            for (row, sum) in self.trits.chunks_exact(self.stride).zip(sums) {
                *sum = dot(row, codes) - all;
            }
        }
    }
}

fn dot(row: &[u8], codes: &[i8]) -> i32 {
    let mut sum = 0;
    for (row, codes) in row.chunks_exact(BLOCK).zip(codes.chunks_exact(BLOCK)) {
        for i in 0..BLOCK {
            sum += i32::from(row[i]) * i32::from(codes[i]);
        }
    }
    sum
}
