//! Tensor types and directory entries: how many elements a stored block holds, how many bytes it takes.

/// Most dimensions that GGUF knows.
pub const MOST_DIMENSIONS: usize = 4;

/// Bytes behind the codes of an I2_S tensor: its f32 scale, padded.
const I2_S_TRAILER: u64 = 32;

/// Storage types that are read; the discriminant is the number in the file. What the bits mean: [`crate::model::quant`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum TensorType {
    /// 32-bit float.
    F32 = 0,
    /// 16-bit float.
    F16 = 1,
    /// Blocks of 32: f16 scale, 4-bit codes.
    Q4_0 = 2,
    /// Blocks of 32: f16 scale and offset, 4-bit codes.
    Q4_1 = 3,
    /// Blocks of 32: f16 scale, 5-bit codes.
    Q5_0 = 6,
    /// Blocks of 32: f16 scale and offset, 5-bit codes.
    Q5_1 = 7,
    /// 32 signed bytes with one f16 scale before them.
    Q8_0 = 8,
    /// Blocks of 256: 2-bit codes, scale and minimum a group of 16.
    Q2K = 10,
    /// Blocks of 256: 3-bit codes, scale a group of 16.
    Q3K = 11,
    /// Blocks of 256: 4-bit codes, scale and minimum a group of 32.
    Q4K = 12,
    /// Blocks of 256: 5-bit codes, scale and minimum a group of 32.
    Q5K = 13,
    /// Blocks of 256: 6-bit codes, scale a group of 16.
    Q6K = 14,
    /// The upper half of a 32-bit float.
    Bf16 = 30,
    /// 256 trits, five a byte (most significant first, byte = ceil(code·256/243)), one f16 scale behind them.
    Tq1_0 = 34,
    /// 256 trits, two bits each (code = trit + 1), one f16 scale behind them.
    Tq2_0 = 35,
    /// bitnet.cpp's: trits, two bits each, and one f32 scale behind the whole tensor.
    I2S = 36,
}

impl TensorType {
    /// Every type that is read.
    pub const ALL: [Self; 16] = [
        Self::F32,
        Self::F16,
        Self::Bf16,
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q8_0,
        Self::Q2K,
        Self::Q3K,
        Self::Q4K,
        Self::Q5K,
        Self::Q6K,
        Self::Tq1_0,
        Self::Tq2_0,
        Self::I2S,
    ];

    /// The type with this number, if it is one of those that are read.
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|&kind| kind as u32 == number)
    }

    /// Name as ggml (for I2_S bitnet.cpp) prints it.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::Bf16 => "BF16",
            Self::Q4_0 => "Q4_0",
            Self::Q4_1 => "Q4_1",
            Self::Q5_0 => "Q5_0",
            Self::Q5_1 => "Q5_1",
            Self::Q8_0 => "Q8_0",
            Self::Q2K => "Q2_K",
            Self::Q3K => "Q3_K",
            Self::Q4K => "Q4_K",
            Self::Q5K => "Q5_K",
            Self::Q6K => "Q6_K",
            Self::Tq1_0 => "TQ1_0",
            Self::Tq2_0 => "TQ2_0",
            Self::I2S => "I2_S",
        }
    }

    /// The type of this name, in capitals or not.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(name))
    }

    /// Whether every weight is -s, 0 or s by the type itself.
    pub fn is_ternary(self) -> bool {
        matches!(self, Self::Tq1_0 | Self::Tq2_0 | Self::I2S)
    }

    /// Whether rounding to this type keeps weights of -s, 0, s such weights: s itself may be rounded, all in the same way.
    pub fn keeps_ternary(self) -> bool {
        self.is_ternary() || matches!(self, Self::F32 | Self::F16 | Self::Bf16 | Self::Q8_0)
    }

    /// Elements in one stored block; a row is a whole number of blocks.
    pub const fn block_elements(self) -> u64 {
        match self {
            Self::F32 | Self::F16 | Self::Bf16 => 1,
            Self::Q4_0 | Self::Q4_1 | Self::Q5_0 | Self::Q5_1 | Self::Q8_0 => 32,
            Self::I2S => 128,
            Self::Q2K | Self::Q3K | Self::Q4K | Self::Q5K | Self::Q6K | Self::Tq1_0 | Self::Tq2_0 => 256,
        }
    }

    /// Bytes of one stored block.
    pub fn block_bytes(self) -> u64 {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::Q4_0 => 2 + 16,
            Self::Q4_1 => 2 + 2 + 16,
            Self::Q5_0 => 2 + 4 + 16,
            Self::Q5_1 => 2 + 2 + 4 + 16,
            Self::Q8_0 => 2 + 32,
            Self::Q2K => 16 + 64 + 2 + 2,
            Self::Q3K => 32 + 64 + 12 + 2,
            Self::Q4K => 2 + 2 + 12 + 128,
            Self::Q5K => 2 + 2 + 12 + 32 + 128,
            Self::Q6K => 128 + 64 + 16 + 2,
            Self::Tq1_0 => 48 + 4 + 2,
            Self::Tq2_0 => 64 + 2,
            Self::I2S => 32,
        }
    }

    /// Bytes behind the last block of a tensor.
    pub fn trailer_bytes(self) -> u64 {
        if self == Self::I2S { I2_S_TRAILER } else { 0 }
    }

    /// Bytes of a tensor of `elements`, a multiple of the block's; `None` if they do not fit 64 bits.
    pub fn stored_bytes(self, elements: u64) -> Option<u64> {
        (elements / self.block_elements()).checked_mul(self.block_bytes())?.checked_add(self.trailer_bytes())
    }

    /// The type that takes rows of `columns` elements where this one is wanted: itself, or what llama.cpp falls back to: Q4_K to Q5_0,
    /// Q5_K to Q5_1, Q6_K to Q8_0, then F16. Two differ: Q2_K and Q3_K give Q4_0 (llama.cpp: IQ4_NL, which is not read), and the ternary
    /// types Q8_0 (llama.cpp: Q4_0), as its codes hold -1, 0 and 1 alike.
    pub fn fitting(self, columns: u64) -> Self {
        let mut kind = self;
        while !columns.is_multiple_of(kind.block_elements()) {
            kind = match kind {
                Self::Q2K | Self::Q3K => Self::Q4_0,
                Self::Q4K => Self::Q5_0,
                Self::Q5K => Self::Q5_1,
                Self::Q6K | Self::Tq1_0 | Self::Tq2_0 | Self::I2S => Self::Q8_0,
                _ => Self::F16,
            };
        }
        kind
    }

    /// Names of all types that are read, for messages.
    pub(super) fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }
}

impl std::str::FromStr for TensorType {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::from_name(name).ok_or_else(|| {
            let near = Self::ALL.into_iter().max_by(|a, b| like(a.name(), name).total_cmp(&like(b.name(), name)));
            let near = near.map(Self::name).filter(|near| like(near, name) > 0.7);
            let hint = near.map_or(String::new(), |near| format!("; did you mean {}?", near.to_lowercase()));
            format!("expected one of {}{hint}", Self::names().to_lowercase())
        })
    }
}

/// How alike two names are, 0 to 1, capitals apart.
fn like(a: &str, b: &str) -> f64 {
    strsim::jaro(&a.to_lowercase(), &b.to_lowercase())
}

/// Name of a ggml type that is not read, and the types that are read and nearest to it.
pub(super) fn unread_type(number: u32) -> (&'static str, &'static str) {
    const CONVERT: &str = "convert the model to one of these types (ternary weights: TQ1_0 or TQ2_0)";
    match number {
        4 | 5 => ("Q4_2 or Q4_3, given up by ggml", "convert the model from its source to Q4_0 or Q4_1"),
        9 => ("Q8_1, an activation type", "store the tensor as Q8_0"),
        15 => ("Q8_K, an activation type", "store the tensor as Q8_0"),
        16..=19 | 22 | 29 => ("an IQ type of 1 or 2 bits", "requantise the model to Q2_K, the nearest type that is read"),
        21 => ("IQ3_S", "requantise the model to Q3_K, the nearest type that is read"),
        20 => ("IQ4_NL", "requantise the model to Q4_0, the nearest type that is read"),
        23 => ("IQ4_XS", "requantise the model to Q4_K, the nearest type that is read"),
        24 => ("I8", "store the tensor as Q8_0 or F16"),
        25 => ("I16", "store the tensor as F16 or F32"),
        26 => ("I32", "store the tensor as F32"),
        27 => ("I64", "store the tensor as F32"),
        28 => ("F64", "store the tensor as F32"),
        31..=33 => ("a repacked Q4_0, given up by ggml", "convert the model from its source to Q4_0"),
        37 | 38 => ("a repacked IQ4_NL, given up by ggml", "convert the model from its source to Q4_0"),
        39 => ("MXFP4", "requantise the model to Q4_K or Q8_0, the nearest types that are read"),
        40 => ("NVFP4", "requantise the model to Q4_K or Q8_0, the nearest types that are read"),
        _ => ("not a known type", CONVERT),
    }
}

/// One entry of the tensor directory, checked against the file.
#[derive(Debug, Clone, Copy)]
pub struct TensorInfo<'a> {
    /// Name in the file.
    pub name: &'a str,
    /// Storage type.
    pub kind: TensorType,
    /// Sizes, fastest first: `[columns, rows, …]`; those from `dimensions` on are 1.
    pub sizes: [u64; MOST_DIMENSIONS],
    /// How many of `sizes` the file gives.
    pub dimensions: u32,
    /// First byte in the data section.
    pub offset: u64,
    /// Bytes in the data section.
    pub stored_bytes: u64,
    /// Which file of a split model holds it, from 0.
    pub part: u32,
    /// The form in the file, where the bytes here are made from another one (models that are not GGUF).
    pub origin: Option<&'static str>,
}

impl TensorInfo<'_> {
    /// Elements of a row (the fastest dimension).
    pub fn columns(&self) -> u64 {
        self.sizes[0]
    }

    /// Number of elements.
    pub fn elements(&self) -> u64 {
        self.sizes.iter().product()
    }

    /// Sizes as the file gives them, for messages: `[256, 768]`.
    pub fn shape_text(&self) -> String {
        format!("{:?}", &self.sizes[..self.dimensions as usize])
    }
}
