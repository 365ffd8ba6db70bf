//! Integer sums of products inside a block, two ways with the same bits: [`Portable`], plain loops, and [`Avx2`]. In: bytes of weights and
//! of activations. Out: exact i32 sums. All `unsafe` of the products is here.

/// Elements of a register of bytes: lane j sums elements 4j to 4j + 3.
pub(super) const REGISTER: usize = 32;
pub(super) const LANES: usize = 8;
/// Elements of a block of the K types and the ternary types.
const BLOCK: usize = 256;
/// Elements that share an integer scale.
const GROUP: usize = 16;

/// How sums are done.
pub(super) trait Kernel {
    /// Of 32 products the sums of four each.
    fn fours(w: &[i8; REGISTER], x: &[i8; REGISTER]) -> [i32; LANES];

    /// Adds [`Kernel::fours`] times `scale` to `lanes`, each with one rounding.
    #[inline(always)]
    fn add_fours(lanes: &mut [f32; LANES], scale: f32, w: &[i8; REGISTER], x: &[i8; REGISTER]) {
        for (lane, four) in lanes.iter_mut().zip(Self::fours(w, x)) {
            *lane = scale.mul_add(four as f32, *lane);
        }
    }

    /// Of each 32 of 256 products the sums of four each, times the scale of the group of 16, added up.
    fn scaled(w: &[i8; BLOCK], x: &[i8; BLOCK], scales: &[i8; BLOCK / GROUP]) -> [i32; LANES];
}

/// Plain loops.
pub(super) struct Portable;

impl Kernel for Portable {
    #[inline(always)]
    fn fours(w: &[i8; REGISTER], x: &[i8; REGISTER]) -> [i32; LANES] {
        std::array::from_fn(|lane| (4 * lane..4 * lane + 4).map(|i| i32::from(w[i]) * i32::from(x[i])).sum())
    }

    #[inline(always)]
    fn scaled(w: &[i8; BLOCK], x: &[i8; BLOCK], scales: &[i8; BLOCK / GROUP]) -> [i32; LANES] {
        let mut sums = [0; LANES];
        let stretches = w.as_chunks().0.iter().zip(x.as_chunks().0).zip(scales.as_chunks::<2>().0);
        for ((w, x), scales) in stretches {
            for (lane, (sum, four)) in sums.iter_mut().zip(Self::fours(w, x)).enumerate() {
                *sum += i32::from(scales[4 * lane / GROUP]) * four;
            }
        }
        sums
    }
}

/// AVX2; to be named only in code that runs where [`has_avx2`] holds.
#[cfg(target_arch = "x86_64")]
struct Avx2;

/// Whether the machine has AVX2 and multiplies and adds in one rounding.
fn has_avx2() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// Work that is compiled once for each kernel; `run` is to be `#[inline(always)]`.
pub(super) trait Work {
    /// Does it.
    fn run<K: Kernel>(self);
}

/// Does the work with the machine's best kernel. Where that is not AVX2, `mul_add` rounds once all the same, in software.
pub(super) fn run(work: impl Work) {
    #[cfg(target_arch = "x86_64")]
    if has_avx2() {
        // SAFETY: the machine has AVX2 and FMA.
        return unsafe { avx2::run(work) };
    }
    work.run::<Portable>();
}

#[cfg(target_arch = "x86_64")]
impl Kernel for Avx2 {
    #[inline(always)]
    fn fours(w: &[i8; REGISTER], x: &[i8; REGISTER]) -> [i32; LANES] {
        // SAFETY: the type is named only where the machine has AVX2.
        unsafe { avx2::fours(w, x) }
    }

    #[inline(always)]
    fn add_fours(lanes: &mut [f32; LANES], scale: f32, w: &[i8; REGISTER], x: &[i8; REGISTER]) {
        // SAFETY: the type is named only where the machine has AVX2 and FMA.
        unsafe { avx2::add_fours(lanes, scale, w, x) }
    }

    #[inline(always)]
    fn scaled(w: &[i8; BLOCK], x: &[i8; BLOCK], scales: &[i8; BLOCK / GROUP]) -> [i32; LANES] {
        // SAFETY: the type is named only where the machine has AVX2.
        unsafe { avx2::scaled(w, x, scales) }
    }
}

/// `Σ w·x`; the sum must fit an i32.
pub(in crate::model) fn dot(w: &[i8], x: &[i8]) -> i32 {
    #[cfg(target_arch = "x86_64")]
    if has_avx2() {
        // SAFETY: the machine has AVX2.
        return unsafe { avx2::dot(w, x) };
    }
    plain_dot(w, x)
}

/// Wrapping, as a check at every element would keep the compiler from using lanes.
fn plain_dot(w: &[i8], x: &[i8]) -> i32 {
    w.iter().zip(x).fold(0, |sum: i32, (&w, &x)| sum.wrapping_add(i32::from(w) * i32::from(x)))
}

/// `Σ (code - 1)·x` over blocks of two-bit codes, where the machine has AVX2; `sum` is `Σ x`. `blocks` of `stride` bytes begin with
/// `CODES` bytes: of a byte i (of 32) the code of element 32p + i stands in bits 2p, or in bits 6 - 2p if `high_first`.
pub(super) fn two_bit_dot<const CODES: usize>(blocks: &[u8], stride: usize, high_first: bool, x: &[i8], sum: i32) -> Option<i32> {
    #[cfg(target_arch = "x86_64")]
    if has_avx2() {
        // SAFETY: the machine has AVX2.
        return Some(unsafe { avx2::two_bit::<CODES>(blocks, stride, high_first, x) }.wrapping_sub(sum));
    }
    let _ = (blocks, stride, high_first, x, sum);
    None
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::*;

    use super::{Avx2, BLOCK, GROUP, LANES, REGISTER, Work};

    #[target_feature(enable = "avx2,fma")]
    pub fn run(work: impl Work) {
        work.run::<Avx2>();
    }

    /// 32 bytes in a register.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn load(bytes: &[i8; REGISTER]) -> __m256i {
        // SAFETY: 32 bytes are read, from an array of 32; the load asks for no alignment.
        unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn store(lanes: __m256i) -> [i32; LANES] {
        let mut out = [0; LANES];
        // SAFETY: 32 bytes are written, to an array of 32; the store asks for no alignment.
        unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), lanes) };
        out
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn total(lanes: __m256i) -> i32 {
        store(lanes).into_iter().fold(0, i32::wrapping_add)
    }

    /// 32 bytes as 16-bit numbers, elements 0 to 15, 16 to 31. Halves are loaded: a load of all 32 waits for bytes that were stored as
    /// halves until they are in the cache.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn wide(bytes: &[i8; REGISTER]) -> (__m256i, __m256i) {
        let at = bytes.as_ptr().cast::<__m128i>();
        // SAFETY: twice 16 bytes are read, from an array of 32; the loads ask for no alignment.
        let (low, high) = unsafe { (_mm_loadu_si128(at), _mm_loadu_si128(at.add(1))) };
        (_mm256_cvtepi8_epi16(low), _mm256_cvtepi8_epi16(high))
    }

    /// Both halves of 32 products, added in pairs: elements 0 to 15, 16 to 31.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn pairs(w: &[i8; REGISTER], x: &[i8; REGISTER]) -> (__m256i, __m256i) {
        let ((w0, w1), (x0, x1)) = (wide(w), wide(x));
        (_mm256_madd_epi16(w0, x0), _mm256_madd_epi16(w1, x1))
    }

    /// The sums of four of 32 products, in order.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn four_lanes(w: &[i8; REGISTER], x: &[i8; REGISTER]) -> __m256i {
        let (low, high) = pairs(w, x);
        // Adds neighbours inside each half of a register, so quarters come out as 0 to 7, 16 to 23, 8 to 15, 24 to 31.
        _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_hadd_epi32(low, high))
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    pub fn fours(w: &[i8; REGISTER], x: &[i8; REGISTER]) -> [i32; LANES] {
        store(four_lanes(w, x))
    }

    #[target_feature(enable = "avx2,fma")]
    #[inline]
    pub fn add_fours(lanes: &mut [f32; LANES], scale: f32, w: &[i8; REGISTER], x: &[i8; REGISTER]) {
        let fours = _mm256_cvtepi32_ps(four_lanes(w, x));
        // SAFETY: 32 bytes are read and written, of an array of 32; neither asks for alignment.
        unsafe {
            let sums = _mm256_fmadd_ps(_mm256_set1_ps(scale), fours, _mm256_loadu_ps(lanes.as_ptr()));
            _mm256_storeu_ps(lanes.as_mut_ptr(), sums);
        }
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    pub fn scaled(w: &[i8; BLOCK], x: &[i8; BLOCK], scales: &[i8; BLOCK / GROUP]) -> [i32; LANES] {
        let mut sums = _mm256_setzero_si256();
        for ((w, x), scales) in w.as_chunks().0.iter().zip(x.as_chunks().0).zip(scales.as_chunks::<2>().0) {
            let [a, b] = scales.map(i32::from);
            let scales = _mm256_setr_epi32(a, a, a, a, b, b, b, b);
            sums = _mm256_add_epi32(sums, _mm256_mullo_epi32(four_lanes(w, x), scales));
        }
        store(sums)
    }

    #[target_feature(enable = "avx2")]
    pub fn dot(w: &[i8], x: &[i8]) -> i32 {
        let ((w, w_rest), (x, x_rest)) = (w.as_chunks(), x.as_chunks());
        let mut sums = _mm256_setzero_si256();
        for (w, x) in w.iter().zip(x) {
            let (low, high) = pairs(w, x);
            sums = _mm256_add_epi32(sums, _mm256_add_epi32(low, high));
        }
        total(sums).wrapping_add(super::plain_dot(w_rest, x_rest))
    }

    /// `Σ code·x` of two-bit codes; see [`super::two_bit_dot`].
    #[target_feature(enable = "avx2")]
    pub fn two_bit<const CODES: usize>(blocks: &[u8], stride: usize, high_first: bool, x: &[i8]) -> i32 {
        let (mask, ones) = (_mm256_set1_epi8(3), _mm256_set1_epi16(1));
        let mut sums = _mm256_setzero_si256();
        for (block, x) in blocks.chunks_exact(stride).zip(x.chunks_exact(4 * CODES)) {
            // A product is at most 2 · 128, a pair's sum 512: the 16-bit lanes hold 63 of them, a block has at most 8.
            let mut narrow = _mm256_setzero_si256();
            for (bytes, x) in block[..CODES].as_chunks::<REGISTER>().0.iter().zip(x.as_chunks::<{ 4 * REGISTER }>().0) {
                // SAFETY: 32 bytes are read, from an array of 32; the load asks for no alignment.
                let bytes = unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) };
                let [p0, p1, p2, p3] = [bytes, _mm256_srli_epi16::<2>(bytes), _mm256_srli_epi16::<4>(bytes), _mm256_srli_epi16::<6>(bytes)];
                let planes = if high_first { [p3, p2, p1, p0] } else { [p0, p1, p2, p3] };
                for (plane, x) in planes.into_iter().zip(x.as_chunks().0) {
                    narrow = _mm256_add_epi16(narrow, _mm256_maddubs_epi16(_mm256_and_si256(plane, mask), load(x)));
                }
            }
            sums = _mm256_add_epi32(sums, _mm256_madd_epi16(narrow, ones));
        }
        total(sums)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SplitMix64, and in some places the extremes.
    fn bytes(seed: u64, count: usize) -> Vec<i8> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb) >> 40
        };
        (0..count)
            .map(|_| next())
            .map(|draw| if draw % 8 == 0 { [-128, 127, -127, 0][draw as usize / 8 % 4] } else { (draw >> 8) as i8 })
            .collect()
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn both_kernels_give_the_same_sums_for_drawn_and_extreme_bytes() {
        if !has_avx2() {
            eprintln!("SKIPPED: this machine has no AVX2");
            return;
        }
        let same = |w: &[i8; BLOCK], x: &[i8; BLOCK], scales: &[i8; 16]| {
            assert_eq!(Avx2::scaled(w, x, scales), Portable::scaled(w, x, scales));
            let ([w, ..], [x, ..]) = (w.as_chunks().0, x.as_chunks().0) else { unreachable!() };
            assert_eq!(Avx2::fours(w, x), Portable::fours(w, x));
            let (mut lanes, mut portable) = ([0.1; LANES], [0.1; LANES]);
            Avx2::add_fours(&mut lanes, 0.7, w, x);
            Portable::add_fours(&mut portable, 0.7, w, x);
            assert_eq!(lanes.map(f32::to_bits), portable.map(f32::to_bits));
        };
        for (w, x, scale) in [(-128, -128, -128), (-128, 127, -128), (127, 127, 127), (-128, -128, 127), (0, 5, 1)] {
            same(&[w; BLOCK], &[x; BLOCK], &[scale; 16]);
        }
        for seed in 0..200 {
            let (w, x, scales) = (bytes(seed, BLOCK), bytes(seed + 1000, BLOCK), bytes(seed + 2000, 16));
            same(w[..].try_into().unwrap(), x[..].try_into().unwrap(), scales[..].try_into().unwrap());
        }
    }

    #[test]
    fn dot_products_of_any_length_are_exact() {
        for length in (0..100).chain([255, 256, 257, 6912]) {
            let (w, x) = (bytes(length as u64, length), bytes(7000 + length as u64, length));
            let expected: i64 = w.iter().zip(&x).map(|(&w, &x)| i64::from(w) * i64::from(x)).sum();
            assert_eq!((i64::from(dot(&w, &x)), i64::from(plain_dot(&w, &x))), (expected, expected), "{length}");
        }
    }

    #[test]
    fn two_bit_codes_are_summed_without_unpacking() {
        for (seed, high_first, extreme) in [(1, false, None), (2, true, None), (3, false, Some(-128)), (4, true, Some(127))] {
            const CODES: usize = 64;
            let (blocks, stride) = (3, 66);
            let codes: Vec<u8> =
                bytes(seed, 256 * blocks).iter().map(|&b| if extreme.is_some() { 2 } else { b.rem_euclid(3) as u8 }).collect();
            let x: Vec<i8> = extreme.map_or_else(|| bytes(seed + 50, 256 * blocks), |x| vec![x; 256 * blocks]);
            let mut packed = vec![0xff; stride * blocks];
            for (at, &code) in codes.iter().enumerate() {
                let (byte, plane) = (at / 256 * stride + at % 256 / 128 * 32 + at % 32, at % 128 / 32);
                let shift = if high_first { 6 - 2 * plane } else { 2 * plane };
                packed[byte] = packed[byte] & !(3 << shift) | code << shift;
            }
            let sum = x.iter().map(|&x| i32::from(x)).sum();
            let expected: i32 = codes.iter().zip(&x).map(|(&code, &x)| (i32::from(code) - 1) * i32::from(x)).sum();
            let found = two_bit_dot::<CODES>(&packed, stride, high_first, &x, sum);
            assert_eq!(found, has_avx2().then_some(expected), "seed {seed}");
        }
    }
}
