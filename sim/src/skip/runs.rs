//! Whole runs that are remembered: a run that begins in the state in which one began before, and to which the outside gives the same
//! answers, is that run. So the layers of a model at one position cost as much as one.

use super::{
    memo::Place,
    outside::{Answer, Outside},
    store::Store,
};
use smallvec::SmallVec;
use std::rc::Rc;

/// Pieces that are kept in all runs together; beyond them all runs are forgotten.
const KEPT: usize = 1 << 22;

/// A run of descriptors behind one doorbell.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// What was asked, in order, and answered.
    pub answers: Vec<(u32, Answer)>,
    /// The pieces by number.
    pub pieces: Vec<u32>,
    pub cycles: u64,
    /// Where it ended, and the parts that were awake.
    pub end: Place,
    pub awake: u32,
}

/// All runs, by where they began: the complete state and the parts that were awake.
#[derive(Clone, Debug, Default)]
pub struct Runs {
    begins: Store<(Place, u32)>,
    runs: Vec<SmallVec<[Rc<Run>; 1]>>,
    kept: usize,
}

impl Runs {
    /// The number of a begin.
    pub fn begin(&mut self, place: &Place, awake: u32) -> usize {
        let number = self.begins.number(&(*place, awake)) as usize;
        if number == self.runs.len() {
            self.runs.push(SmallVec::new());
        }
        number
    }

    /// The run that began there and got the answers that `outside` gives, if there is one; then they count as given.
    pub fn find(&self, begin: usize, outside: &mut Outside) -> Option<Rc<Run>> {
        self.runs.get(begin)?.iter().find(|run| outside.gives(&run.answers)).cloned()
    }

    /// Remembers one.
    pub fn keep(&mut self, begin: usize, run: Run) {
        self.kept += run.pieces.len();
        match self.runs.get_mut(begin) {
            Some(runs) if self.kept <= KEPT => runs.push(Rc::new(run)),
            _ => *self = Self::default(),
        }
    }
}
