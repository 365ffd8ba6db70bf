//! Where cycles went, by cause.

/// Where every cycle of a pass went: each is in exactly one of these, the first that applies, so they add up to the pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Account {
    /// The ternary array consumed a word.
    pub computing: u64,
    /// The array had activations but no weights.
    pub weights: u64,
    /// The array could not deliver its sums.
    pub back_pressure: u64,
    /// The array had nothing to do, the score/value engine consumed a KV word.
    pub attention: u64,
    /// Neither computed: the score/value engine was ready between two KV words, and none was there.
    pub kv: u64,
    /// Before the array's first word: doorbell, descriptor, constants, x, first norm.
    pub start: u64,
    /// After the array's last word: residual, store, write responses, interrupt.
    pub drain: u64,
    /// All other cycles: latencies of quantiser, RoPE, softmax, division and sub-norm that nothing overlaps.
    pub bubbles: u64,
}

impl Account {
    /// The cycles of all causes.
    pub fn total(&self) -> u64 {
        self.list().iter().map(|cause| cause.1).sum()
    }

    /// Cause and cycles, in the order in which the first that applies is taken.
    pub fn list(&self) -> [(&'static str, u64); 8] {
        [
            ("computing", self.computing),
            ("weights", self.weights),
            ("back-pressure", self.back_pressure),
            ("attention", self.attention),
            ("KV", self.kv),
            ("start", self.start),
            ("drain", self.drain),
            ("bubbles", self.bubbles),
        ]
    }
}

impl std::ops::AddAssign for Account {
    fn add_assign(&mut self, other: Self) {
        self.computing += other.computing;
        self.weights += other.weights;
        self.back_pressure += other.back_pressure;
        self.attention += other.attention;
        self.kv += other.kv;
        self.start += other.start;
        self.drain += other.drain;
        self.bubbles += other.bubbles;
    }
}
