//! Timing of `route`.

use crate::skip::{pieces::Skid, signals::Signals};

/// The streams of one instance: input, outputs.
pub type Streams = (u32, [u32; 3]);

/// State.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Route {
    input: Skid<u8>,
}

impl Route {
    /// The clock edge; whether it may go on although none of its streams moves.
    #[inline(always)]
    pub fn step(&mut self, at: &Streams, dest: u8, s: &mut Signals) -> bool {
        let leaves = self.input.peek().is_some_and(|d| at.1.get(d as usize).is_none_or(|&o| s.moves(o)));
        self.input.step(s.moves(at.0).then_some(dest), leaves);
        self.outputs(at, s);
        self.input.peek().is_some_and(|d| d as usize >= at.1.len())
    }

    /// Drives the outputs.
    #[inline(always)]
    pub fn outputs(&self, at: &Streams, s: &mut Signals) {
        s.accept(at.0, self.input.ready());
        for (i, &o) in at.1.iter().enumerate() {
            s.offer(o, self.input.peek() == Some(i as u8));
        }
    }
}
