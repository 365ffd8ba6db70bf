//! `tmac`: the ternary array. A row's sums are computed when its array words are taken; the register stages of `tmac.sv`, which
//! never stall, are one shift register that says when the row reaches the buffer.

use super::skid::Skid;
use crate::{
    clocked::{Block, PowerUp},
    ports,
};
use std::collections::VecDeque;
use tritforge_spec::{
    bits::{Bits, sign_extend},
    block::tmac::{Params, ROWS, SUM_BITS},
};

ports! {
    /// Inputs of `tmac`.
    pub struct In {
        rst: bool,
        cmd_valid: bool, cmd_acts: u32, cmd_wpr: u16, cmd_rows: u32, cmd_n: u8, cmd_dest: bool,
        act_valid: bool, act_token: u8, act_index: u16, act_data: u128,
        t_valid: bool, t_trits: Bits,
        sum0_ready: bool, sum1_ready: bool,
    }
    /// Outputs of `tmac`.
    pub struct Out {
        cmd_ready: bool, act_ready: bool, t_ready: bool,
        sum0_valid: bool, sum0_token: u8, sum0_data: i32,
        sum1_valid: bool, sum1_token: u8, sum1_data: i32,
        busy: bool, wait_w: bool, wait_act: bool, wait_out: bool,
    }
}

/// A phase of rows, as `cmd` gives it.
#[derive(Clone, Copy, Default)]
struct Command {
    acts: u32,
    wpr: u16,
    rows: u32,
    n: u8,
    dest: bool,
}

/// An act beat.
#[derive(Clone, Copy, Default)]
struct Act {
    token: u8,
    index: u16,
    data: u128,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Idle,
    Acts,
    Run,
}

/// The sums of a row, on their way or in the buffer.
#[derive(Clone, Copy)]
struct Row {
    sums: [i32; 16],
    last_token: u8,
    dest: bool,
}

/// The block.
pub struct Tmac {
    params: Params,
    cmd: Skid<Command>,
    act: Skid<Act>,
    state: State,
    need: u32,
    acts: u32,
    last_word: u16,
    rows: u32,
    last_token: u8,
    dest: bool,
    /// The array word of the row that comes next.
    word: u16,
    /// Places for rows of sums.
    free: usize,
    /// Where the last act beat went: group within its array word, array word, lowest bit of its index.
    group: usize,
    place: usize,
    odd: bool,
    /// Activations + 128 `[(token · depth + array word) · stride + lane]`.
    memory: Vec<u8>,
    /// Lanes, padded.
    stride: usize,
    masks: Masks,
    acc: [i32; 16],
    /// Bit i: the last array word of a row was taken i + 1 cycles ago.
    under_way: u64,
    /// Rows whose last array word was taken, oldest first; the first `arrived` of them are in the buffer.
    rows_out: VecDeque<Row>,
    arrived: usize,
    token: u8,
    busy: bool,
    wait_w: bool,
    wait_act: bool,
    wait_out: bool,
}

/// Lanes that [`Masks::dot`] takes at a time.
const MASKED: usize = 16;

/// The trits of an array word as byte masks of its lanes, so that a token's sum is a few byte operations a lane: with
/// u = ((a + 128) ^ negative) & nonzero, a·t is u - 128 for +1, u - 127 for -1 and u for 0.
struct Masks {
    nonzero: Vec<u8>,
    negative: Vec<u8>,
    /// What -128 and -127 add up to.
    constant: i32,
    /// Both masks of the four codes in a byte.
    table: Vec<[[u8; 4]; 2]>,
}

impl Masks {
    /// For `stride` lanes, a multiple of 32.
    fn new(stride: usize) -> Self {
        // Bit 0 of a code: not zero; bit 1: negative.
        let mask = |bit: bool| if bit { 0xff } else { 0 };
        let entry = |byte: usize| [0, 1].map(|bit| [0, 1, 2, 3].map(|j| mask(byte >> (2 * j + bit) & 1 != 0 && byte >> (2 * j) & 1 != 0)));
        Self { nonzero: vec![0; stride], negative: vec![0; stride], constant: 0, table: (0..256).map(entry).collect() }
    }

    /// Takes the codes of an array word, 32 lanes a word.
    fn load(&mut self, codes: &[u64]) {
        const LOW: u64 = 0x5555_5555_5555_5555;
        let (mut nonzero, mut negative) = (0, 0);
        let lanes = self.nonzero.chunks_exact_mut(32).zip(self.negative.chunks_exact_mut(32));
        for ((z, n), &word) in lanes.zip(codes) {
            nonzero += (word & LOW).count_ones() as i32;
            negative += (word >> 1 & word & LOW).count_ones() as i32;
            let places = z.chunks_exact_mut(4).zip(n.chunks_exact_mut(4));
            for ((z, n), byte) in places.zip(word.to_le_bytes()) {
                let masks = &self.table[byte as usize];
                z.copy_from_slice(&masks[0]);
                n.copy_from_slice(&masks[1]);
            }
        }
        self.constant = negative - 128 * nonzero;
    }

    /// Σ a·t for a token's activations + 128 (`MASKED` a time, padded with anything).
    fn dot(&self, acts: &[u8]) -> i32 {
        // At most 4096 lanes: 256 times 255 fits into 16 bits.
        let mut sums = [0u16; MASKED];
        let masks = self.nonzero.chunks_exact(MASKED).zip(self.negative.chunks_exact(MASKED));
        for (a, (z, n)) in acts.chunks_exact(MASKED).zip(masks) {
            for i in 0..MASKED {
                sums[i] = sums[i].wrapping_add(((a[i] ^ n[i]) & z[i]) as u16);
            }
        }
        sums.iter().map(|&s| s as i32).sum::<i32>() + self.constant
    }
}

impl Tmac {
    /// It takes an array word in this cycle.
    pub fn t_ready(&self) -> bool {
        self.state == State::Run && (self.word != self.last_word || self.free > 0)
    }

    fn head(&self) -> Option<&Row> {
        self.rows_out.front().filter(|_| self.arrived > 0)
    }

    /// Writes an act beat where its index says.
    fn write(&mut self, act: Act) {
        let groups = self.params.groups();
        if act.index == 0 {
            (self.group, self.place) = (0, 0);
        } else if (act.index & 1 != 0) != self.odd {
            self.group += 1;
            if self.group == groups {
                (self.group, self.place) = (0, (self.place + 1) % self.params.depth);
            }
        }
        self.odd = act.index & 1 != 0;
        let vec = self.params.vec;
        if (act.token as usize) < self.params.batch {
            let at = (act.token as usize * self.params.depth + self.place) * self.stride;
            let word = &mut self.memory[at..at + self.stride];
            if self.group == 0 {
                word.fill(128);
            }
            for (j, a) in word[self.group * vec..][..vec].iter_mut().enumerate() {
                *a = (act.data >> (8 * j)) as u8 ^ 128;
            }
        }
    }

    /// Adds an array word to the row's sums.
    fn accumulate(&mut self, codes: &Bits) {
        self.masks.load(codes.words());
        let place = self.word as usize % self.params.depth;
        let tokens = (self.last_token as usize + 1).min(self.params.batch);
        for (token, acc) in self.acc[..tokens].iter_mut().enumerate() {
            let at = (token * self.params.depth + place) * self.stride;
            let before = if self.word == 0 { 0 } else { *acc };
            *acc = before.wrapping_add(self.masks.dot(&self.memory[at..at + self.stride]));
        }
    }
}

impl Block for Tmac {
    type Params = Params;
    type In = In;
    type Out = Out;

    fn new(params: &Params, power_up: PowerUp) -> Self {
        let word = |i| power_up.word("tmac", i);
        let stride = params.lanes.next_multiple_of(32);
        let cells = params.batch * params.depth * stride;
        Self {
            params: params.clone(),
            cmd: Skid::new(),
            act: Skid::new(),
            state: [State::Idle, State::Acts, State::Run][word(0) as usize % 3],
            need: word(1) as u32,
            acts: word(2) as u32,
            last_word: word(3) as u16,
            rows: word(4) as u32,
            last_token: word(5) as u8 % params.batch as u8,
            dest: word(6) & 1 != 0,
            word: word(7) as u16 % params.depth as u16,
            free: ROWS,
            group: 0,
            place: 0,
            odd: word(8) & 1 != 0,
            memory: (0..cells as u64).map(|i| power_up.word("memory", i) as u8).collect(),
            stride,
            masks: Masks::new(stride),
            acc: [0; 16],
            under_way: 0,
            rows_out: VecDeque::with_capacity(ROWS + 1),
            arrived: 0,
            token: 0,
            busy: false,
            wait_w: false,
            wait_act: false,
            wait_out: false,
        }
    }

    fn out(&self) -> Out {
        let row = self.head();
        let data = row.map_or(0, |r| sign_extend(r.sums[self.token as usize & 15] as u64, SUM_BITS) as i32);
        Out {
            cmd_ready: self.cmd.ready(),
            act_ready: self.act.ready(),
            t_ready: self.t_ready(),
            sum0_valid: row.is_some_and(|r| !r.dest),
            sum0_token: self.token,
            sum0_data: data,
            sum1_valid: row.is_some_and(|r| r.dest),
            sum1_token: self.token,
            sum1_data: data,
            busy: self.busy,
            wait_w: self.wait_w,
            wait_act: self.wait_act,
            wait_out: self.wait_out,
        }
    }

    fn step(&mut self, i: &In) {
        let t_ready = self.t_ready();
        let fire = t_ready && i.t_valid;
        let row_end = fire && self.word == self.last_word;
        let phase_end = row_end && self.rows == 1;
        let start = self.state == State::Acts && self.acts == self.need;
        let act_take = self.state != State::Run && self.act.valid();
        let cmd_take = self.state == State::Idle && self.cmd.valid();
        let sent = self.head().filter(|r| if r.dest { i.sum1_ready } else { i.sum0_ready }).map(|r| self.token == r.last_token);
        let row_out = sent == Some(true);

        self.busy = fire && !i.rst;
        self.wait_w = t_ready && !i.t_valid && !i.rst;
        self.wait_act = self.state == State::Acts && !start && !i.rst;
        self.wait_out = self.state == State::Run && !t_ready && !i.rst;

        // Sums out, then the row that arrives, then the array word that is taken.
        if row_out {
            self.rows_out.pop_front();
            self.arrived -= 1;
            self.token = 0;
        } else if sent.is_some() {
            self.token += 1;
        }
        self.under_way = self.under_way << 1 | row_end as u64;
        self.arrived += (self.under_way >> (self.params.latency() - 1) & 1) as usize;
        if fire {
            self.accumulate(&i.t_trits);
        }
        if row_end {
            self.rows_out.push_back(Row { sums: self.acc, last_token: self.last_token, dest: self.dest });
            self.rows = self.rows.wrapping_sub(1);
        }
        self.free = self.free + row_out as usize - row_end as usize;
        if fire {
            self.word = if row_end { 0 } else { (self.word + 1) % self.params.depth as u16 };
        }

        if act_take {
            let act = *self.act.head();
            self.write(act);
            self.acts = self.acts.wrapping_add(1);
        }
        if cmd_take {
            let c = *self.cmd.head();
            (self.need, self.last_word, self.rows) = (c.acts, c.wpr.wrapping_sub(1), c.rows);
            (self.last_token, self.dest) = (c.n.wrapping_sub(1), c.dest);
            self.state = State::Acts;
        }
        if start {
            self.state = State::Run;
        }
        if phase_end {
            (self.state, self.acts) = (State::Idle, 0);
        }
        let command = || Command { acts: i.cmd_acts, wpr: i.cmd_wpr, rows: i.cmd_rows, n: i.cmd_n, dest: i.cmd_dest };
        self.cmd.step(i.rst, i.cmd_valid, command, cmd_take);
        let act = || Act { token: i.act_token, index: i.act_index, data: i.act_data };
        self.act.step(i.rst, i.act_valid, act, act_take);
        if i.rst {
            (self.state, self.acts, self.word, self.free) = (State::Idle, 0, 0, ROWS);
            (self.under_way, self.arrived, self.token) = (0, 0, 0);
            self.rows_out.clear();
        }
    }
}
