//! Timing of `axi_burst`: a segment becomes bursts that end at multiples of the burst length.

use crate::skip::pieces::{Segment, Skid};

/// State.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Bursts {
    seg: Skid<Segment>,
    /// Offset modulo the burst length of the segment under way, and its beats that are in no burst yet; 0 without one.
    act: Option<u16>,
    pub left: u32,
    out: Option<u16>,
}

impl Bursts {
    pub fn ready(&self) -> bool {
        self.seg.ready()
    }
    /// Beats of the burst that is offered.
    pub fn peek(&self) -> Option<u16> {
        self.out
    }
    /// It has begun a segment that nobody has asked for.
    pub fn asks(&self) -> bool {
        self.act.is_some() && self.left == Segment::LATER.beats
    }
    /// What the oldest segment is that nobody asked for.
    pub fn segment_is(&mut self, segment: Segment) {
        if self.asks() {
            self.act = Some(segment.off);
            self.left = segment.beats;
        } else if let Some(oldest) = self.seg.words().iter_mut().find(|s| s.later()) {
            *oldest = segment;
        }
    }
    /// It may go on although no segment comes and no burst is taken.
    pub fn pending(&self) -> bool {
        match self.act {
            Some(_) => self.out.is_none(),
            None => self.seg.valid(),
        }
    }
    pub fn empty(&self) -> bool {
        !self.seg.valid() && self.act.is_none() && self.out.is_none()
    }
    /// The clock edge.
    pub fn step(&mut self, burst: u16, seg: Option<Segment>, burst_ready: bool) {
        let advance = self.out.is_none() || burst_ready;
        let cut = self.act.map(|off| {
            let room = u32::from(burst - off);
            let last = self.left < room + 1;
            (if last { self.left } else { room }, last)
        });
        let take = cut.is_none_or(|(_, last)| advance && last);
        if advance {
            self.out = cut.map(|(beats, _)| beats as u16);
        }
        if take {
            let next = self.seg.peek().filter(|s| s.beats != 0);
            if self.act.is_some() || next.is_some() {
                self.left = next.map_or(0, |s| s.beats);
            }
            self.act = next.map(|s| s.off);
        } else if advance && let Some((beats, _)) = cut {
            self.act = Some(0);
            self.left -= beats;
        }
        self.seg.step(seg, take);
    }
}
