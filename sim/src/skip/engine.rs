//! The time of passes: from the times of words ([`flow`](super::flow)); with random pauses, which tell ports apart, from the machine that goes
//! through all cycles ([`machine`](super::machine)).

use super::{
    ask,
    flow::{Flow, Known, LONGEST_PASS, Paces, Record},
    machine::{Machine, State},
    outside::{Asked, Outside},
    params::Params,
    runs::{Run, Runs},
    summary::Summary,
};
use crate::memory::{MemConfig, Memory};
use std::rc::Rc;
use tritforge_spec::{descriptor::Descriptor, hw::Hw};

/// Cycles of one report where the machine goes through all of them.
const LONGEST: u32 = 64;

/// Cycles of a pass for whose report there is room from the begin.
const LONG: usize = 1 << 14;

/// Why a pass has no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoTime {
    #[error("the timing machine stands still")]
    Stuck,
    #[error("the pass takes {0} cycles")]
    TooLong(u64),
}

/// How much of the work was saved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effort {
    /// Cycles of passes that were remembered, and all that passed.
    pub repeated: u64,
    pub passed: u64,
}

/// The timing of one hardware with one memory.
pub struct Engine {
    pub outside: Outside,
    params: Rc<Params>,
    /// The memory's count of cycles.
    now: u64,
    paces: Paces,
    runs: Runs,
    known: Known,
    record: Record,
    /// Where random pauses are on.
    stepped: Option<Box<(Machine, State)>>,
    effort: Effort,
}

impl Engine {
    /// A machine after reset at cycle 0, with this page table.
    pub fn new(hw: &Hw, memory: &MemConfig, pages: Vec<u32>) -> Self {
        let stepped = memory.stalls.is_some().then(|| {
            let machine = Machine::new(hw, memory);
            let state = machine.state();
            Box::new((machine, state))
        });
        Self {
            outside: Outside::new(hw, pages),
            params: Rc::new(Params::new(hw, memory)),
            now: 0,
            paces: Paces::default(),
            runs: Runs::default(),
            known: Known::default(),
            record: Record::with_capacity(LONG),
            stepped,
            effort: Effort::default(),
        }
    }

    /// Work done so far.
    pub fn effort(&self) -> Effort {
        self.effort
    }

    /// Takes the memory's channels over as step mode left them, idle.
    pub fn adopt(&mut self, memory: &Memory) {
        (self.now, self.paces) = (memory.cycle(), Paces::of(memory));
        if let Some((machine, state)) = self.stepped.as_deref_mut() {
            machine.adopt(state, memory);
        }
    }

    /// Gives them back for step mode.
    pub fn hand_over(&self, memory: &mut Memory) {
        match self.stepped.as_deref() {
            Some((machine, state)) => machine.hand_over(state, memory),
            None => self.paces.put(memory),
        }
    }

    /// Lets cycles pass between two passes.
    pub fn rest(&mut self, cycles: u64) {
        self.now += cycles;
        if let Some((machine, state)) = self.stepped.as_deref_mut() {
            machine.rest(state, cycles);
        }
    }

    /// Runs the pass of the descriptor that lies at super-word `first`. `see` gets what happened, piece by piece, with the cycle in which each
    /// begins, counted from the first in which the doorbell reaches the control. Gives the cycles until nothing is left to do.
    ///
    /// # Errors
    /// The machine stands still, or the pass takes more than [`LONGEST_PASS`] cycles.
    pub fn run(&mut self, first: u32, descriptor: Descriptor, see: &mut dyn FnMut(u64, &Summary)) -> Result<u64, NoTime> {
        self.outside.begin(first, vec![descriptor]);
        let cycles = match self.stepped.as_deref_mut() {
            Some((machine, state)) => step(machine, state, &mut self.outside, see)?,
            None => self.flow(see)?,
        };
        self.now += cycles;
        self.effort.passed += cycles;
        Ok(cycles)
    }

    /// From the times of words.
    fn flow(&mut self, see: &mut dyn FnMut(u64, &Summary)) -> Result<u64, NoTime> {
        let fresh = self.paces.past(&self.params.memory, self.now);
        if fresh && let Some(run) = self.runs.find(&mut self.outside) {
            let cycles = u64::from(run.summary.cycles);
            self.paces = run.paces.clone().moved(&self.params.memory, run.end, self.now + cycles);
            self.effort.repeated += cycles;
            see(0, &run.summary);
            return Ok(cycles);
        }
        let key = self.outside.pass_key();
        let descriptor = self.outside.first_descriptor();
        let mut asked = Asked::new(&mut self.outside);
        let (paces, record) = (std::mem::take(&mut self.paces), std::mem::take(&mut self.record));
        let mut flow = Flow::of(&self.params, self.now, paces, descriptor, &mut asked, &self.known, record);
        let end = flow.run(&mut asked, &mut self.known).ok_or(NoTime::Stuck)?;
        if end - flow.begin > LONGEST_PASS {
            return Err(NoTime::TooLong(end - flow.begin));
        }
        let summary = flow.summary(end);
        flow.keep_tail(&summary, end, &mut self.known);
        let cycles = u64::from(summary.cycles);
        self.paces = flow.paces().moved(&self.params.memory, end, self.now + cycles);
        self.record = flow.record();
        see(0, &summary);
        if fresh {
            let answers = asked.answers;
            self.runs.keep(key, Run { answers, summary, paces: self.paces.clone(), end: self.now + cycles });
        }
        Ok(cycles)
    }
}

/// Goes through all cycles of a run.
fn step(machine: &Machine, state: &mut State, outside: &mut Outside, see: &mut dyn FnMut(u64, &Summary)) -> Result<u64, NoTime> {
    machine.go(state, outside);
    let (mut cycle, mut quiet) = (0, 0);
    while !machine.idle(state) {
        let mut summary = Summary::new(machine.ports());
        while summary.cycles < LONGEST && !machine.idle(state) {
            summary.begin(&state.signals);
            let (bus, asks) = machine.cycle(state);
            summary.end(bus);
            for question in ask::EACH.into_iter().filter(|q| asks & q != 0) {
                let answer = outside.answer(question);
                machine.answer(state, &answer);
            }
        }
        see(cycle, &summary);
        let cycles = u64::from(summary.cycles);
        cycle += cycles;
        quiet = if summary.moved { 0 } else { quiet + cycles };
        if quiet > crate::system::QUIET {
            return Err(NoTime::Stuck);
        }
    }
    Ok(cycle)
}
