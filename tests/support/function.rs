//! What may stand between gate and up, each written down a second time.

use std::f64::consts::PI;

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Function {
    Relu2,
    Silu,
    Relu,
    Gelu,
    GeluTanh,
}

/// All of them, and what `diff` calls them.
pub const FUNCTIONS: [(Function, &str); 5] = [
    (Function::Relu2, "relu²"),
    (Function::Silu, "SiLU"),
    (Function::Relu, "ReLU"),
    (Function::Gelu, "GELU by erf"),
    (Function::GeluTanh, "GELU by tanh"),
];

/// Area under the normal distribution from 0 to x, by Simpson's rule.
fn area(x: f64) -> f64 {
    let density = |t: f64| (-t * t / 2.0).exp() / (2.0 * PI).sqrt();
    let (steps, mut sum) = (2000, density(0.0) + density(x));
    let h = x / f64::from(steps);
    for i in 1..steps {
        sum += if i % 2 == 1 { 4.0 } else { 2.0 } * density(f64::from(i) * h);
    }
    sum * h / 3.0
}

impl Function {
    pub fn of(self, x: f64) -> f64 {
        match self {
            Self::Relu2 => x.max(0.0).powi(2),
            Self::Silu => x / (1.0 + (-x).exp()),
            Self::Relu => x.max(0.0),
            Self::Gelu => x * (0.5 + area(x)),
            Self::GeluTanh => 0.5 * x * (1.0 + ((2.0 / PI).sqrt() * (x + 0.044715 * x * x * x)).tanh()),
        }
    }
}
