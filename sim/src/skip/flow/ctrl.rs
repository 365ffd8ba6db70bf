//! `ctrl`: one descriptor, from its fetch to the interrupt.

use super::{net::Net, times::Time};
use crate::skip::{
    block::ctrl::{Job, section},
    pieces::Segment,
    signals::Command,
};
use tritforge_spec::block::ctrl::{Params, aux_dest};

/// What it does next.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    Fetch,
    /// Words of the descriptor that are left.
    Words(u32),
    Segment(u8),
    /// Words of the constants that are left.
    Constants(u32),
    X,
    Command(u8),
    Wait,
}

/// State.
#[derive(Clone)]
pub struct Ctrl {
    stage: Stage,
    /// From when on.
    at: Time,
    job: Job,
    ptr: u16,
}

/// Cycles from the doorbell's word to the descriptor's request.
const FETCH_LATENCY: Time = 3;
/// Cycles from the last word of the descriptor to the first segment of weights, from the last segment to the first constant.
const CHECK_LATENCY: Time = 2;
const SLOT_LATENCY: Time = 3;

impl Ctrl {
    /// The doorbell's word moves in cycle `go`; the descriptor begins at `ptr` modulo the burst length, and `job` is what it says.
    pub fn new(go: Time, ptr: u16, job: Job) -> Self {
        Self { stage: Stage::Fetch, at: go + FETCH_LATENCY, job, ptr }
    }

    /// Offset of the vectors that are written.
    pub fn x_out(&self) -> u16 {
        self.job.x_out
    }

    /// From when on it waits for the end of all writes, if it does.
    pub fn waits(&self) -> Option<Time> {
        (self.stage == Stage::Wait).then_some(self.at)
    }

    #[inline(never)]
    pub fn advance(&mut self, p: &Params, burst: u16, net: &mut Net) {
        while self.step(p, burst, net) {}
    }

    fn step(&mut self, p: &Params, burst: u16, net: &mut Net) -> bool {
        let words = p.desc_words() as u32;
        match self.stage {
            Stage::Fetch if net.dseg.room() => {
                let seg = Segment { off: self.ptr, beats: words };
                let t = net.dseg.offer(self.at, (seg, aux_dest::DESCRIPTOR), &mut net.wake);
                (self.stage, self.at) = (Stage::Words(words), t + 1);
            }
            Stage::Words(left) => {
                let Some((word, ())) = net.desc.head() else { return false };
                let t = word.max(self.at);
                net.desc.take(t, &mut net.wake);
                (self.stage, self.at) = (Stage::Words(left - 1), t + 1);
                if left == 1 {
                    (self.stage, self.at) = (Stage::Segment(0), t + CHECK_LATENCY);
                }
            }
            Stage::Segment(i) if net.wseg.room() => {
                let (beats, dest) = section(p, i);
                let t = net.wseg.offer(self.at, (Segment { off: self.job.weights, beats }, dest), &mut net.wake);
                self.job.weights = ((u32::from(self.job.weights) + beats) % u32::from(burst)) as u16;
                (self.stage, self.at) = if i == 4 { (Stage::Constants(words), t + SLOT_LATENCY) } else { (Stage::Segment(i + 1), t + 1) };
            }
            Stage::Constants(left) => {
                let Some((word, ())) = net.consts.head() else { return false };
                let t = word.max(self.at);
                net.consts.take(t, &mut net.wake);
                (self.stage, self.at) = (if left == 1 { Stage::X } else { Stage::Constants(left - 1) }, t + 1);
            }
            Stage::X if net.dseg.room() => {
                let seg = Segment { off: self.job.x_in, beats: u32::from(self.job.n) * p.x_words as u32 };
                let t = net.dseg.offer(self.at, (seg, aux_dest::X), &mut net.wake);
                (self.stage, self.at) = (Stage::Command(0), t + 1);
            }
            Stage::Command(i) => {
                let Some(t) = self.command(i, net) else { return false };
                self.at = t + 1;
                self.stage = if i == LAST { Stage::Wait } else { Stage::Command(i + 1) };
            }
            _ => return false,
        }
        true
    }

    /// Gives command `i` of a pass, in the order of the data flow; when it moves, if that is known.
    fn command(&self, i: u8, net: &mut Net) -> Option<Time> {
        let (n, at) = (self.job.n, self.at);
        let cmd = Command { n, second: matches!(i, 10..=12) };
        let link = match i {
            0 => &mut net.xload_cmd,
            1 | 10 => &mut net.norm_cmd,
            2 => &mut net.resid_cmd,
            3 | 11 => &mut net.unpack_cmd,
            4 | 12 => &mut net.tmac_cmd,
            5 => &mut net.rope_cmd,
            6 => &mut net.headq_cmd,
            7 => &mut net.kvwrite_cmd,
            8 => &mut net.kvread_cmd,
            9 => &mut net.attn_cmd,
            _ => return net.xstore_cmd.room().then(|| net.xstore_cmd.offer(at, (self.job.x_out, n), &mut net.wake)),
        };
        link.room().then(|| link.offer(at, cmd, &mut net.wake))
    }
}

const LAST: u8 = 13;
