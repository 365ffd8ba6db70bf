//! `ctrl`: the descriptor machine, cycle-exact to `ctrl.sv`. In: doorbell, descriptor and constant words; out: segments and commands.

use super::skid::Skid;
use crate::{
    clocked::{Block, PowerUp},
    ports,
};
use tritforge_spec::{
    bits::Bits,
    block::ctrl::{Params, aux_dest, const_index, weight_dest},
    descriptor::{self, Opcode, RESERVED, WORDS},
};

ports! {
    /// Inputs of `ctrl`.
    pub struct In {
        rst: bool, go_valid: bool, go_ptr: u32, go_count: u16, desc_valid: bool, desc_data: Bits, const_valid: bool, const_data: Bits,
        dseg_ready: bool, wseg_ready: bool, xload_ready: bool, norm_ready: bool, resid_ready: bool, unpack_ready: bool,
        tmac_ready: bool, rope_ready: bool, headq_ready: bool, kvwrite_ready: bool, kvread_ready: bool, attn_ready: bool,
        xstore_ready: bool, xstore_idle: bool, kvwrite_idle: bool, write_idle: bool,
    }
    /// Outputs of `ctrl`.
    pub struct Out {
        go_ready: bool, desc_ready: bool, const_ready: bool,
        dseg_valid: bool, dseg_off: u32, dseg_beats: u32, dseg_dest: u8,
        wseg_valid: bool, wseg_off: u32, wseg_beats: u32, wseg_dest: u8,
        xload_valid: bool, xload_n: u8,
        norm_valid: bool, norm_groups: u16, norm_n: u8, norm_src: bool, norm_dest: bool, norm_eps: u64, norm_c: u32,
        resid_valid: bool, resid_n: u8, unpack_valid: bool, unpack_words: u32,
        tmac_valid: bool, tmac_acts: u32, tmac_wpr: u16, tmac_rows: u32, tmac_n: u8, tmac_dest: bool,
        rope_valid: bool, rope_pos: u16, rope_n: u8, headq_valid: bool, headq_n: u8,
        kvwrite_valid: bool, kvwrite_layer: u8, kvwrite_slot: u8, kvwrite_pos: u16, kvwrite_n: u8,
        kvread_valid: bool, kvread_layer: u8, kvread_slot: u8, kvread_pos: u16, kvread_n: u8,
        attn_valid: bool, attn_n: u8, xstore_valid: bool, xstore_off: u32, xstore_n: u8,
        cq: u32, ck: u32, cv: u32, co: u32, busy: bool, finished: bool, err: bool, err_field: bool, err_off: u32,
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fetch {
    Idle,
    Request,
    Ask,
    Words,
    Check,
    Segments,
    Push,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Execute {
    Idle,
    Const,
    Issue,
    Wait,
}

/// Steps of the issue state, in the order of the data flow; the index is the step.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    LoadX,
    Xload,
    Norm1,
    Resid,
    UnpackQkv,
    TmacQkv,
    Rope,
    Headq,
    KvWrite,
    KvRead,
    Attn,
    Norm2,
    UnpackO,
    TmacO,
    Xstore,
}

const STEPS: [Step; 15] = [
    Step::LoadX,
    Step::Xload,
    Step::Norm1,
    Step::Resid,
    Step::UnpackQkv,
    Step::TmacQkv,
    Step::Rope,
    Step::Headq,
    Step::KvWrite,
    Step::KvRead,
    Step::Attn,
    Step::Norm2,
    Step::UnpackO,
    Step::TmacO,
    Step::Xstore,
];

type Words = [u32; WORDS];

/// `ctrl` as a block.
pub struct Ctrl {
    p: Params,
    go: Skid<(u32, u16)>,
    desc: Skid<Bits>,
    consts: Skid<Bits>,
    fetch: Fetch,
    ptr: u32,
    left: u16,
    fetch_word: usize,
    section: usize,
    weights: u32,
    fetched: Words,
    slot: Option<Words>,
    execute: Execute,
    exec_word: usize,
    step: usize,
    job: Words,
    constants: Words,
    constants_valid: bool,
    finished: bool,
    err: bool,
    err_field: bool,
    err_off: u32,
}

/// Puts super-word `index` of a 64-byte record into its 32-bit words.
fn capture(record: &mut Words, index: usize, word_bits: usize, data: &Bits) {
    let per_word = word_bits / 32;
    for i in 0..per_word {
        if let Some(w) = record.get_mut(index * per_word + i) {
            *w = data.get(i * 32, 32) as u32;
        }
    }
}

impl Ctrl {
    fn working(&self) -> bool {
        self.fetch != Fetch::Idle || self.slot.is_some() || self.execute != Execute::Idle
    }

    /// The command that is offered in this cycle. dseg serves both machines: the fetch machine comes forward only from a cycle in
    /// which the other does not ask, and keeps it out while it asks, so a request that waits never changes.
    fn issuing(&self) -> Option<Step> {
        let step = STEPS.get(self.step).copied().filter(|_| self.execute == Execute::Issue)?;
        (step != Step::LoadX || self.fetch != Fetch::Ask).then_some(step)
    }

    /// Super-words and destination of section `self.section` of the layer segment.
    fn section(&self) -> (u32, u8) {
        let p = &self.p;
        let (words, dest) = match self.section {
            0 => (p.desc_words(), weight_dest::CONST),
            1 => (p.gain1_words, weight_dest::GAIN),
            2 => (p.qkv_words, weight_dest::PACKED),
            3 => (p.gain2_words, weight_dest::GAIN),
            _ => (p.o_words, weight_dest::PACKED),
        };
        (words as u32, dest)
    }

    fn opcode_ok(&self) -> bool {
        descriptor::OPCODE.get(&self.fetched) == Opcode::Attention as u32
            && descriptor::FORMAT.get(&self.fetched) == u32::from(descriptor::VERSION)
    }

    fn fields_ok(&self) -> bool {
        let f = |field: descriptor::Field| field.get(&self.fetched) as usize;
        let count = f(descriptor::COUNT);
        f(descriptor::LAYER) < self.p.layers
            && f(descriptor::SLOT) < self.p.slots
            && (1..=self.p.batch).contains(&count)
            && f(descriptor::POS) + count <= self.p.context
            && self.fetched.iter().zip(RESERVED).all(|(word, reserved)| word & reserved == 0)
    }

    fn step_ready(&self, step: Step, i: &In) -> bool {
        match step {
            Step::LoadX => i.dseg_ready,
            Step::Xload => i.xload_ready,
            Step::Norm1 | Step::Norm2 => i.norm_ready,
            Step::Resid => i.resid_ready,
            Step::UnpackQkv | Step::UnpackO => i.unpack_ready,
            Step::TmacQkv | Step::TmacO => i.tmac_ready,
            Step::Rope => i.rope_ready,
            Step::Headq => i.headq_ready,
            Step::KvWrite => i.kvwrite_ready,
            Step::KvRead => i.kvread_ready,
            Step::Attn => i.attn_ready,
            Step::Xstore => i.xstore_ready,
        }
    }

    fn step_fetch(&mut self, i: &In, working: bool, load_x: bool) {
        match self.fetch {
            Fetch::Idle => {
                if let Some(&(ptr, count)) = self.go.peek()
                    && !working
                    && count != 0
                {
                    (self.fetch, self.ptr, self.left) = (Fetch::Request, ptr, count);
                }
            }
            Fetch::Request => {
                if !load_x {
                    self.fetch = Fetch::Ask;
                }
            }
            Fetch::Ask => {
                if i.dseg_ready {
                    (self.fetch, self.fetch_word) = (Fetch::Words, 0);
                }
            }
            Fetch::Words => {
                if let Some(data) = self.desc.peek() {
                    capture(&mut self.fetched, self.fetch_word, self.p.word_bits, data);
                    self.fetch_word += 1;
                    if self.fetch_word == self.p.desc_words() {
                        self.fetch = Fetch::Check;
                    }
                }
            }
            Fetch::Check => {
                let opcode_ok = self.opcode_ok();
                if opcode_ok && self.fields_ok() {
                    (self.fetch, self.section, self.weights) = (Fetch::Segments, 0, descriptor::WEIGHTS.get(&self.fetched));
                } else {
                    if !self.err {
                        (self.err_field, self.err_off) = (opcode_ok, self.ptr);
                    }
                    (self.fetch, self.err) = (Fetch::Idle, true);
                }
            }
            Fetch::Segments => {
                if i.wseg_ready {
                    self.weights = self.weights.wrapping_add(self.section().0);
                    if self.section == 4 {
                        self.fetch = Fetch::Push;
                    }
                    self.section += 1;
                }
            }
            // The slot's state of this cycle counts: it was taken before the execute machine emptied it.
            Fetch::Push => {
                if self.slot.is_none() {
                    self.slot = Some(self.fetched);
                    self.ptr = self.ptr.wrapping_add(self.p.desc_words() as u32);
                    self.left = self.left.wrapping_sub(1);
                    self.fetch = if self.left == 0 { Fetch::Idle } else { Fetch::Request };
                }
            }
        }
    }

    fn step_execute(&mut self, i: &In, issuing: Option<Step>) {
        self.finished = false;
        match self.execute {
            Execute::Idle => {
                if let Some(job) = self.slot.take() {
                    (self.execute, self.exec_word, self.job) = (Execute::Const, 0, job);
                }
            }
            Execute::Const => {
                self.constants_valid = false;
                if let Some(data) = self.consts.peek() {
                    capture(&mut self.constants, self.exec_word, self.p.word_bits, data);
                    self.exec_word += 1;
                    if self.exec_word == self.p.desc_words() {
                        (self.execute, self.step, self.constants_valid) = (Execute::Issue, 0, true);
                    }
                }
            }
            Execute::Issue => {
                if issuing.is_some_and(|step| self.step_ready(step, i)) {
                    self.step += 1;
                    if self.step == STEPS.len() {
                        self.execute = Execute::Wait;
                    }
                }
            }
            Execute::Wait => {
                if i.xstore_idle && i.kvwrite_idle && i.write_idle {
                    (self.execute, self.finished) = (Execute::Idle, true);
                }
            }
        }
    }
}

impl Block for Ctrl {
    type Params = Params;
    type In = In;
    type Out = Out;

    fn new(params: &Params, power_up: PowerUp) -> Self {
        let words = |name| std::array::from_fn(|i| power_up.word(name, i as u64) as u32);
        Ctrl {
            p: params.clone(),
            go: Skid::new(),
            desc: Skid::new(),
            consts: Skid::new(),
            fetch: Fetch::Idle,
            ptr: 0,
            left: 0,
            fetch_word: 0,
            section: 0,
            weights: 0,
            fetched: words("desc_q"),
            slot: None,
            execute: Execute::Idle,
            exec_word: 0,
            step: 0,
            job: words("job_q"),
            constants: words("const_q"),
            constants_valid: false,
            finished: false,
            err: false,
            err_field: false,
            err_off: 0,
        }
    }

    fn out(&self) -> Out {
        let p = &self.p;
        let n = descriptor::COUNT.get(&self.job) as u8;
        let job = |field: descriptor::Field| field.get(&self.job);
        let issue = self.issuing();
        let at = |step| issue == Some(step);
        let second = matches!(issue, Some(Step::Norm2 | Step::UnpackO | Step::TmacO));
        let constant = |index: usize| self.constants[index] & 0xff_ffff;
        let level = |index| if self.constants_valid { constant(index) } else { 0 };
        let eps = if second { const_index::EPS2 } else { const_index::EPS1 };
        let (section_words, section_dest) = self.section();
        let k_groups = if second { p.q_dim } else { p.dim } / p.vec;
        Out {
            go_ready: self.go.ready(),
            desc_ready: self.desc.ready(),
            const_ready: self.consts.ready(),
            dseg_valid: at(Step::LoadX) || self.fetch == Fetch::Ask,
            dseg_off: if at(Step::LoadX) { job(descriptor::X_IN) } else { self.ptr },
            dseg_beats: if at(Step::LoadX) { u32::from(n) * p.x_words as u32 } else { p.desc_words() as u32 },
            dseg_dest: if at(Step::LoadX) { aux_dest::X } else { aux_dest::DESCRIPTOR },
            wseg_valid: self.fetch == Fetch::Segments,
            wseg_off: self.weights,
            wseg_beats: section_words,
            wseg_dest: section_dest,
            xload_valid: at(Step::Xload),
            xload_n: n,
            norm_valid: at(Step::Norm1) || at(Step::Norm2),
            norm_groups: k_groups as u16,
            norm_n: n,
            norm_src: second,
            norm_dest: second,
            norm_eps: u64::from(self.constants[eps]) | u64::from(self.constants[eps + 1]) << 32,
            norm_c: constant(if second { const_index::C_NORM2 } else { const_index::C_NORM1 }),
            resid_valid: at(Step::Resid),
            resid_n: n,
            unpack_valid: at(Step::UnpackQkv) || at(Step::UnpackO),
            unpack_words: if second { p.dim * p.wpr_q } else { (p.q_dim + 2 * p.kv_dim) * p.wpr_d } as u32,
            tmac_valid: at(Step::TmacQkv) || at(Step::TmacO),
            tmac_acts: u32::from(n) * k_groups as u32,
            tmac_wpr: if second { p.wpr_q } else { p.wpr_d } as u16,
            tmac_rows: if second { p.dim } else { p.q_dim + 2 * p.kv_dim } as u32,
            tmac_n: n,
            tmac_dest: second,
            rope_valid: at(Step::Rope),
            rope_pos: job(descriptor::POS) as u16,
            rope_n: n,
            headq_valid: at(Step::Headq),
            headq_n: n,
            kvwrite_valid: at(Step::KvWrite),
            kvwrite_layer: job(descriptor::LAYER) as u8,
            kvwrite_slot: job(descriptor::SLOT) as u8,
            kvwrite_pos: job(descriptor::POS) as u16,
            kvwrite_n: n,
            kvread_valid: at(Step::KvRead),
            kvread_layer: job(descriptor::LAYER) as u8,
            kvread_slot: job(descriptor::SLOT) as u8,
            kvread_pos: job(descriptor::POS) as u16,
            kvread_n: n,
            attn_valid: at(Step::Attn),
            attn_n: n,
            xstore_valid: at(Step::Xstore),
            xstore_off: job(descriptor::X_OUT),
            xstore_n: n,
            cq: level(const_index::C_Q),
            ck: level(const_index::C_K),
            cv: level(const_index::C_V),
            co: level(const_index::C_O),
            busy: self.working() || self.go.valid(),
            finished: self.finished,
            err: self.err,
            err_field: self.err_field,
            err_off: self.err_off,
        }
    }

    fn step(&mut self, i: &In) {
        let working = self.working();
        let issuing = self.issuing();
        let load_x = issuing == Some(Step::LoadX);
        let go_take = !working;
        let desc_take = self.fetch == Fetch::Words;
        let const_take = self.execute == Execute::Const;
        let slot_was_empty = self.slot.is_none();
        // Fetch before execute, so that a slot emptied in this cycle is still full for the fetch machine; a slot filled in
        // this cycle is not yet there for the execute machine.
        self.step_fetch(i, working, load_x);
        let filled = if slot_was_empty { self.slot.take() } else { None };
        self.step_execute(i, issuing);
        if filled.is_some() {
            self.slot = filled;
        }
        self.go.step(i.rst, i.go_valid, || (i.go_ptr, i.go_count), go_take);
        self.desc.step(i.rst, i.desc_valid, || i.desc_data.clone(), desc_take);
        self.consts.step(i.rst, i.const_valid, || i.const_data.clone(), const_take);
        if i.rst {
            (self.fetch, self.execute, self.slot) = (Fetch::Idle, Execute::Idle, None);
            (self.finished, self.constants_valid) = (false, false);
            (self.err, self.err_field, self.err_off) = (false, false, 0);
        }
    }
}
