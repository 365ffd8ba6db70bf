//! Runs the machine and remembers: after what state came which cycles and which state. Where the machine comes to a state that it
//! has been in, memory included, what followed is taken over and not evaluated again. Where a question is asked, what follows
//! also depends on the answer, so each answer has a continuation of its own. The method is that of FastSim (Schnarr and Larus,
//! "Fast out-of-order processor simulation using memoization", ASPLOS 1998); equality is of the whole state, never of a hash.

use super::{
    ask,
    machine::{Machine, State},
    outside::{Answer, Outside},
    summary::Summary,
};
use crate::memory::MemConfig;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use tritforge_spec::{descriptor::Descriptor, hw::Hw};

/// Cycles after which a piece ends although nothing asks for it.
const LONGEST: u32 = 64;
/// Pieces that are kept; beyond them all is forgotten and begun anew.
const KEPT: usize = 1 << 16;

type Answers = SmallVec<[Answer; 2]>;

/// A piece of a run: the cycles from one state to the next that is remembered.
#[derive(Clone, Debug)]
struct Piece {
    summary: Summary,
    /// Questions that stand at its end.
    asks: u32,
    /// The state at its end, not yet answered; gone when nothing can need it any more.
    end: Option<Box<State>>,
    /// The machine is idle at its end.
    idle: bool,
    /// Answers and the piece that follows.
    next: SmallVec<[(Answers, u32); 2]>,
}

/// Nothing will ever move again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the timing machine stands still")]
pub struct Stuck;

/// How much of the work was saved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effort {
    /// Cycles that were evaluated, and all that passed.
    pub evaluated: u64,
    pub passed: u64,
}

/// The timing of one hardware with one memory.
pub struct Engine {
    machine: Machine,
    pub outside: Outside,
    /// The idle machine between two runs.
    state: State,
    pieces: Vec<Piece>,
    index: FxHashMap<State, u32>,
    effort: Effort,
}

impl Engine {
    /// A machine after reset at cycle 0, with this page table.
    pub fn new(hw: &Hw, memory: &MemConfig, pages: Vec<u32>) -> Self {
        let machine = Machine::new(hw, memory);
        let state = machine.state();
        Self {
            outside: Outside::new(hw, pages),
            machine,
            state,
            pieces: Vec::new(),
            index: FxHashMap::default(),
            effort: Effort::default(),
        }
    }

    /// Ports of the hardware that each simulated port stands for are told apart by [`Machine::ports`].
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Work done so far.
    pub fn effort(&self) -> Effort {
        self.effort
    }

    /// Lets cycles pass between two runs.
    pub fn rest(&mut self, cycles: u64) {
        self.machine.rest(&mut self.state, cycles);
    }

    /// Runs descriptors that lie at super-word `first`. `see` gets what happened, piece by piece, with the cycle in which each
    /// begins, counted from the first in which the doorbell reaches the control. Gives the cycles until nothing is left to do.
    ///
    /// # Errors
    /// The machine stands still.
    pub fn run(&mut self, first: u32, list: Vec<Descriptor>, see: &mut dyn FnMut(u64, &Summary)) -> Result<u64, Stuck> {
        self.outside.begin(first, list);
        let mut state = self.state.clone();
        self.machine.go(&mut state, &self.outside);
        if !self.machine.repeats() {
            return self.run_once(state, see);
        }
        if self.pieces.len() > KEPT {
            self.pieces.clear();
            self.index.clear();
        }
        self.machine.canonical(&mut state);
        let mut at = self.find(state);
        let mut cycle = 0;
        loop {
            let piece = &self.pieces[at as usize];
            see(cycle, &piece.summary);
            cycle += u64::from(piece.summary.cycles);
            if piece.idle {
                if let Some(end) = &piece.end {
                    self.state = (**end).clone();
                }
                self.effort.passed += cycle;
                return Ok(cycle);
            }
            let answers = questions(piece.asks).map(|q| self.outside.answer(q)).collect::<Answers>();
            at = match piece.next.iter().find(|(a, _)| *a == answers) {
                Some((_, next)) => *next,
                None => self.follow(at, answers)?,
            };
        }
    }

    /// The piece after `at` with these answers, which were never given there before.
    fn follow(&mut self, at: u32, answers: Answers) -> Result<u32, Stuck> {
        let piece = &mut self.pieces[at as usize];
        // Without a question there is one continuation, so nobody needs the state again.
        let end = if piece.asks == 0 { piece.end.take() } else { piece.end.clone() };
        let Some(mut state) = end else { return Err(Stuck) };
        for answer in &answers {
            self.machine.answer(&mut state, answer);
        }
        self.machine.canonical(&mut state);
        let next = self.find(*state);
        if next == at && answers.is_empty() {
            return Err(Stuck);
        }
        self.pieces[at as usize].next.push((answers, next));
        Ok(next)
    }

    /// The piece that begins in `state`, evaluated if it is a new one.
    fn find(&mut self, state: State) -> u32 {
        if let Some(&id) = self.index.get(&state) {
            return id;
        }
        let mut end = state.clone();
        let (summary, asks) = evaluate(&self.machine, &mut end);
        self.effort.evaluated += u64::from(summary.cycles);
        let id = self.pieces.len() as u32;
        let idle = asks == 0 && self.machine.idle(&end);
        self.pieces.push(Piece { summary, asks, end: Some(Box::new(end)), idle, next: SmallVec::new() });
        self.index.insert(state, id);
        id
    }

    /// A run where no state comes again, as random pauses depend on the number of the transaction.
    fn run_once(&mut self, mut state: State, see: &mut dyn FnMut(u64, &Summary)) -> Result<u64, Stuck> {
        let (mut cycle, mut quiet) = (0, 0);
        while !self.machine.idle(&state) {
            let (summary, asks) = evaluate(&self.machine, &mut state);
            see(cycle, &summary);
            cycle += u64::from(summary.cycles);
            quiet = if summary.moved { 0 } else { quiet + u64::from(summary.cycles) };
            if quiet > crate::system::QUIET {
                return Err(Stuck);
            }
            for question in questions(asks) {
                let answer = self.outside.answer(question);
                self.machine.answer(&mut state, &answer);
            }
        }
        self.state = state;
        self.effort.evaluated += cycle;
        self.effort.passed += cycle;
        Ok(cycle)
    }
}

fn questions(asks: u32) -> impl Iterator<Item = u32> {
    [ask::JOB, ask::BLOCK, ask::SEGMENTS, ask::PLACE].into_iter().filter(move |q| asks & q != 0)
}

/// Evaluates cycles up to the next question, the next burst on port 0, or the longest piece; the questions.
fn evaluate(machine: &Machine, state: &mut State) -> (Summary, u32) {
    let mut summary = Summary::new(machine.ports());
    loop {
        let signals = state.signals;
        let (bus, asks) = machine.cycle(state);
        summary.add(&signals, bus);
        // Where pieces end follows from the state, so that two runs which come to do the same end them together.
        if asks != 0 || bus.ar & 1 != 0 || summary.cycles == LONGEST || machine.idle(state) {
            summary.finish();
            return (summary, asks);
        }
    }
}
