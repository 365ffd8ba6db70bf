//! Timing of `ctrl`. What a descriptor says is asked for when it is checked.

use crate::skip::{
    ask,
    pieces::{Count, Segment, word},
    signals::{Command, Signals, from, into, level},
};
use tritforge_spec::block::ctrl::{Params, aux_dest, weight_dest};

const GO: u32 = into("ctrl", "go");
const DESC: u32 = into("ctrl", "desc");
const CONST: u32 = into("ctrl", "const");
const DSEG: u32 = from("ctrl", "dseg");
const WSEG: u32 = from("ctrl", "wseg");

/// Commands in the order of the data flow; the one before `Xload` is the segment of x. With each: it is the o-projection's.
const COMMANDS: [(u32, bool); 14] = [
    (from("ctrl", "xload"), false),
    (from("ctrl", "norm"), false),
    (from("ctrl", "resid"), false),
    (from("ctrl", "unpack"), false),
    (from("ctrl", "tmac"), false),
    (from("ctrl", "rope"), false),
    (from("ctrl", "headq"), false),
    (from("ctrl", "kvwrite"), false),
    (from("ctrl", "kvread"), false),
    (from("ctrl", "attn"), false),
    (from("ctrl", "norm"), true),
    (from("ctrl", "unpack"), true),
    (from("ctrl", "tmac"), true),
    (from("ctrl", "xstore"), true),
];
const STEPS: u8 = COMMANDS.len() as u8 + 1;

/// Bits of all streams of commands.
const COMMAND_STREAMS: u64 = {
    let (mut all, mut i) = (0, 0);
    while i < COMMANDS.len() {
        all |= 1 << COMMANDS[i].0;
        i += 1;
    }
    all
};

/// What a descriptor says: tokens; offsets modulo the burst length of the weights, of x and of y; whether another follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Job {
    pub n: u8,
    pub weights: u16,
    pub x_in: u16,
    pub x_out: u16,
    pub more: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Fetch {
    #[default]
    Idle,
    Request,
    Ask,
    Words,
    Check,
    Segments,
    Push,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Execute {
    #[default]
    Idle,
    Const,
    Issue,
    Wait,
}

/// State.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ctrl {
    go: Count,
    desc: Count,
    consts: Count,
    fetch: Fetch,
    /// Offset of the next descriptor modulo the burst length.
    ptr: u16,
    fetch_word: u16,
    section: u8,
    fetched: Job,
    slot: Option<Job>,
    execute: Execute,
    exec_word: u16,
    step: u8,
    job: Job,
}

/// Beats of the five sections of a layer and where they go.
pub fn section(p: &Params, section: u8) -> (u32, u8) {
    let (words, dest) = match section {
        0 => (p.desc_words(), weight_dest::CONST),
        1 => (p.gain1_words, weight_dest::GAIN),
        2 => (p.qkv_words, weight_dest::PACKED),
        3 => (p.gain2_words, weight_dest::GAIN),
        _ => (p.o_words, weight_dest::PACKED),
    };
    (words as u32, dest)
}

impl Ctrl {
    /// The descriptors begin at `ptr` modulo the burst length.
    pub fn begins_at(&mut self, ptr: u16) {
        self.ptr = ptr;
    }

    /// What was asked for.
    pub fn job_is(&mut self, job: Job) {
        self.fetched = job;
    }

    /// Nothing is to do.
    pub fn idle(&self) -> bool {
        !self.working() && !self.go.valid()
    }

    fn working(&self) -> bool {
        self.fetch != Fetch::Idle || self.slot.is_some() || self.execute != Execute::Idle
    }

    fn loads_x(&self) -> bool {
        self.execute == Execute::Issue && self.step == 0 && self.fetch != Fetch::Ask
    }

    /// The clock edge; what is asked for goes to `asks`.
    pub fn step(&mut self, p: &Params, burst: u16, s: &mut Signals, asks: &mut u32) {
        let working = self.working();
        let load_x = self.loads_x();
        let (desc_take, const_take) = (self.fetch == Fetch::Words, self.execute == Execute::Const);
        let slot_was_empty = self.slot.is_none();
        let words = p.desc_words() as u16;
        match self.fetch {
            Fetch::Idle if !working && self.go.valid() => self.fetch = Fetch::Request,
            Fetch::Request if !load_x => self.fetch = Fetch::Ask,
            Fetch::Ask if s.moves(DSEG) => (self.fetch, self.fetch_word) = (Fetch::Words, 0),
            Fetch::Words if self.desc.valid() => {
                self.fetch_word += 1;
                if self.fetch_word == words {
                    self.fetch = Fetch::Check;
                    *asks |= ask::JOB;
                }
            }
            Fetch::Check => (self.fetch, self.section) = (Fetch::Segments, 0),
            Fetch::Segments if s.moves(WSEG) => {
                let beats = section(p, self.section).0;
                self.fetched.weights = ((u32::from(self.fetched.weights) + beats) % u32::from(burst)) as u16;
                if self.section == 4 {
                    self.fetch = Fetch::Push;
                }
                self.section += 1;
            }
            Fetch::Push if slot_was_empty => {
                self.slot = Some(Job { weights: 0, ..self.fetched });
                self.ptr = (self.ptr + words) % burst;
                self.fetch = if self.fetched.more { Fetch::Request } else { Fetch::Idle };
                self.fetched = Job::default();
            }
            _ => {}
        }
        let mut finished = false;
        match self.execute {
            Execute::Idle if !slot_was_empty => {
                if let Some(job) = self.slot.take() {
                    (self.execute, self.exec_word, self.job) = (Execute::Const, 0, job);
                }
            }
            Execute::Const if self.consts.valid() => {
                self.exec_word += 1;
                if self.exec_word == words {
                    (self.execute, self.step) = (Execute::Issue, 0);
                }
            }
            Execute::Issue => {
                let moved = match self.step {
                    0 => load_x && s.moves(DSEG),
                    n => s.moves(COMMANDS[n as usize - 1].0),
                };
                if moved {
                    self.step += 1;
                    if self.step == STEPS {
                        self.execute = Execute::Wait;
                    }
                }
            }
            Execute::Wait if s.high(level::XSTORE_IDLE | level::KVWRITE_IDLE | level::WRITE_IDLE) => {
                (self.execute, finished, self.job) = (Execute::Idle, true, Job::default());
            }
            _ => {}
        }
        self.go.step(word(s.moves(GO)), !working);
        self.desc.step(word(s.moves(DESC)), desc_take);
        self.consts.step(word(s.moves(CONST)), const_take);
        s.level(level::FINISHED, finished);
        self.outputs(p, s);
    }

    /// Drives the outputs.
    pub fn outputs(&self, p: &Params, s: &mut Signals) {
        s.accept(GO, self.go.ready());
        s.accept(DESC, self.desc.ready());
        s.accept(CONST, self.consts.ready());
        let load_x = self.loads_x();
        s.offer(DSEG, load_x || self.fetch == Fetch::Ask);
        s.payload.dseg = if load_x {
            (Segment { off: self.job.x_in, beats: u32::from(self.job.n) * p.x_words as u32 }, aux_dest::X)
        } else {
            (Segment { off: self.ptr, beats: p.desc_words() as u32 }, aux_dest::DESCRIPTOR)
        };
        s.offer(WSEG, self.fetch == Fetch::Segments);
        if self.fetch == Fetch::Segments {
            let (beats, dest) = section(p, self.section);
            s.payload.wseg = (Segment { off: self.fetched.weights, beats }, dest);
        }
        let issued = (self.execute == Execute::Issue && self.step > 0).then(|| COMMANDS[self.step as usize - 1]);
        s.offer_only(COMMAND_STREAMS, issued.map_or(0, |c| 1 << c.0));
        s.payload.command = Command { n: self.job.n, second: issued.is_some_and(|c| c.1) };
        s.payload.x_out = self.job.x_out;
        s.level(level::CTRL_BUSY, self.working() || self.go.valid());
    }
}
