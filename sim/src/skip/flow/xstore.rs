//! `xstore`: groups become super-words and go to memory.

use super::{net::Net, times::Time};
use crate::skip::{block::xstore, pieces::Segment};

/// State.
#[derive(Clone)]
pub struct Xstore {
    p: xstore::Params,
    segments: u8,
    offset: u16,
    segment_next: Time,
    /// From when on the first group of each vector is there.
    begins: Vec<Time>,
    pending: Option<(Time, Segment)>,
    token: u8,
    group: u32,
    sub: u32,
    next: Time,
    word: Option<Time>,
    /// When the last segment and word moved.
    last: Time,
    /// From when on it is idle.
    pub idle: Option<Time>,
}

impl Xstore {
    pub fn new(p: xstore::Params) -> Self {
        Self {
            p,
            segments: 0,
            offset: 0,
            segment_next: 0,
            begins: Vec::new(),
            pending: None,
            token: 0,
            group: 0,
            sub: 0,
            next: 0,
            word: None,
            last: 0,
            idle: None,
        }
    }

    /// It has not begun.
    pub fn is_fresh(&self) -> bool {
        self.segments == 0 && self.token == 0 && self.group == 0 && self.begins.is_empty()
    }

    #[inline(never)]
    pub fn advance(&mut self, net: &mut Net) {
        loop {
            let mut moved = false;
            if net.bseg.room()
                && let Some((from, seg)) = self.pending.take()
            {
                self.segment_next = net.bseg.offer(from, seg, &mut net.wake);
                self.last = self.last.max(self.segment_next);
                moved = true;
            }
            if net.bd.room()
                && let Some(from) = self.word.take()
            {
                let t = net.bd.offer(from, (), &mut net.wake);
                (self.last, self.next, moved) = (self.last.max(t), self.next.max(t), true);
            }
            if let Some((from, (x_out, n))) = net.xstore_cmd.head() {
                moved |= self.take(net, from, n);
                moved |= self.push(from, x_out, n);
                if self.segments == n && self.token == n && self.pending.is_none() && self.word.is_none() {
                    // The command goes when all is taken and all segments are offered; idle when they have moved too.
                    let at = self.next.max(self.segment_next);
                    net.xstore_cmd.take(at, &mut net.wake);
                    (self.segments, self.token) = (0, 0);
                    self.begins.clear();
                    self.idle = Some((at + 1).max(self.last + 1));
                    moved = true;
                }
            }
            if !moved {
                return;
            }
        }
    }

    fn take(&mut self, net: &mut Net, from: Time, n: u8) -> bool {
        let mut moved = false;
        while self.token != n
            && let Some((word, ())) = net.y.head()
        {
            if self.begins.len() == self.token as usize {
                self.begins.push(word);
                moved = true;
            }
            if self.word.is_some() {
                break;
            }
            let at = from.max(word).max(self.next);
            net.y.take(at, &mut net.wake);
            (self.next, moved) = (at + 1, true);
            let vector_last = self.group + 1 == self.p.groups;
            let word_last = vector_last || self.sub + 1 == self.p.per_word;
            self.word = word_last.then_some(at + 1);
            self.sub = if word_last { 0 } else { self.sub + 1 };
            self.group = if vector_last { 0 } else { self.group + 1 };
            self.token += vector_last as u8;
        }
        moved
    }

    fn push(&mut self, from: Time, x_out: u16, n: u8) -> bool {
        if self.segments == n || self.pending.is_some() {
            return false;
        }
        let Some(&due) = self.begins.get(self.segments as usize) else { return false };
        let at = from.max(due).max(self.segment_next);
        let off = if self.segments == 0 { x_out } else { self.offset };
        self.offset = ((u32::from(off) + u32::from(self.p.words)) % u32::from(self.p.burst)) as u16;
        self.pending = Some((at + 1, Segment { off, beats: self.p.words.into() }));
        self.segments += 1;
        true
    }
}
