//! `xstore`: groups to super-words and one write segment a vector. The partner of `rtl/verilog/xstore.sv`.

use super::skid::Skid;
use crate::{
    clocked::{Block, PowerUp},
    ports,
};
use tritforge_spec::{
    bits::{Bits, mask},
    block::{xload, xstore::Params},
};

ports! {
    /// Inputs of `xstore`.
    pub struct In {
        rst: bool, cmd_valid: bool, cmd_off: u32, cmd_n: usize, y_valid: bool, y_data: Bits, wseg_ready: bool, wd_ready: bool,
    }
    /// Outputs of `xstore`.
    pub struct Out {
        cmd_ready: bool, y_ready: bool, wseg_valid: bool, wseg_off: u32, wseg_beats: u64, wd_valid: bool, wd_data: Bits, wd_strb: Bits,
        idle: bool,
    }
}

/// State of `xstore`.
pub struct Xstore {
    params: xload::Params,
    cmd: Skid<(u32, usize)>,
    y: Skid<Bits>,
    /// Segments sent of this command, and the one that waits.
    segments: usize,
    segment: Option<u32>,
    next_off: u32,
    token: usize,
    group: usize,
    sub: usize,
    word: Bits,
    word_valid: bool,
}

impl Block for Xstore {
    type Params = Params;
    type In = In;
    type Out = Out;

    fn new(params: &Params, _power_up: PowerUp) -> Self {
        Self {
            params: params.0.clone(),
            cmd: Skid::new(),
            y: Skid::new(),
            segments: 0,
            segment: None,
            next_off: 0,
            token: 0,
            group: 0,
            sub: 0,
            word: Bits::zeros(params.0.word_bits),
            word_valid: false,
        }
    }

    fn out(&self) -> Out {
        let bytes = self.params.word_bits / 8;
        let ones = vec![u64::MAX; bytes.div_ceil(64)];
        Out {
            cmd_ready: self.cmd.ready(),
            y_ready: self.y.ready(),
            wseg_valid: self.segment.is_some(),
            wseg_off: self.segment.unwrap_or_default(),
            wseg_beats: self.params.vector_words() as u64 & mask(16),
            wd_valid: self.word_valid,
            wd_data: self.word.clone(),
            wd_strb: Bits::from_words(bytes, &ones),
            idle: !self.cmd.valid() && self.segment.is_none() && !self.word_valid,
        }
    }

    fn step(&mut self, i: &In) {
        let p = &self.params;
        let (run, (off, n)) = (self.cmd.valid(), *self.cmd.head());
        // Not before the vector's first group is there: a segment without data would keep other writers out.
        let due = self.segments < self.token || self.segments == self.token && self.y.valid();
        let push = run && self.segments != n && (self.segment.is_none() || i.wseg_ready) && due;
        let take = run && self.token != n && self.y.valid() && (!self.word_valid || i.wd_ready);
        let vector_last = self.group + 1 == p.groups();
        let word_last = vector_last || self.sub + 1 == p.groups_per_word();
        let done = run && self.segments == n && self.token == n;

        if i.wseg_ready {
            self.segment = None;
        }
        if push {
            let off = if self.segments == 0 { off } else { self.next_off };
            self.segment = Some(off);
            self.next_off = off.wrapping_add(p.vector_words() as u32);
            self.segments += 1;
        }
        if i.wd_ready {
            self.word_valid = false;
        }
        if take {
            if self.sub == 0 {
                self.word = Bits::zeros(p.word_bits);
            }
            self.word.put(32 * p.vec * self.sub, self.y.head());
            self.word_valid = word_last;
            self.sub = if word_last { 0 } else { self.sub + 1 };
            self.group = if vector_last { 0 } else { self.group + 1 };
            self.token += vector_last as usize;
        }
        if done {
            (self.segments, self.token) = (0, 0);
        }
        if i.rst {
            (self.segments, self.token, self.group, self.sub) = (0, 0, 0, 0);
            self.segment = None;
            self.word_valid = false;
        }
        self.cmd.step(i.rst, i.cmd_valid, || (i.cmd_off, i.cmd_n), done);
        self.y.step(i.rst, i.y_valid, || i.y_data.clone(), take);
    }
}
