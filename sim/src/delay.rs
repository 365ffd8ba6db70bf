//! A pipeline of fixed latency: what goes in at a clock edge is at the output `latency` cycles after.

use std::collections::VecDeque;

/// `latency` registers in a row, each holding a word or nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Delay<T> {
    /// Newest first.
    stages: VecDeque<Option<T>>,
}

impl<T> Delay<T> {
    /// Empty; `latency` at least 1 cycle.
    pub fn new(latency: u64) -> Self {
        assert!(latency >= 1, "a pipeline of {latency} registers: at least 1 expected");
        Self { stages: (0..latency).map(|_| None).collect() }
    }

    /// The word in the last register in this cycle.
    pub fn out(&self) -> Option<&T> {
        self.stages.back().and_then(Option::as_ref)
    }

    /// The clock edge: every word moves on by one register. Returns the word that left. Reset empties it.
    pub fn step(&mut self, rst: bool, input: Option<T>) -> Option<T> {
        let left = self.stages.pop_back().flatten();
        self.stages.push_front(input);
        if rst {
            self.stages.iter_mut().for_each(|s| *s = None);
        }
        left
    }

    /// No register holds a word.
    pub fn is_empty(&self) -> bool {
        self.stages.iter().all(Option::is_none)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_at_the_output_latency_cycles_after_it_went_in() {
        for latency in [1, 2, 7] {
            let mut d = Delay::new(latency);
            for cycle in 0..50u64 {
                let expected = (cycle >= latency && (cycle - latency) % 3 == 0).then(|| cycle - latency);
                assert_eq!(d.out().copied(), expected, "latency {latency}, cycle {cycle}");
                assert_eq!(d.step(false, (cycle % 3 == 0).then_some(cycle)), expected);
            }
            d.step(true, Some(1));
            assert!(d.is_empty());
        }
    }
}
