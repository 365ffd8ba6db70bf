//! Whole passes that are remembered: one that is given the answers of one before, with nothing of the memory's rates used up, takes the same
//! cycles. So the layers of a model at one position cost about as much as one.

use super::{
    flow::Paces,
    outside::{Answer, Outside},
    summary::Summary,
};
use rustc_hash::FxHashMap;
use std::rc::Rc;

/// Answers and changes of levels that are kept in all passes together; beyond them all passes are forgotten.
const KEPT: usize = 1 << 22;

/// A pass.
#[derive(Debug)]
pub struct Run {
    /// What was asked, in order, and answered.
    pub answers: Vec<(u32, Answer)>,
    pub summary: Summary,
    /// What it left of the memory's rates when it ended.
    pub paces: Paces,
    pub end: u64,
}

/// All passes, by [`Outside::pass_key`].
#[derive(Debug, Default)]
pub struct Runs {
    runs: FxHashMap<(u16, u16, u16), Vec<Rc<Run>>>,
    kept: usize,
}

impl Runs {
    /// The pass that was given the answers that `outside` gives, if there is one; then they count as given.
    pub fn find(&self, outside: &mut Outside) -> Option<Rc<Run>> {
        self.runs.get(&outside.pass_key())?.iter().find(|run| outside.gives(&run.answers)).cloned()
    }

    /// Remembers one.
    pub fn keep(&mut self, key: (u16, u16, u16), run: Run) {
        self.kept += run.answers.len() + run.summary.levels.len();
        if self.kept > KEPT {
            *self = Self::default();
        }
        self.runs.entry(key).or_default().push(Rc::new(run));
    }
}
