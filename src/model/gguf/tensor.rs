//! Tensor types and directory entries: how many elements a stored block holds, how many bytes it takes.

/// Most dimensions that GGUF knows.
pub const MOST_DIMENSIONS: usize = 4;

/// Storage types that are read; the discriminant is the number in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum TensorType {
    /// 32-bit float.
    F32 = 0,
    /// 16-bit float.
    F16 = 1,
    /// 32 signed bytes with one f16 scale before them.
    Q8_0 = 8,
    /// 256 trits, five a byte (most significant first, byte = ceil(code·256/243)), one f16 scale behind them.
    Tq1_0 = 34,
    /// 256 trits, two bits each (code = trit + 1), one f16 scale behind them.
    Tq2_0 = 35,
}

impl TensorType {
    /// Every type that is read.
    pub const ALL: [Self; 5] = [Self::F32, Self::F16, Self::Q8_0, Self::Tq1_0, Self::Tq2_0];

    /// The type with this number, if it is one of those that are read.
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|&kind| kind as u32 == number)
    }

    /// Name as ggml prints it.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::Q8_0 => "Q8_0",
            Self::Tq1_0 => "TQ1_0",
            Self::Tq2_0 => "TQ2_0",
        }
    }

    /// Elements in one stored block; a row is a whole number of blocks.
    pub fn block_elements(self) -> u64 {
        match self {
            Self::F32 | Self::F16 => 1,
            Self::Q8_0 => 32,
            Self::Tq1_0 | Self::Tq2_0 => 256,
        }
    }

    /// Bytes of one stored block.
    pub fn block_bytes(self) -> u64 {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
            Self::Q8_0 => 2 + 32,
            Self::Tq1_0 => 48 + 4 + 2,
            Self::Tq2_0 => 64 + 2,
        }
    }

    /// Gives each element of a stored F32, F16 or Q8_0 tensor, in order, to `out`. (The ternary types are read by
    /// [`super::blocks`], where a bad code has its place; here they give nothing.)
    pub fn for_each_number(self, stored: &[u8], mut out: impl FnMut(f32)) {
        let blocks = stored.chunks_exact(self.block_bytes() as usize);
        match self {
            Self::F32 => blocks.for_each(|b| out(f32::from_le_bytes([b[0], b[1], b[2], b[3]]))),
            Self::F16 => blocks.for_each(|b| out(super::blocks::read_f16([b[0], b[1]]).to_f32())),
            Self::Q8_0 => blocks.for_each(|b| super::blocks::q8_0(b, &mut out)),
            Self::Tq1_0 | Self::Tq2_0 => {}
        }
    }
}

/// Name of a ggml type that is not read, for messages.
pub(super) fn known_name(number: u32) -> &'static str {
    match number {
        2 => "Q4_0",
        3 => "Q4_1",
        6 => "Q5_0",
        7 => "Q5_1",
        9 => "Q8_1",
        10 => "Q2_K",
        11 => "Q3_K",
        12 => "Q4_K",
        13 => "Q5_K",
        14 => "Q6_K",
        15 => "Q8_K",
        16..=23 | 29 => "an IQ type",
        24 => "I8",
        25 => "I16",
        26 => "I32",
        27 => "I64",
        28 => "F64",
        30 => "BF16",
        36 => "I2_S",
        39 => "MXFP4",
        _ => "not a known type",
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
