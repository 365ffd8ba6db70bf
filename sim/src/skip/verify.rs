//! The engine against the machine that it remembers: for tests.

use super::{
    engine::{Engine, questions},
    machine::State,
    memo::Place,
    outside::Outside,
    parts,
    summary::Summary,
};

/// The machine without memory, beside the engine.
pub(super) struct Shadow {
    state: State,
    outside: Outside,
    cycle: u64,
}

impl Shadow {
    /// Where the engine is: the doorbell is rung.
    pub fn new(state: &State, outside: &Outside) -> Self {
        Self { state: state.clone(), outside: outside.clone(), cycle: 0 }
    }

    /// Evaluates the cycles of a piece that the engine took to end in `place` (its questions not yet answered) and compares what
    /// happened, the state of every part and every valid, ready and level; then answers. What differs, if anything does.
    pub fn follow(&mut self, engine: &mut Engine, piece: &Summary, place: &Place, asked: u32, awake: u32) -> Result<(), String> {
        let machine = engine.machine().clone();
        let mut summary = Summary::new(machine.ports());
        let mut asks = 0;
        for _ in 0..piece.cycles {
            let signals = self.state.signals;
            let bus;
            (bus, asks) = machine.cycle(&mut self.state);
            summary.add(&signals, bus);
        }
        machine.canonical(&mut self.state);
        let begin = self.cycle;
        self.cycle += u64::from(piece.cycles);
        let said = |what: &str| Err(format!("cycles {begin} to {}: {what}", self.cycle));
        if summary != *piece {
            return said(&format!("remembered {piece:?}, evaluated {summary:?}"));
        }
        if asks != asked {
            return said(&format!("remembered questions {asked}, evaluated {asks}"));
        }
        if self.state.awake != awake {
            return said(&format!("awake parts {awake:#x} are {:#x}", self.state.awake));
        }
        let here = engine.place(&mut self.state);
        let parts: Vec<usize> = (0..parts::PARTS).filter(|&i| here.numbers[i] != place.numbers[i]).collect();
        if !parts.is_empty() {
            return said(&format!("the states of parts {parts:?} differ"));
        }
        if here.counters != place.counters {
            return said(&format!("counters {:?} are {:?}", place.counters, here.counters));
        }
        if here != *place {
            let (valid, ready, levels) = (here.valid ^ place.valid, here.ready ^ place.ready, here.levels ^ place.levels);
            return said(&format!("valid {valid:#x}, ready {ready:#x}, levels {levels:#x} differ"));
        }
        for question in questions(asks) {
            let answer = self.outside.answer(question);
            machine.answer(&mut self.state, &answer);
        }
        Ok(())
    }
}
