//! Activations between gate and up: those that models here have, and those that are tried beside them.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI, PI};

use crate::model::Activation;
use crate::model::judge::stages;

/// An activation function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// A model's here.
    Model(Activation),
    /// `max(x, 0)`.
    Relu,
    /// `x · Φ(x)`, Φ the distribution function of the normal distribution.
    Gelu,
    /// The same with Φ approximated by a hyperbolic tangent (Hendrycks and Gimpel 2016).
    GeluTanh,
}

impl Function {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Model(Activation::Relu2), Self::Model(Activation::Silu), Self::Relu, Self::Gelu, Self::GeluTanh];

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Model(Activation::Relu2) => "relu²",
            Self::Model(Activation::Silu) => "SiLU",
            Self::Relu => "ReLU",
            Self::Gelu => "GELU by erf",
            Self::GeluTanh => "GELU by tanh",
        }
    }

    /// Its value.
    pub fn of(self, x: f64) -> f64 {
        match self {
            Self::Model(activation) => stages::activate(activation, x, 1.0),
            Self::Relu => x.max(0.0),
            Self::Gelu => x * (1.0 + erf(x * FRAC_1_SQRT_2)) / 2.0,
            Self::GeluTanh => x * (1.0 + ((2.0 / PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh()) / 2.0,
        }
    }
}

/// The error function: `2/√π · e^(-x²) · Σ 2ⁿ x^(2n+1) / (1·3·…·(2n+1))`, whose terms all have one sign.
fn erf(x: f64) -> f64 {
    // Beyond it f64 has nothing between the value and 1.
    if x.abs() > 6.0 {
        return x.signum();
    }
    let (mut term, mut sum, mut n) = (x, x, 0.0);
    while term.abs() > sum.abs() * f64::EPSILON {
        n += 1.0;
        term *= 2.0 * x * x / (2.0 * n + 1.0);
        sum += term;
    }
    FRAC_2_SQRT_PI * (-x * x).exp() * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_tables() {
        // erf: Abramowitz and Stegun, table 7.1; GELU: PyTorch's two forms.
        for (x, expected) in [(0.0, 0.0), (0.5, 0.520_499_877_813_047), (1.0, 0.842_700_792_949_715), (2.0, 0.995_322_265_018_953)] {
            assert!((erf(x) - expected).abs() < 1e-14 && (erf(-x) + expected).abs() < 1e-14, "{x}: {}", erf(x));
        }
        assert!((erf(5.99) - 1.0).abs() < 1e-14 && erf(7.0) == 1.0 && erf(f64::NAN).is_nan());
        assert!((Function::Gelu.of(1.0) - 0.841_344_746_068_543).abs() < 1e-14);
        assert!((Function::GeluTanh.of(1.0) - 0.841_191_990_608_302).abs() < 1e-12);
        assert_eq!([Function::Relu.of(-2.0), Function::Relu.of(3.0), Function::Model(Activation::Relu2).of(3.0)], [0.0, 3.0, 9.0]);
        for function in Function::ALL {
            assert_eq!(function.of(0.0), 0.0, "{function:?}");
        }
    }
}
