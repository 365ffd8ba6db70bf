//! The joining of neighbours that both kinds of BPE share: of all pairs that may be joined the one of the lowest rank is,
//! the leftmost among equals, until none is left. A heap of candidates makes that O(n log n).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A stretch of the text, linked to its living neighbours.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    /// First byte in the text.
    pub start: usize,
    /// Bytes; 0 once joined to the part on its left.
    pub len: usize,
    /// The token with this text, [`NO_TOKEN`] where there is none.
    pub id: u32,
    previous: u32,
    next: u32,
}

/// The id of a part that is no token.
pub const NO_TOKEN: u32 = u32::MAX;
/// No neighbour.
const END: u32 = u32::MAX;

/// A possible join of two neighbours: ordered by rank, then place. Valid only while the two still have this length.
type Join = Reverse<(u32, u32, u32, usize, u32)>;

/// The parts of a text while they are joined.
#[derive(Debug, Default)]
pub struct Merger {
    parts: Vec<Part>,
    joins: BinaryHeap<Join>,
}

impl Merger {
    /// Forgets all parts, keeps the memory.
    pub fn clear(&mut self) {
        self.parts.clear();
        self.joins.clear();
    }

    /// Adds a part behind the last one.
    pub fn push(&mut self, start: usize, len: usize, id: u32) {
        let index = self.parts.len() as u32;
        if let Some(last) = self.parts.last_mut() {
            last.next = index;
        }
        self.parts.push(Part { start, len, id, previous: index.checked_sub(1).unwrap_or(END), next: END });
    }

    /// Joins until nothing can be joined; `rank` gives the rank of a join of two neighbours and the token that it makes.
    pub fn run(&mut self, rank: impl Fn(&Part, &Part) -> Option<(u32, u32)>) -> impl Iterator<Item = Part> + '_ {
        for left in 0..self.parts.len() as u32 {
            self.propose(left, &rank);
        }
        while let Some(Reverse((_, left, right, len, id))) = self.joins.pop() {
            let (l, r) = (self.parts[left as usize], self.parts[right as usize]);
            // A join is stale once one of its two sides was joined to something else.
            if l.len == 0 || r.len == 0 || l.len + r.len != len {
                continue;
            }
            self.parts[right as usize].len = 0;
            let joined = &mut self.parts[left as usize];
            (joined.len, joined.next, joined.id) = (len, r.next, id);
            if r.next != END {
                self.parts[r.next as usize].previous = left;
            }
            if l.previous != END {
                self.propose(l.previous, &rank);
            }
            self.propose(left, &rank);
        }
        self.parts.iter().copied().filter(|part| part.len > 0)
    }

    /// Adds the join of `left` and its right neighbour, if there is one.
    fn propose(&mut self, left: u32, rank: &impl Fn(&Part, &Part) -> Option<(u32, u32)>) {
        let l = &self.parts[left as usize];
        if l.next == END {
            return;
        }
        let r = &self.parts[l.next as usize];
        if let Some((rank, id)) = rank(l, r) {
            self.joins.push(Reverse((rank, left, l.next, l.len + r.len, id)));
        }
    }
}
