//! Runs the machine and remembers: after what state came which cycles and which state. Where the machine comes to a state that it
//! has been in, memory included, what followed is taken over and not evaluated again; of parts that sleep the state does not
//! matter ([`memo`](super::memo)). The method is that of FastSim (Schnarr and Larus, "Fast out-of-order processor simulation using
//! memoization", ASPLOS 1998); equality is of states, never of hashes.

use super::{
    ask,
    machine::{Machine, State},
    memo::{Masks, Numbers, Piece, Place, Stores, ranges, watch},
    outside::{Answer, Outside},
    parts,
    runs::{Run, Runs},
    store::Store,
    summary::Summary,
    verify::Shadow,
};
use crate::memory::{MemConfig, Memory};
use smallvec::SmallVec;
use tritforge_spec::{descriptor::Descriptor, hw::Hw};

/// Cycles after which a piece ends although nothing asks for it.
const LONGEST: u32 = 64;
/// Cycles within which a part that wakes becomes one of the piece; later it ends it.
const GROWS: u32 = 12;
/// Pieces that are kept; beyond them all is forgotten and begun anew.
const KEPT: usize = 1 << 16;
/// Followers of a piece that are tried before the index of all.
const FOLLOWERS: usize = 4;

/// Nothing will ever move again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the timing machine stands still")]
pub struct Stuck;

/// What [`Engine::verify`] may find.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error(transparent)]
    Stuck(#[from] Stuck),
    #[error("{0}")]
    Differs(String),
}

/// How much of the work was saved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effort {
    /// Cycles that were evaluated, those of whole runs that were remembered, and all that passed.
    pub evaluated: u64,
    pub repeated: u64,
    pub passed: u64,
}

/// The timing of one hardware with one memory.
pub struct Engine {
    machine: Machine,
    pub outside: Outside,
    /// The state that was evaluated last; between two runs, that of the machine.
    state: State,
    /// The numbers of the parts of `state`.
    numbers: Numbers,
    stores: Stores,
    /// Pieces, and where each begins with its set.
    pieces: Vec<Piece>,
    masks: Masks,
    index: Store<(u32, u32, Place)>,
    /// `state` is where the run is, and its signals too.
    there: bool,
    /// The pieces that begin there, told apart by counters.
    starts: Vec<SmallVec<[u32; 4]>>,
    runs: Runs,
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
            numbers: Numbers::default(),
            stores: Stores::default(),
            pieces: Vec::new(),
            masks: Masks::default(),
            index: Store::default(),
            there: false,
            starts: Vec::new(),
            runs: Runs::default(),
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

    /// Takes the memory's channels over as step mode left them.
    pub fn adopt(&mut self, memory: &Memory) {
        self.machine.adopt(&mut self.state, memory);
    }

    /// Gives them back for step mode.
    pub fn hand_over(&self, memory: &mut Memory) {
        self.machine.hand_over(&self.state, memory);
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
        self.begin(first, list);
        if !self.machine.repeats() {
            return self.run_once(see);
        }
        self.follow(see, None).map_err(|_| Stuck)
    }

    /// As [`Engine::run`], the machine without memory beside it.
    ///
    /// # Errors
    /// What is remembered is not what happens; or the machine stands still.
    pub fn verify(&mut self, first: u32, list: Vec<Descriptor>) -> Result<u64, Fault> {
        self.begin(first, list);
        if !self.machine.repeats() {
            return Err(Fault::Differs("nothing is remembered with random pauses".into()));
        }
        let shadow = Shadow::new(&self.state, &self.outside);
        self.follow(&mut |_, _| {}, Some(shadow))
    }

    /// Forgets all pieces and states.
    pub fn forget(&mut self) {
        (self.stores, self.pieces, self.index, self.starts, self.masks, self.runs) = Default::default();
    }

    fn begin(&mut self, first: u32, list: Vec<Descriptor>) {
        self.outside.begin(first, list);
        self.machine.go(&mut self.state, &self.outside);
    }

    /// Where `state` is.
    pub(super) fn place(&mut self, state: &mut State) -> Place {
        let mut place = Place::default();
        self.stores.number(state, parts::ALL, &mut place.numbers, &mut place.counters);
        place.look(&state.signals);
        place
    }

    /// Goes from piece to piece until nothing is left to do.
    fn follow(&mut self, see: &mut dyn FnMut(u64, &Summary), mut shadow: Option<Shadow>) -> Result<u64, Fault> {
        if self.pieces.len() > KEPT {
            self.forget();
        }
        self.machine.canonical(&mut self.state);
        let mut place = Place::default();
        self.stores.number(&mut self.state, parts::ALL, &mut place.numbers, &mut place.counters);
        self.numbers = place.numbers;
        place.look(&self.state.signals);
        self.there = true;
        let (mut awake, mut set) = (self.state.awake, self.machine.due(&self.state));
        let begin = self.runs.begin(&place, awake);
        if let Some(run) = self.runs.find(begin, &mut self.outside) {
            return self.repeat(&run, see, shadow);
        }
        let mut run = Run::default();
        let (mut cycle, mut quiet, mut before) = (0, 0, None);
        loop {
            let at = self.find(before, set, awake, &place)?;
            before = Some(at);
            run.pieces.push(at as u32);
            let piece = &self.pieces[at];
            see(cycle, &piece.summary);
            let cycles = u64::from(piece.summary.cycles);
            cycle += cycles;
            quiet = if piece.summary.moved { 0 } else { quiet + cycles };
            self.masks.get(piece.mask).put(&mut place, &piece.end);
            piece.ranges.put(&mut place.counters);
            (awake, set) = (piece.awake, piece.after);
            if let Some(shadow) = &mut shadow {
                let (summary, asks) = (piece.summary.clone(), piece.asks);
                shadow.follow(self, &summary, asks, Some((&place, awake))).map_err(Fault::Differs)?;
            }
            let piece = &self.pieces[at];
            if piece.idle {
                self.load(awake, &place);
                self.effort.passed += cycle;
                self.runs.keep(begin, Run { cycles: cycle, end: place, awake, ..run });
                return Ok(cycle);
            }
            if quiet > crate::system::QUIET {
                return Err(Stuck.into());
            }
            if piece.asks != 0 {
                for question in questions(piece.asks) {
                    let answer = self.outside.answer(question);
                    run.answers.push((question, answer));
                    self.answer(&mut place, &answer);
                }
            }
        }
    }

    /// Goes through a run that is remembered.
    fn repeat(&mut self, run: &Run, see: &mut dyn FnMut(u64, &Summary), mut shadow: Option<Shadow>) -> Result<u64, Fault> {
        let (mut cycle, mut left) = (0, run.pieces.len());
        for &number in &run.pieces {
            let piece = &self.pieces[number as usize];
            see(cycle, &piece.summary);
            cycle += u64::from(piece.summary.cycles);
            left -= 1;
            if let Some(shadow) = &mut shadow {
                let (summary, asks) = (piece.summary.clone(), piece.asks);
                let place = (left == 0).then_some((&run.end, run.awake));
                shadow.follow(self, &summary, asks, place).map_err(Fault::Differs)?;
            }
        }
        self.load(run.awake, &run.end);
        self.effort.passed += run.cycles;
        self.effort.repeated += run.cycles;
        Ok(run.cycles)
    }

    /// Puts an answer into the part that asked; it has just been at work, so it is awake and in the set.
    fn answer(&mut self, place: &mut Place, answer: &Answer) {
        let part = match answer {
            Answer::Job(_) => parts::CTRL,
            Answer::Block(_) | Answer::Segments(_) | Answer::KvLeft => parts::KVREAD,
            Answer::Segment(_) | Answer::Delivery(_) => parts::AUX,
            Answer::Positions(_) | Answer::AttnLeft => parts::ATTN,
            Answer::Place(_) => parts::KVWRITE,
        };
        let st = &mut self.state;
        self.stores.load(&place.numbers, &self.numbers, &place.counters, st);
        self.machine.answer(st, answer);
        self.stores.number(st, part, &mut place.numbers, &mut place.counters);
        self.numbers = place.numbers;
    }

    /// Makes `state` that of `place`.
    fn load(&mut self, awake: u32, place: &Place) {
        let st = &mut self.state;
        self.stores.load(&place.numbers, &self.numbers, &place.counters, st);
        self.numbers = place.numbers;
        st.awake = awake;
        self.machine.begin(st, place.valid, place.ready, place.levels);
    }

    /// The piece that begins in `place`, where the parts of `set` are about to go on; evaluated if it is a new one.
    fn find(&mut self, before: Option<usize>, set: u32, awake: u32, place: &Place) -> Result<usize, Stuck> {
        let followers = before.map_or(&[][..], |b| &self.pieces[b].next);
        if let Some(&at) = followers.iter().find(|&&n| self.begins(&self.pieces[n as usize], set, awake, place)) {
            self.there = false;
            return Ok(at as usize);
        }
        let mask = self.masks.number(set);
        let start = self.masks.get(mask).of(place);
        let of_start = self.index.number(&(set, awake, start)) as usize;
        if of_start == self.starts.len() {
            self.starts.push(SmallVec::new());
        }
        let found = self.starts[of_start].iter().find(|&&n| self.begins(&self.pieces[n as usize], set, awake, place));
        let at = match found {
            Some(&at) => {
                self.there = false;
                at
            }
            None => {
                if !self.there {
                    self.load(awake, place);
                }
                let piece = self.evaluate(set, awake, place)?;
                self.there = true;
                self.pieces.push(piece);
                self.starts[of_start].push(self.pieces.len() as u32 - 1);
                self.pieces.len() as u32 - 1
            }
        };
        if let Some(before) = before
            && self.pieces[before].next.len() < FOLLOWERS
        {
            self.pieces[before].next.push(at);
        }
        Ok(at as usize)
    }

    /// `piece` begins in `place`, where the parts of `set` are about to go on and those of `awake` may by themselves.
    #[inline(always)]
    fn begins(&self, piece: &Piece, set: u32, awake: u32, place: &Place) -> bool {
        (piece.first, piece.from) == (set, awake)
            && piece.ranges.hold(&place.counters)
            && self.masks.get(piece.mask).of(place) == piece.start
    }

    /// Evaluates `state`, which is at `from`, to the end of a piece.
    fn evaluate(&mut self, first: u32, awake: u32, from: &Place) -> Result<Piece, Stuck> {
        let mut set = first;
        let (machine, st) = (&self.machine, &mut self.state);
        watch(st);
        let (mut summary, mut stepped) = (Summary::new(machine.ports()), 0);
        let mut due = machine.due(st);
        if due == 0 {
            return Err(Stuck);
        }
        let asks = loop {
            stepped |= due;
            summary.begin(&st.signals);
            let (bus, asks) = machine.step(st, due);
            summary.end(bus);
            due = machine.due(st);
            // What wakes early belongs to the piece: it has slept since its begin, so its state there is known.
            if summary.cycles < GROWS {
                set |= due;
            }
            // Where pieces end follows from the state, so that two runs which come to do the same end them together.
            if asks != 0 || bus.ar & 1 != 0 || summary.cycles == LONGEST || due & !set != 0 || machine.idle(st) {
                break asks;
            }
        };
        summary.finish();
        self.effort.evaluated += u64::from(summary.cycles);
        machine.canonical(st);
        let ranges = ranges(st, &from.counters);
        let mut end = Place::default();
        self.stores.number(st, stepped, &mut self.numbers, &mut end.counters);
        end.numbers = self.numbers;
        end.look(&st.signals);
        let number = self.masks.number(set);
        let mask = self.masks.get(number);
        Ok(Piece {
            first,
            from: awake,
            mask: number,
            start: mask.of(from),
            end: mask.of(&end),
            ranges,
            awake: st.awake,
            after: due | stepped,
            asks,
            idle: asks == 0 && machine.idle(st),
            summary,
            next: SmallVec::new(),
        })
    }

    /// A run where no state comes again, as random pauses depend on the number of the transaction.
    fn run_once(&mut self, see: &mut dyn FnMut(u64, &Summary)) -> Result<u64, Stuck> {
        let (mut cycle, mut quiet) = (0, 0);
        while !self.machine.idle(&self.state) {
            let (summary, asks) = self.once();
            see(cycle, &summary);
            cycle += u64::from(summary.cycles);
            quiet = if summary.moved { 0 } else { quiet + u64::from(summary.cycles) };
            if quiet > crate::system::QUIET {
                return Err(Stuck);
            }
            for question in questions(asks) {
                let answer = self.outside.answer(question);
                self.machine.answer(&mut self.state, &answer);
            }
        }
        self.effort.evaluated += cycle;
        self.effort.passed += cycle;
        Ok(cycle)
    }

    /// Evaluates cycles up to the next question or the longest piece; the questions.
    fn once(&mut self) -> (Summary, u32) {
        let mut summary = Summary::new(self.machine.ports());
        loop {
            summary.begin(&self.state.signals);
            let (bus, asks) = self.machine.cycle(&mut self.state);
            summary.end(bus);
            if asks != 0 || summary.cycles == LONGEST || self.machine.idle(&self.state) {
                return (summary, asks);
            }
        }
    }
}

pub(super) fn questions(asks: u32) -> impl Iterator<Item = u32> {
    ask::EACH.into_iter().filter(move |q| asks & q != 0)
}
