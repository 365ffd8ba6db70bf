//! Sums over the blocks of a row, in two ways: [`Lanes`], the f32 sums of llama.cpp's AVX2 code in its order, so that a run
//! gives llama.cpp's bits and not only nearly its values; and [`Wide`], f64, to tell what rounding alone decides. In: a
//! block of weights and of activations. Out: one f32 a row.
//!
//! Why the order matters: a difference in the last bit of one product now and then turns an int8 code of the next
//! activation, and after some layers the logits differ by hundredths.

use std::marker::PhantomData;

use super::activation::{Q8Block32, Q8Block256};
use super::codes::{BLOCK_MOST, Codes, GROUPS};
use super::kernel::{Kernel, LANES, Portable, REGISTER};
use crate::model::gguf::TensorType;

/// Sum of one row's products.
pub(super) trait Sum {
    /// Nothing summed; `kind` is the weight's type.
    fn new(kind: TensorType) -> Self;

    /// Adds block `block` of a row in blocks of 32: `scale · x_scale · Σ code · x_code - min · x_sum`.
    fn add_32(&mut self, weight: &Codes, x: &Q8Block32, block: usize);

    /// Adds block `block` of a row in blocks of 256:
    /// `x_scale · (scale · Σ group_scale · Σ code · x_code - min · Σ group_min · x_group_sum)`.
    fn add_256(&mut self, weight: &Codes, x: &Q8Block256, block: usize);

    /// The sum.
    fn total(&self) -> f32;
}

/// f64.
pub(super) struct Wide(f64);

impl Sum for Wide {
    fn new(_: TensorType) -> Self {
        Self(0.0)
    }

    #[inline(always)]
    fn add_32(&mut self, weight: &Codes, x: &Q8Block32, block: usize) {
        let (w, x_codes) = block_32(weight, x, block);
        let sum: i32 = Portable::fours(w, x_codes).iter().sum();
        let scaled = f64::from(weight.scale) * f64::from(x.scales[block]) * f64::from(sum);
        self.0 += scaled - f64::from(weight.min) * f64::from(x.sums[block]);
    }

    #[inline(always)]
    fn add_256(&mut self, weight: &Codes, x: &Q8Block256, block: usize) {
        let sum: i32 = Portable::scaled(&weight.codes, block_256(x, block), &weight.scales).iter().sum();
        let mins: i32 = min_products(weight, x, block).iter().sum();
        let scaled = f64::from(weight.scale) * f64::from(sum) - f64::from(weight.min) * f64::from(mins);
        self.0 += scaled * f64::from(x.scales[block]);
    }

    fn total(&self) -> f32 {
        self.0 as f32
    }
}

/// f32 in eight lanes, and minima in sums of their own where the AVX2 code has them.
pub(super) struct Lanes<K> {
    kind: TensorType,
    lanes: [f32; LANES],
    /// Q4_K's four lanes of minima.
    min_lanes: [f32; 4],
    /// Q4_1's, Q5_1's and Q5_K's sum of minima.
    min: f32,
    kernel: PhantomData<K>,
}

impl<K> Lanes<K> {
    #[inline(always)]
    fn fma(&mut self, scale: f32, values: [i32; LANES]) {
        for (lane, value) in self.lanes.iter_mut().zip(values) {
            *lane = scale.mul_add(value as f32, *lane);
        }
    }
}

impl<K: Kernel> Sum for Lanes<K> {
    fn new(kind: TensorType) -> Self {
        Self { kind, lanes: [0.0; LANES], min_lanes: [0.0; 4], min: 0.0, kernel: PhantomData }
    }

    #[inline(always)]
    fn add_32(&mut self, weight: &Codes, x: &Q8Block32, block: usize) {
        let (w, x_codes) = block_32(weight, x, block);
        K::add_fours(&mut self.lanes, weight.scale * x.scales[block], w, x_codes);
        if matches!(self.kind, TensorType::Q4_1 | TensorType::Q5_1) {
            self.min = (-weight.min).mul_add(x.sums[block], self.min);
        }
    }

    #[inline(always)]
    fn add_256(&mut self, weight: &Codes, x: &Q8Block256, block: usize) {
        let codes = block_256(x, block);
        let mut sums = K::scaled(&weight.codes, codes, &weight.scales);
        let min = -x.scales[block] * weight.min;
        match self.kind {
            TensorType::Q2K => {
                let products = min_products(weight, x, block);
                self.fma(min, std::array::from_fn(|lane| products[2 * lane] + products[2 * lane + 1]));
            }
            TensorType::Q4K => {
                let products = min_products(weight, x, block);
                for (lane, products) in self.min_lanes.iter_mut().zip(products.chunks_exact(4)) {
                    *lane = min.mul_add(products.iter().sum::<i32>() as f32, *lane);
                }
            }
            TensorType::Q5K => self.min = min.mul_add(min_products(weight, x, block).iter().sum::<i32>() as f32, self.min),
            TensorType::Tq1_0 | TensorType::Tq2_0 => {
                // Summed there with codes 0 to 2; the activations' sums that this adds are taken off in groups.
                let groups = &x.group_sums[GROUPS * block..GROUPS * (block + 1)];
                let added = K::scaled(&[1; BLOCK_MOST], codes, &[1; GROUPS]);
                for (lane, sum) in sums.iter_mut().enumerate() {
                    *sum += added[lane] - i32::from(groups[2 * lane]) - i32::from(groups[2 * lane + 1]);
                }
            }
            TensorType::Q6K => {
                // Summed there with codes 0 to 63; 32 times the activations' sums are taken off in groups.
                let groups = &x.group_sums[GROUPS * block..GROUPS * (block + 1)];
                let added = K::scaled(&[32; BLOCK_MOST], codes, &weight.scales);
                for (lane, sum) in sums.iter_mut().enumerate() {
                    *sum += added[lane];
                    for group in [2 * lane, 2 * lane + 1] {
                        *sum -= 32 * i32::from(weight.scales[group]) * i32::from(groups[group]);
                    }
                }
            }
            _ => {}
        }
        self.fma(x.scales[block] * weight.scale, sums);
    }

    fn total(&self) -> f32 {
        let [a, b, c, d, e, f, g, h] = self.lanes;
        let sum = ((e + a) + (g + c)) + ((f + b) + (h + d));
        match self.kind {
            TensorType::Q4K => sum + ((self.min_lanes[0] + self.min_lanes[2]) + (self.min_lanes[1] + self.min_lanes[3])),
            TensorType::Q4_1 | TensorType::Q5_1 | TensorType::Q5K => sum + self.min,
            _ => sum,
        }
    }
}

/// The codes of a block of 32: of the weights, and of block `block` of the activations.
#[inline(always)]
fn block_32<'b>(weight: &'b Codes, x: &'b Q8Block32, block: usize) -> (&'b [i8; REGISTER], &'b [i8; REGISTER]) {
    (&weight.codes.as_chunks().0[0], &x.codes.as_chunks().0[block])
}

/// The codes of block `block` of the activations.
#[inline(always)]
fn block_256(x: &Q8Block256, block: usize) -> &[i8; BLOCK_MOST] {
    &x.codes.as_chunks().0[block]
}

/// Minimum times sum of activations, a group.
#[inline(always)]
fn min_products(weight: &Codes, x: &Q8Block256, block: usize) -> [i32; GROUPS] {
    let sums = &x.group_sums[GROUPS * block..GROUPS * (block + 1)];
    std::array::from_fn(|group| i32::from(weight.mins[group]) * i32::from(sums[group]))
}

/// Of which type both operands of a product of floats are, which decides how its last sums are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FloatOrder {
    /// f32.
    F32,
    /// f16: the elements behind the last 32 are added in f64.
    F16,
    /// bf16: as f16, and the four last sums cross over.
    Bf16,
}

/// `Σ a·b` in f32 as llama.cpp's AVX2 code sums floats: four registers of eight lanes, added pairwise.
#[inline(always)]
pub fn float_dot(a: &[f32], b: &[f32], order: FloatOrder) -> f32 {
    let (a_blocks, a_rest) = a.as_chunks::<32>();
    let (b_blocks, b_rest) = b.as_chunks::<32>();
    let mut sums = [0.0f32; 32];
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for lane in 0..32 {
            sums[lane] = a[lane].mul_add(b[lane], sums[lane]);
        }
    }
    let eight: [f32; 8] = std::array::from_fn(|i| (sums[i] + sums[16 + i]) + (sums[8 + i] + sums[24 + i]));
    let [p, q, r, s]: [f32; 4] = std::array::from_fn(|i| eight[i] + eight[4 + i]);
    let sum = if order == FloatOrder::Bf16 { (p + r) + (q + s) } else { (p + q) + (r + s) };
    let rest = a_rest.iter().zip(b_rest);
    match order {
        FloatOrder::F32 => rest.fold(sum, |sum, (&a, &b)| sum + a * b),
        FloatOrder::F16 | FloatOrder::Bf16 => rest.fold(f64::from(sum), |sum, (&a, &b)| sum + f64::from(a * b)) as f32,
    }
}

/// `Σ a·b` in f64, in eight interleaved partial sums; each product of two f32 is exact.
#[inline(always)]
pub fn wide_dot(a: &[f32], b: &[f32]) -> f64 {
    let (a_eights, a_rest) = a.as_chunks::<8>();
    let (b_eights, b_rest) = b.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for (a, b) in a_eights.iter().zip(b_eights) {
        for lane in 0..8 {
            sums[lane] += f64::from(a[lane]) * f64::from(b[lane]);
        }
    }
    let rest = a_rest.iter().zip(b_rest).map(|(&a, &b)| f64::from(a) * f64::from(b));
    sums.into_iter().chain(rest).sum()
}
