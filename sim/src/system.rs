//! A whole machine: the top, the memory behind it and the host beside it. Step mode runs every block in every cycle until the host
//! has nothing left to do; skip mode takes time from [`crate::skip`] and values from its executor, and leaves the same memory behind.

use crate::{
    clocked::{Block, PowerUp},
    host::{self, Bench, Fault, Machine, Op, Outcome},
    memory::Memory,
    skip::{
        engine::{Effort, Engine, NoTime},
        flow::LONGEST_PASS,
        values::{Executor, ValueError},
    },
    stats::{PassStats, Recorder, Watch},
    top::Top,
};
use tritforge_spec::{
    descriptor::{self, Descriptor, ErrorCode},
    hw::Hw,
    image::{Image, Layout},
    regmap::{COUNTERS, ERR_CODE_CODE, ERR_CODE_PORT},
    top::Params,
};

/// Why a run was given up.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RunError {
    #[error(
        "no word moved for {QUIET} cycles (cycle {cycle}); waiting: {waiting}; this is a fault of the hardware model, please report it with the command"
    )]
    Stuck { cycle: u64, waiting: String },
    #[error(
        "a pass takes {cycles} cycles: expected at most {LONGEST_PASS}; give a faster memory, or longer bursts and more of them in flight"
    )]
    TooLong { cycles: u64 },
    #[error("the hardware reported error {code} (port {port}, address {addr:#x}): {meaning}")]
    Hardware { code: u8, port: u8, addr: u64, meaning: &'static str },
    #[error(transparent)]
    Rule(#[from] Fault),
    #[error("skip mode: {0}; step mode runs it as the hardware does")]
    Values(#[from] ValueError),
}

/// How passes are run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Every block in every cycle: the partner of the RTL.
    #[default]
    Step,
    /// The same cycles and values, without evaluating every cycle's data.
    Skip,
}

/// One pass of one layer: what goes in and what must come out.
#[derive(Clone, Debug, PartialEq)]
pub struct Pass {
    pub layer: usize,
    pub slot: usize,
    pub pos: usize,
    /// tokens x D.
    pub x: Vec<i32>,
}

/// What a pass gave.
#[derive(Clone, Debug)]
pub struct PassResult {
    /// tokens x D.
    pub y: Vec<i32>,
    pub stats: PassStats,
}

/// The machine.
pub struct System {
    pub top: Top,
    pub bench: Bench,
    hw: Hw,
    layout: Layout,
    cycle: u64,
    watch: Watch,
    recorder: Recorder,
    /// The last cycle in which a word moved on any stream.
    last_move: u64,
    engine: Engine,
    executor: Executor,
    /// The page table as the host writes it.
    pages: Vec<u32>,
    mode: Mode,
    /// The last pass was skipped: the memory's channels stand in the engine.
    skipped: bool,
}

/// Cycles without a word on any stream after which a run counts as stuck: far above any memory latency that makes sense.
pub(crate) const QUIET: u64 = 4_000_000;

impl System {
    /// A machine that has been reset and prepared for `image`, which lies in `memory`.
    ///
    /// # Errors
    /// The preparation did not end.
    pub fn new(hw: &Hw, image: &Image, memory: Memory, power_up: PowerUp) -> Result<Self, RunError> {
        let mut top = Top::new(&Params::from(hw), power_up);
        top.reset();
        let pages = image.layout.page_table(hw.config.slots);
        let mut executor = Executor::new(hw)?;
        executor.set_pages(&pages);
        let mut system = System {
            engine: Engine::new(hw, memory.config(), pages.clone()),
            pages,
            executor,
            mode: Mode::Step,
            skipped: false,
            watch: Watch::new(&top),
            recorder: Recorder::new(hw.ports()),
            last_move: 0,
            top,
            bench: Bench::new(hw, image, memory),
            hw: hw.clone(),
            layout: image.layout.clone(),
            cycle: 0,
        };
        system.bench.push(host::setup(hw, &image.layout));
        system.run(&mut |_, _| {})?;
        Ok(system)
    }

    /// From the next pass on, passes are run in this mode; it may change at every pass.
    pub fn set_mode(&mut self, mode: Mode) {
        self.mode = mode;
    }

    /// Cycles that skip mode remembered, and all that passed in it.
    pub fn effort(&self) -> Effort {
        self.engine.effort()
    }

    /// Cycles since reset.
    pub fn cycle(&self) -> u64 {
        self.cycle
    }

    /// Runs the host's operations to their end; `see` looks at every cycle.
    fn run(&mut self, see: &mut dyn FnMut(u64, &Top)) -> Result<(), RunError> {
        self.last_move = self.cycle;
        let (watch, recorder, last_move) = (&mut self.watch, &mut self.recorder, &mut self.last_move);
        host::run(&mut self.top, &mut self.bench, &mut self.cycle, |c| {
            if c.index - *last_move > QUIET {
                let waiting = c.machine.handshakes().filter(|h| h.2).map(|h| format!("{}.{}", h.0, h.1)).collect::<Vec<_>>().join(", ");
                return Err(RunError::Stuck { cycle: c.index, waiting });
            }
            let seen = watch.look(c.machine);
            if seen.0 != 0 {
                *last_move = c.index;
            }
            // Between the marks.
            if c.bench.results.iter().filter(|r| matches!(r, Outcome::Cycle(_))).count() == 1 {
                recorder.see(c.index, seen, (c.out.m_wvalid & c.input.m_wready).count_ones().into());
            }
            see(c.index, c.machine);
            Ok(())
        })
    }

    /// The hardware takes this pass; else it reports an error, which step mode shows.
    fn legal(&self, layer: usize, slot: usize, pos: usize, tokens: usize) -> bool {
        let fits = layer < self.hw.shape.layers && slot < self.hw.config.slots && (1..=self.hw.config.batch).contains(&tokens);
        fits && pos.saturating_add(tokens) <= self.hw.context()
    }

    /// Runs one pass; in step mode `see` looks at every cycle (waves).
    ///
    /// # Errors
    /// The hardware reported an error, broke an AXI rule, or did not end.
    pub fn pass(&mut self, pass: &Pass, see: &mut dyn FnMut(u64, &Top)) -> Result<PassResult, RunError> {
        let tokens = pass.x.len() / self.hw.shape.dim;
        let descriptor = self.layout.descriptor(pass.layer, pass.slot, pass.pos, tokens);
        if self.mode == Mode::Skip && self.legal(pass.layer, pass.slot, pass.pos, tokens) {
            self.bench.begin_pass(&pass.x, &[descriptor]);
            self.executor.run(self.bench.memory.storage_mut(), &descriptor)?;
            let stats = self.skip(descriptor)?;
            return Ok(PassResult { y: self.bench.take_x(tokens), stats });
        }
        if std::mem::take(&mut self.skipped) {
            self.engine.hand_over(&mut self.bench.memory);
        }
        self.bench.results.clear();
        self.recorder.begin(self.cycle);
        self.bench.push(host::run_pass(&self.layout, vec![descriptor], pass.x.clone(), tokens));
        self.run(see)?;
        let ran = self.bench.ran();
        if ran.failed() {
            return Err(self.error());
        }
        let stats = self.recorder.end(ran.start, ran.end);
        Ok(PassResult { y: ran.y, stats })
    }

    /// The time of one pass of `tokens` tokens, whatever its values: nothing is read or written.
    ///
    /// # Errors
    /// A pass that the hardware refuses, or that does not end.
    pub fn time(&mut self, layer: usize, slot: usize, pos: usize, tokens: usize) -> Result<PassStats, RunError> {
        if !self.legal(layer, slot, pos, tokens) {
            let code = ErrorCode::BadDescriptor;
            return Err(RunError::Hardware {
                code: code as u8,
                port: 0,
                addr: self.layout.descriptors.into(),
                meaning: meaning(code as u32),
            });
        }
        self.skip(self.layout.descriptor(layer, slot, pos, tokens))
    }

    /// The time of a pass, from the timing machine.
    fn skip(&mut self, descriptor: Descriptor) -> Result<PassStats, RunError> {
        if !std::mem::replace(&mut self.skipped, true) {
            self.engine.adopt(&self.bench.memory);
        }
        let start = self.cycle + host::PASS_BEFORE_MARK;
        let go = start + host::DOORBELL_TO_GO;
        let recorder = &mut self.recorder;
        recorder.begin(start);
        recorder.idle(start, host::DOORBELL_TO_GO);
        self.engine.rest(go - self.cycle);
        let cycles = self.engine.run(self.layout.descriptors, descriptor, &mut |at, piece| recorder.piece(go + at, piece));
        let cycles = cycles.map_err(|why| match why {
            NoTime::Stuck => RunError::Stuck { cycle: self.cycle, waiting: "see step mode".into() },
            NoTime::TooLong(cycles) => RunError::TooLong { cycles },
        })?;
        let idle = go + cycles;
        recorder.idle(idle, host::IDLE_TO_MARK);
        let end = idle + host::IDLE_TO_MARK;
        let after = host::IDLE_TO_MARK + host::PASS_AFTER_MARK;
        self.engine.rest(after);
        self.bench.memory.advance(idle + after - self.cycle);
        self.cycle = idle + after;
        Ok(self.recorder.end(start, end))
    }

    /// Runs descriptors that lie in memory already, all behind one doorbell, with their own page table entries (from index 0).
    /// Gives the cycles from the doorbell's write to the interrupt.
    ///
    /// # Errors
    /// As [`System::pass`].
    pub fn run_descriptors(&mut self, pages: &[u32], first: u32, count: u32) -> Result<u64, RunError> {
        if std::mem::take(&mut self.skipped) {
            self.engine.hand_over(&mut self.bench.memory);
        }
        for (i, &entry) in pages.iter().enumerate() {
            self.engine.outside.set_page(i, entry);
            if let Some(page) = self.pages.get_mut(i) {
                *page = entry;
            }
        }
        self.executor.set_pages(&self.pages);
        let pages = pages.iter().enumerate().flat_map(|(i, &entry)| [Op::Write("PT_INDEX", i as u32), Op::Write("PT_ENTRY", entry)]);
        let ops = host::run_list(first, count);
        self.bench.results.clear();
        self.bench.push(pages.chain(ops));
        self.run(&mut |_, _| {})?;
        let ran = self.bench.ran();
        if ran.failed() { Err(self.error()) } else { Ok(ran.end.saturating_sub(ran.start)) }
    }

    /// The hardware's first error, read from its registers.
    fn error(&mut self) -> RunError {
        self.bench.push(["ERR_CODE", "ERR_ADDR_LO", "ERR_ADDR_HI"].map(|r| Op::Read(host::offset(r))));
        if let Err(e) = self.run(&mut |_, _| {}) {
            return e;
        }
        let values: Vec<u32> = self.bench.results.drain(..).filter_map(|o| o.value()).collect();
        let [code, low, high] = values[..] else { unreachable!("every read of a run that ended gave a value") };
        let meaning = meaning(ERR_CODE_CODE.get(code));
        debug_assert_ne!(ERR_CODE_CODE.get(code), ErrorCode::None as u32);
        RunError::Hardware {
            code: ERR_CODE_CODE.get(code) as u8,
            port: ERR_CODE_PORT.get(code) as u8,
            addr: u64::from(low) | u64::from(high) << 32,
            meaning,
        }
    }

    /// The hardware's own counters, by name, since reset: of what ran in step mode.
    ///
    /// # Errors
    /// The registers did not answer.
    pub fn counters(&mut self) -> Result<Vec<(&'static str, u64)>, RunError> {
        self.bench.results.clear();
        self.bench.push(host::read_counters());
        self.run(&mut |_, _| {})?;
        let values: Vec<u64> = self.bench.results.drain(..).filter_map(|o| o.value()).map(u64::from).collect();
        Ok(COUNTERS.iter().zip(values.chunks_exact(2)).map(|(c, v)| (c.0, v[0] | v[1] << 32)).collect())
    }
}

/// What an error code says.
fn meaning(code: u32) -> &'static str {
    descriptor::ERROR_CODES.iter().find(|(c, _, _)| *c as u32 == code).map_or("unknown code", |c| c.2)
}
