//! What the engine remembers: the states of all parts, and pieces of runs.
//!
//! A piece is what some parts (its set) did while all others slept. A sleeping part has no effect but by the valids, readies and
//! levels that it holds, and they stay as they are; so a piece holds for every state in which the parts of its set are in the same
//! states, the streams and levels at them are the same, and all other parts sleep: whatever these are in. It ends before the cycle
//! in which one of them would wake.
//!
//! Counters ([`Counter`]) are apart: a piece holds for all values with which the same comparisons come out the same, and moves them
//! by as much. So the middle of a projection is the same piece again and again.

use super::{
    block::{
        attn, attn_out, axi_read, axi_write, ctrl, headq, kvread, kvwrite, norm, resid, rope, route, softmax, tmac, unpack, xload, xstore,
    },
    machine::State,
    parts,
    pieces::Counter,
    signals::{Signals, into, level},
    store::Store,
    summary::Summary,
};
use crate::memory::channels::{ReadChannel, WriteChannel};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

/// A number of a state for every part, in the order of their bits; some unused ones make whole vectors.
pub const WIDTH: usize = parts::PARTS.next_multiple_of(8);
pub type Numbers = [u32; WIDTH];

/// A value for every counter of the parts; some unused ones make whole vectors.
pub const COUNTERS: usize = 24;
pub type Counters = [u32; COUNTERS];

/// The counters of a state.
fn counters(st: &mut State) -> impl Iterator<Item = &mut Counter> {
    let first = st.axi_read.counters().into_iter().chain(st.aux.counters());
    let second = st.tmac.counters().into_iter().chain(st.unpack.counters()).chain(st.rope.counters()).chain(st.headq.counters());
    let third = st.kvwrite.counters().into_iter().chain(st.fill.counters());
    first.chain(second).chain(third).chain(st.kvread.counters()).chain(st.attn.counters())
}

/// Makes all counters of `st` forget their comparisons.
pub fn watch(st: &mut State) {
    counters(st).for_each(Counter::watch);
}

/// For which values of the counters, moved by how much, a piece holds that took `st` from `start` to where it is.
pub fn ranges(st: &mut State, start: &Counters) -> Ranges {
    let mut r = Ranges { low: *start, span: [u32::MAX; COUNTERS], keep: [u32::MAX; COUNTERS], delta: [0; COUNTERS] };
    counters(st).enumerate().for_each(|(i, counter)| {
        let (less, more) = counter.room();
        r.low[i] = start[i].saturating_sub(less);
        r.span[i] = start[i].saturating_add(more) - r.low[i];
        r.keep[i] = if counter.is_fixed() { 0 } else { u32::MAX };
        r.delta[i] = counter.raw().wrapping_sub(start[i] & r.keep[i]);
    });
    r
}

/// For which values of the counters a piece holds, and how it moves them.
#[derive(Clone, Copy, Debug)]
pub struct Ranges {
    low: Counters,
    /// Highest above `low`.
    span: Counters,
    /// 0 for those that become a number whatever they were.
    keep: Counters,
    delta: Counters,
}

impl Ranges {
    /// It holds for these values.
    #[inline(always)]
    pub fn hold(&self, counters: &Counters) -> bool {
        let mut all = true;
        for (value, (low, span)) in counters.iter().zip(self.low.iter().zip(&self.span)) {
            all &= value.wrapping_sub(*low) <= *span;
        }
        all
    }

    /// Moves them.
    #[inline(always)]
    pub fn put(&self, counters: &mut Counters) {
        for (value, (keep, delta)) in counters.iter_mut().zip(self.keep.iter().zip(&self.delta)) {
            *value = (*value & keep).wrapping_add(*delta);
        }
    }
}

/// Puts these values into the counters of `st`.
fn put(st: &mut State, values: &Counters) {
    counters(st).enumerate().for_each(|(i, counter)| counter.put(values[i]));
}

macro_rules! stores {
    ($($field:ident: $state:ty,)*) => {
        /// The states of every part.
        #[derive(Clone, Debug, Default)]
        pub struct Stores {
            $(pub $field: Store<$state>,)*
        }

        impl Stores {
            /// Numbers the states of the parts of `set`, their counters apart.
            pub fn number(&mut self, st: &mut State, set: u32, numbers: &mut Numbers, values: &mut Counters) {
                counters(st).enumerate().for_each(|(i, counter)| {
                    values[i] = counter.raw();
                    counter.put(0);
                });
                let mut i = 0;
                $(
                    // Most often a part ends a piece in the state in which it began.
                    if set >> i & 1 != 0 && !self.$field.is(numbers[i], &st.$field) {
                        numbers[i] = self.$field.number(&st.$field);
                    }
                    i += 1;
                )*
                debug_assert_eq!(i, parts::PARTS);
                put(st, values);
            }

            /// Puts the states with these numbers into `st`, where `there` are, and the counters.
            pub fn load(&self, numbers: &Numbers, there: &Numbers, values: &Counters, st: &mut State) {
                let mut i = 0;
                $(
                    if numbers[i] != there[i] {
                        st.$field.clone_from(self.$field.get(numbers[i]));
                    }
                    i += 1;
                )*
                debug_assert_eq!(i, parts::PARTS);
                put(st, values);
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
    pub counters: Counters,
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
        Self(Place { numbers, valid: streams, ready: streams, levels: parts::levels(set) | REPORTED, counters: [0; COUNTERS] })
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
            counters: [0; COUNTERS],
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
    /// The parts that were about to go on at its begin; others of its set woke later.
    pub first: u32,
    /// Those of them that were awake. It does not follow from their states alone: a counter may be what lets a part sleep, and a
    /// part that sleeps through the piece makes no comparison which would tell.
    pub from: u32,
    /// The number of its set's mask.
    pub mask: u32,
    /// Where it begins and ends, as far as that belongs to the set.
    pub start: Place,
    pub end: Place,
    pub ranges: Ranges,
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

/// The masks of all sets that were met.
#[derive(Clone, Debug, Default)]
pub struct Masks {
    list: Vec<Mask>,
    index: FxHashMap<u32, u32>,
}

impl Masks {
    /// The number of the mask of `set`.
    pub fn number(&mut self, set: u32) -> u32 {
        *self.index.entry(set).or_insert_with(|| {
            self.list.push(Mask::new(set));
            self.list.len() as u32 - 1
        })
    }

    /// A mask.
    #[inline(always)]
    pub fn get(&self, number: u32) -> &Mask {
        &self.list[number as usize]
    }
}
