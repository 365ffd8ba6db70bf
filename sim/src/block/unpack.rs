//! `unpack`: super-words to array words of trits. Two stages that move together, as `unpack.sv`.

use super::skid::Skid;
use crate::{
    clocked::{Block, PowerUp},
    ports,
};
use tritforge_spec::{
    bits::Bits,
    block::unpack::Params,
    pack::{ILLEGAL, code_table},
};

ports! {
    /// Inputs of `unpack`.
    pub struct In {
        rst: bool, clear: bool,
        cmd_valid: bool, cmd_words: u32,
        in_valid: bool, in_data: Bits,
        t_ready: bool,
    }
    /// Outputs of `unpack`.
    pub struct Out {
        cmd_ready: bool, in_ready: bool,
        t_valid: bool, t_trits: Bits,
        bad: bool, bad_word: u32,
    }
}

/// What stage 1 holds besides the bytes.
#[derive(Clone, Copy, Default)]
struct Stage {
    /// It holds a chunk.
    chunk: bool,
    /// The chunk ends an array word.
    word: bool,
    /// The chunk is the last of its super-word.
    super_word: bool,
    step: usize,
}

/// The block.
pub struct Unpack {
    params: Params,
    /// Codes of each byte, see [`code_table`].
    table: [u16; 256],
    cmd: Skid<u32>,
    input: Skid<Bits>,
    /// Array words left of the section.
    left: u32,
    step: usize,
    stage: Stage,
    /// The bytes of stage 1.
    bytes: Vec<u8>,
    valid: bool,
    trits: Bits,
    bad: bool,
    bad_word: u32,
    /// Super-words decoded since reset or clear.
    seen: u32,
}

impl Unpack {
    /// The array word on `t`; means something while `t_valid`.
    pub fn trits(&self) -> &Bits {
        &self.trits
    }

    /// Copies the bytes of step `step` of the super-word in the skid to stage 1.
    fn fetch(&mut self, step: usize) {
        let words = self.input.head().words();
        if self.params.slices() == 1 {
            for (bytes, word) in self.bytes.chunks_mut(8).zip(words.iter().copied().chain(std::iter::repeat(0))) {
                bytes.copy_from_slice(&word.to_le_bytes()[..bytes.len()]);
            }
            return;
        }
        let at = step * self.bytes.len();
        for (i, byte) in self.bytes.iter_mut().enumerate() {
            *byte = (words.get((at + i) / 8).copied().unwrap_or(0) >> (8 * ((at + i) % 8))) as u8;
        }
    }

    /// Decodes stage 1 into part `part` of the array word; whether a byte was illegal.
    fn decode(&mut self, part: usize) -> bool {
        let width = 2 * self.params.packing.trits_per_byte();
        let base = part * 2 * self.params.chunk();
        let mut all = 0;
        // Whole bytes of codes are gathered so that a vector is written in few pieces.
        let per_write = 64 / width;
        for (w, group) in self.bytes.chunks(per_write).enumerate() {
            let mut codes = 0u64;
            for (i, &byte) in group.iter().enumerate() {
                let entry = self.table[byte as usize];
                all |= entry;
                codes |= ((entry & !ILLEGAL) as u64) << (width * i);
            }
            self.trits.set(base + w * per_write * width, group.len() * width, codes);
        }
        all & ILLEGAL != 0
    }
}

impl Block for Unpack {
    type Params = Params;
    type In = In;
    type Out = Out;

    fn new(params: &Params, power_up: PowerUp) -> Self {
        let word = |i| power_up.word("unpack", i);
        let parts = params.parts();
        Self {
            params: params.clone(),
            table: code_table(params.packing),
            cmd: Skid::new(),
            input: Skid::new(),
            left: word(0) as u32,
            step: 0,
            stage: Stage { chunk: word(1) & 1 != 0, word: word(1) & 2 != 0, super_word: word(1) & 4 != 0, step: word(2) as usize % parts },
            bytes: vec![word(3) as u8; params.chunk() / params.packing.trits_per_byte()],
            valid: word(4) & 1 != 0,
            trits: Bits::zeros(2 * params.lanes),
            bad: word(5) & 1 != 0,
            bad_word: word(6) as u32,
            seen: word(7) as u32,
        }
    }

    fn out(&self) -> Out {
        Out {
            cmd_ready: self.cmd.ready(),
            in_ready: self.input.ready(),
            t_valid: self.valid,
            t_trits: self.trits.clone(),
            bad: self.bad,
            bad_word: self.bad_word,
        }
    }

    fn step(&mut self, i: &In) {
        let (slices, parts) = (self.params.slices(), self.params.parts());
        let free = !self.valid || i.t_ready;
        let take = free && self.input.valid() && self.left != 0;
        let last_step = self.step == slices.max(parts) - 1;
        let word_done = take && (parts == 1 || last_step);
        let super_done = take && (slices == 1 || last_step || self.left == 1);
        let cmd_take = self.left == 0 || (self.left == 1 && word_done);

        // Stage 2, then stage 1: each from what stood before the edge.
        if free {
            let stage = self.stage;
            let illegal = stage.chunk && self.decode(stage.step % parts);
            if illegal && !self.bad {
                (self.bad, self.bad_word) = (true, self.seen);
            }
            self.seen = self.seen.wrapping_add((stage.chunk && stage.super_word) as u32);
            self.valid = stage.chunk && stage.word;
            if take {
                self.fetch(self.step);
            }
            self.stage = Stage { chunk: take, word: word_done, super_word: super_done, step: self.step };
        }
        let words = self.cmd.peek().copied();
        match (cmd_take, words) {
            (true, Some(words)) => self.left = words,
            _ if word_done => self.left -= 1,
            _ => {}
        }
        if take {
            let ended = if parts > 1 { word_done } else { super_done };
            self.step = if ended { 0 } else { self.step + 1 };
        }
        self.cmd.step(i.rst, i.cmd_valid, || i.cmd_words, cmd_take);
        self.input.step(i.rst, i.in_valid, || i.in_data.clone(), super_done);
        if i.rst {
            (self.left, self.step, self.valid, self.stage) = (0, 0, false, Stage::default());
        }
        if i.rst || i.clear {
            (self.bad, self.bad_word, self.seen) = (false, 0, 0);
        }
    }
}
