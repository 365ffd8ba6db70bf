//! Timing of `kvwrite`. Where a vector lies depends on the position of the pass: asked for when its first beat comes.

use crate::skip::{
    ask,
    pieces::{Segment, Skid},
    signals::{Signals, from, into, level},
};
use tritforge_spec::kv::KvShape;

const CMD: u32 = into("kvwrite", "cmd");
const KV: u32 = into("kvwrite", "kv");
const PB: u32 = from("kvwrite", "pb");
const WSEG: u32 = from("kvwrite", "wseg");
const WD: u32 = from("kvwrite", "wd");

/// What does not change: KV heads, groups of codes in a super-word.
#[derive(Clone, Debug)]
pub struct Params {
    pub(in crate::skip) kv_heads: u32,
    pub(in crate::skip) groups: u16,
}

impl From<&KvShape> for Params {
    fn from(k: &KvShape) -> Self {
        Self { kv_heads: k.kv_heads as u32, groups: (k.codes_per_word() / k.vec) as u16 }
    }
}

/// The two segments of a vector: codes and scale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Place {
    pub vector: Segment,
    pub scale: Segment,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Address {
    #[default]
    Free,
    /// Place, page read, sum, offsets: cycles left.
    Computing(u8),
    Vector,
    Scale,
}

const COMPUTING: u8 = 4;

/// State.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct KvWrite {
    cmd: Skid<u8>,
    /// Beats: first and last of their vector.
    kv: Skid<(bool, bool)>,
    /// A pass is under way, with this many vectors left.
    pass: bool,
    left: u32,
    group: u16,
    full: bool,
    scale_turn: bool,
    /// The full word, and the one in the output register, is a scale.
    making_scale: bool,
    output_scale: bool,
    pb: bool,
    wd: bool,
    address: Address,
    place: Place,
}

impl KvWrite {
    /// The place that was asked for.
    pub fn place_is(&mut self, place: Place) {
        self.place = place;
    }

    /// The clock edge; what is asked for goes to `asks`.
    pub fn step(&mut self, k: &Params, s: &mut Signals, asks: &mut u32) {
        let drained = !self.full && !self.scale_turn && !self.pb && !self.wd && self.address == Address::Free;
        let more = self.pass && (self.left >= 1);
        let done = drained && self.pass && !more;
        let (pb_moves, wd_moves, wseg_moves) = (s.moves(PB), s.moves(WD), s.moves(WSEG));
        let moves = self.full && (!self.pb || pb_moves) && (!self.wd || wd_moves);
        let room = !self.full || moves;
        let open = more && room && !self.scale_turn;
        let beat = self.kv.peek().filter(|&(first, _)| open && (!first || self.address == Address::Free));
        if moves {
            self.output_scale = self.making_scale;
        }
        self.pb = moves || self.pb && !pb_moves;
        self.wd = moves || self.wd && !wd_moves;
        self.address = match self.address {
            Address::Free if beat.is_some_and(|(first, _)| first) => {
                *asks |= ask::PLACE;
                Address::Computing(COMPUTING)
            }
            Address::Computing(1) => Address::Vector,
            Address::Computing(n) => Address::Computing(n - 1),
            Address::Vector if wseg_moves => Address::Scale,
            Address::Scale if wseg_moves => {
                self.place = Place::default();
                Address::Free
            }
            other => other,
        };
        let take_cmd = !self.pass;
        let mut complete = false;
        if let Some((_, last)) = beat {
            complete = last || self.group + 1 == k.groups;
            self.group = if complete { 0 } else { self.group + 1 };
            self.making_scale = false;
            if last {
                self.scale_turn = true;
                self.left -= 1;
            }
        } else if room && self.pass && self.scale_turn {
            self.scale_turn = false;
            self.making_scale = true;
            complete = true;
        }
        if room {
            self.full = complete;
        }
        if done {
            self.pass = false;
        }
        if take_cmd {
            self.pass = self.cmd.valid();
            if self.pass {
                self.left = 2 * k.kv_heads * u32::from(self.cmd.head());
            }
            self.group = 0;
        }
        self.cmd.step(s.moves(CMD).then_some(s.payload.command.n), take_cmd);
        self.kv.step(s.moves(KV).then_some((s.payload.head_first, s.payload.head_last)), beat.is_some());
        self.outputs(s);
    }

    /// Drives the outputs.
    pub fn outputs(&self, s: &mut Signals) {
        s.accept(CMD, self.cmd.ready());
        s.accept(KV, self.kv.ready());
        s.offer(PB, self.pb);
        s.payload.pb_scale = self.output_scale;
        s.offer(WD, self.wd);
        s.offer(WSEG, matches!(self.address, Address::Vector | Address::Scale));
        s.payload.aseg = if self.address == Address::Scale { self.place.scale } else { self.place.vector };
        s.level(level::KVWRITE_IDLE, !self.pass && !self.cmd.valid() && !self.kv.valid());
    }
}
