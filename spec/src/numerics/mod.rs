//! Primitives of the integer contract (`docs/numerics.md`): pure functions on integers, one file a step of the data flow.
//!
//! Floats occur only in what is fixed at compile time (`Scale::of`, the ROM builders in [`crate::rom`], the constants). Every function
//! states its widths and asserts them in debug builds; what may saturate says so in its result.

pub mod ffn;
pub mod head;
pub mod headq;
pub mod norm;
pub mod prim;
pub mod quantiser;
pub mod resid;
pub mod rope;
pub mod scale;
pub mod softmax;

pub use headq::{head_quantise, head_scale};
pub use norm::{NormOut, norm_quantise, quantise};
pub use prim::{bitlen, fits_signed, fits_unsigned, isqrt, rhe, sat, shr, shr_sat, shr_wide};
pub use quantiser::Quantiser;
pub use resid::{residual, scaled_sum};
pub use rope::{RopeRom, rotate};
pub use scale::{SCALE_BITS, Scale};
pub use softmax::{Score, Softmax, SoftmaxRom, Weight, score};

/// Longest vector K.
pub const MAX_K: usize = 16384;
/// Longest context.
pub const MAX_CONTEXT: usize = 8192;
/// Longest head dimension.
pub const MAX_HEAD_DIM: usize = 128;
/// Largest sum of a ternary linear layer: 127·16384, signed 22 bits.
pub const MAX_SUM: i64 = 127 * MAX_K as i64;
