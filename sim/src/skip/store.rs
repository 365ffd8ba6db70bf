//! States of one part, each kept once and known by a number: equal numbers mean equal states.

use rustc_hash::FxBuildHasher;
use std::hash::{BuildHasher, Hash};

/// All states of a part that were met.
#[derive(Clone, Debug)]
pub struct Store<T> {
    /// With their hashes.
    list: Vec<(T, u32)>,
    /// Open addressing with steps of one; a number above that of a state, 0 where there is none.
    table: Vec<u32>,
}

impl<T> Default for Store<T> {
    fn default() -> Self {
        Self { list: Vec::new(), table: vec![0; 64] }
    }
}

impl<T: Clone + Eq + Hash> Store<T> {
    /// The number of `state`.
    pub fn number(&mut self, state: &T) -> u32 {
        let wide = FxBuildHasher.hash_one(state);
        let hash = (wide >> 32 ^ wide) as u32;
        let mut at = self.slot(hash);
        while self.table[at] != 0 {
            let number = self.table[at] - 1;
            let (other, its_hash) = &self.list[number as usize];
            if *its_hash == hash && other == state {
                return number;
            }
            at = (at + 1) & (self.table.len() - 1);
        }
        self.list.push((state.clone(), hash));
        self.table[at] = self.list.len() as u32;
        // At most half full.
        if 2 * self.list.len() > self.table.len() {
            self.grow();
        }
        self.list.len() as u32 - 1
    }

    fn slot(&self, hash: u32) -> usize {
        hash as usize & (self.table.len() - 1)
    }

    fn grow(&mut self) {
        self.table = vec![0; 2 * self.table.len()];
        for i in 0..self.list.len() {
            let mut at = self.slot(self.list[i].1);
            while self.table[at] != 0 {
                at = (at + 1) & (self.table.len() - 1);
            }
            self.table[at] = i as u32 + 1;
        }
    }

    /// The state with this number, if there is one, is `state`.
    #[inline(always)]
    pub fn is(&self, number: u32, state: &T) -> bool {
        self.list.get(number as usize).is_some_and(|s| s.0 == *state)
    }

    /// The state with this number.
    pub fn get(&self, number: u32) -> &T {
        &self.list[number as usize].0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_states_have_one_number_and_different_ones_have_two() {
        let mut store = Store::default();
        let states: Vec<u64> = (0..5000).map(|i| i * 0x9e37_79b9 % 977).collect();
        let numbers: Vec<u32> = states.iter().map(|s| store.number(s)).collect();
        for (s, &n) in states.iter().zip(&numbers) {
            assert_eq!(store.get(n), s);
            assert_eq!(store.number(s), n);
            assert!(store.is(n, s) && !store.is(n ^ 1, s) && !store.is(977, s));
        }
        assert_eq!(numbers.iter().max(), Some(&976));
    }
}
