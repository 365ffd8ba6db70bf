//! What the engine remembers: the states of all parts, and pieces of runs.
//!
//! A piece is what some parts (its set) did while all others slept. A sleeping part has no effect but by the valids, readies and
//! levels that it holds, and they stay as they are; so a piece holds for every state in which the parts of its set are in the same
//! states, the streams and levels at them are the same, and all other parts sleep: whatever these are in. It ends before the cycle
//! in which one of them would wake.

use super::{
    block::{
        attn, attn_out, axi_read, axi_write, ctrl, headq, kvread, kvwrite, norm, resid, rope, route, softmax, tmac, unpack, xload, xstore,
    },
    machine::State,
    parts,
    signals::{Signals, into, level},
    store::Store,
    summary::Summary,
};
use crate::memory::channels::{ReadChannel, WriteChannel};
use smallvec::SmallVec;

/// A number of a state for every part, in the order of their bits; some unused ones make whole vectors.
pub const WIDTH: usize = parts::PARTS.next_multiple_of(8);
pub type Numbers = [u32; WIDTH];

macro_rules! stores {
    ($($field:ident: $state:ty,)*) => {
        /// The states of every part.
        #[derive(Clone, Debug, Default)]
        pub struct Stores {
            $(pub $field: Store<$state>,)*
        }

        impl Stores {
            /// Numbers the states of the parts of `set`.
            pub fn number(&mut self, st: &State, set: u32, numbers: &mut Numbers) {
                let mut i = 0;
                $(
                    if set >> i & 1 != 0 {
                        numbers[i] = self.$field.number(&st.$field);
                    }
                    i += 1;
                )*
                debug_assert_eq!(i, parts::PARTS);
            }

            /// Puts the states with these numbers into `st`, where `there` are.
            pub fn load(&self, numbers: &Numbers, there: &Numbers, st: &mut State) {
                let mut i = 0;
                $(
                    if numbers[i] != there[i] {
                        st.$field.clone_from(self.$field.get(numbers[i]));
                    }
                    i += 1;
                )*
                debug_assert_eq!(i, parts::PARTS);
            }
        }
    };
}

// In the order of the bits of `parts`.
stores! {
    memory_read: SmallVec<[ReadChannel; 1]>,
    memory_write: SmallVec<[WriteChannel; 1]>,
    route_w: route::Route,
    route_a: route::Route,
    axi_read: axi_read::AxiRead,
    aux: axi_read::Aux,
    axi_write: axi_write::AxiWrite,
    softmax: softmax::Softmax,
    attn_out: attn_out::AttnOut,
    attn: attn::Attn,
    kvread: kvread::KvRead,
    kvwrite: kvwrite::KvWrite,
    headq: headq::HeadQ,
    rope: rope::Rope,
    tmac: tmac::Tmac,
    unpack: unpack::Unpack,
    norm: norm::Norm,
    xload: xload::Xload,
    resid: resid::Resid,
    xstore: xstore::Xstore,
    ctrl: ctrl::Ctrl,
    fill: kvread::Fill,
}

/// The state of the whole machine, by numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Place {
    pub numbers: Numbers,
    pub valid: u64,
    pub ready: u64,
    pub levels: u32,
}

impl Place {
    /// The streams and levels of `s`.
    pub fn look(&mut self, s: &Signals) {
        (self.valid, self.ready, self.levels) = (s.valid, s.ready, s.levels);
    }
}

/// What of a place belongs to a set of parts.
#[derive(Clone, Copy, Debug)]
pub struct Mask(Place);

impl Mask {
    /// Of the parts of `set`, and what the reports read whoever sleeps.
    pub fn new(set: u32) -> Self {
        const REPORTED: u32 = level::ARRAY_BUSY | level::WAIT_W | level::WAIT_ACT | level::WAIT_OUT | level::ATTN_BUSY;
        let streams = parts::streams(set) | 1 << into("attn", "kv");
        let numbers = std::array::from_fn(|i| if set >> i & 1 != 0 { u32::MAX } else { 0 });
        Self(Place { numbers, valid: streams, ready: streams, levels: parts::levels(set) | REPORTED })
    }

    /// `place` with all else cleared.
    #[inline(always)]
    pub fn of(&self, place: &Place) -> Place {
        let m = &self.0;
        Place {
            numbers: std::array::from_fn(|i| place.numbers[i] & m.numbers[i]),
            valid: place.valid & m.valid,
            ready: place.ready & m.ready,
            levels: place.levels & m.levels,
        }
    }

    /// Replaces what belongs to the set by `new`, where all else is cleared.
    #[inline(always)]
    pub fn put(&self, place: &mut Place, new: &Place) {
        let m = &self.0;
        for i in 0..WIDTH {
            place.numbers[i] = place.numbers[i] & !m.numbers[i] | new.numbers[i];
        }
        place.valid = place.valid & !m.valid | new.valid;
        place.ready = place.ready & !m.ready | new.ready;
        place.levels = place.levels & !m.levels | new.levels;
    }
}

/// A piece of a run: the cycles from one place to the next that is remembered.
#[derive(Clone, Debug)]
pub struct Piece {
    pub set: u32,
    pub mask: Mask,
    /// Where it begins and ends, as far as they belong to the set.
    pub start: Place,
    pub end: Place,
    /// The parts that are awake at its end, and the set of the piece after it.
    pub awake: u32,
    pub after: u32,
    /// Questions that stand at its end.
    pub asks: u32,
    /// The machine is idle at its end.
    pub idle: bool,
    pub summary: Summary,
    /// Pieces that followed.
    pub next: SmallVec<[u32; 4]>,
}

impl Piece {
    /// It begins in `place`, where the parts of `set` are about to go on.
    #[inline(always)]
    pub fn begins(&self, set: u32, place: &Place) -> bool {
        self.set == set && self.mask.of(place) == self.start
    }
}
