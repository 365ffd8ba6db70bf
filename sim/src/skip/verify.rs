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

    /// Evaluates the cycles of a piece that the engine took, and compares what happened and what is asked; then answers. `place`: where
    /// the engine takes it to end (its questions not yet answered) and the parts that are awake there: then the state of every part and
    /// every valid, ready and level is compared too. What differs, if anything does.
    pub fn follow(&mut self, engine: &mut Engine, piece: &Summary, asked: u32, place: Option<(&Place, u32)>) -> Result<(), String> {
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
        let (begin, end) = (self.cycle, self.cycle + u64::from(piece.cycles));
        self.cycle = end;
        let said = |what: &str| Err(format!("cycles {begin} to {end}: {what}"));
        if summary != *piece {
            return said(&format!("remembered {piece:?}, evaluated {summary:?}"));
        }
        if asks != asked {
            return said(&format!("remembered questions {asked}, evaluated {asks}"));
        }
        if let Some((place, awake)) = place
            && let Some(difference) = self.parts_from(engine, place, awake)
        {
            return said(&difference);
        }
        for question in questions(asks) {
            let answer = self.outside.answer(question);
            machine.answer(&mut self.state, &answer);
        }
        Ok(())
    }

    /// In what the state is not where the engine takes it to be.
    fn parts_from(&mut self, engine: &mut Engine, place: &Place, awake: u32) -> Option<String> {
        if self.state.awake != awake {
            return Some(format!("awake parts {awake:#x} are {:#x}", self.state.awake));
        }
        let here = engine.place(&mut self.state);
        let parts: Vec<usize> = (0..parts::PARTS).filter(|&i| here.numbers[i] != place.numbers[i]).collect();
        if !parts.is_empty() {
            return Some(format!("the states of parts {parts:?} differ"));
        }
        if here.counters != place.counters {
            return Some(format!("counters {:?} are {:?}", place.counters, here.counters));
        }
        if here != *place {
            let (valid, ready, levels) = (here.valid ^ place.valid, here.ready ^ place.ready, here.levels ^ place.levels);
            return Some(format!("valid {valid:#x}, ready {ready:#x}, levels {levels:#x} differ"));
        }
        None
    }
}
