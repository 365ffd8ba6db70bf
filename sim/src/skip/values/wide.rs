//! One kernel, two machines: its plain Rust is compiled for the baseline and for AVX2, and the wider one is taken where the processor
//! has it. Both are the same integer arithmetic.

/// Code that gains from wide vectors. `run` and all that it calls must be inlined (`#[inline(always)]`), else it stays narrow.
pub trait Kernel {
    type Output;
    fn run(self) -> Self::Output;
}

/// Runs a kernel with the widest vectors that this processor has.
#[inline]
pub fn wide<K: Kernel>(kernel: K) -> K::Output {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has what the function is compiled for.
        return unsafe { avx2(kernel) };
    }
    kernel.run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2<K: Kernel>(kernel: K) -> K::Output {
    kernel.run()
}
