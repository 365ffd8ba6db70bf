//! What is left of a pass when its times are known: reports, and what the next one is spared.

use super::{Flow, Known, link::Link, record::Which, tail::Tail, times::Time};
use crate::{skip::summary::Summary, stats::Words};

impl Flow {
    /// What reports need of the pass, which ended in cycle `end`.
    pub fn summary(&mut self, end: Time) -> Summary {
        let cycles = (end - self.begin) as u32;
        if self.net.kv.room() {
            self.net.record.high(Which::Kv, self.net.kv.open(), end);
        }
        let mut summary = Summary { cycles, moved: true, writes: self.write.beats, ..Summary::default() };
        summary.beats.push(self.read.beats);
        summary.levels.reserve(LEVELS);
        let net = &self.net;
        let stages =
            [span(&net.desc), span(&net.consts), span(&net.x0), None, span(&net.sum0), span(&net.q), span(&net.ad), None, span(&net.o)];
        let mut later = [span(&net.sum1), span(&net.bd)];
        match &self.tail {
            Some((begin, tail)) => {
                net.record.levels((begin - self.begin) as usize, &mut summary);
                tail.levels.iter().for_each(|&(level, n)| summary.high(level, n));
                later = tail.spans.map(|s| s.map(|(first, last, n)| (begin + first, begin + last, n)));
                (summary.beats[0], summary.writes) = (summary.beats[0] + tail.beats, summary.writes + tail.writes);
            }
            None => net.record.levels(cycles as usize, &mut summary),
        }
        let norms = self.kvread.attn.attn_out.norm.spans.iter().enumerate().map(|(i, &s)| (3, i > 0, s));
        let others = stages.into_iter().chain(later).enumerate().filter_map(|(i, s)| Some((i, false, s?)));
        let at = |t: Time| (t - self.begin) as u32;
        let mut words: Vec<Words> = others
            .chain(norms)
            .map(|(stage, second, (first, last, count))| Words::of(stage as u8, second, count as u32, at(first), at(last)))
            .collect();
        words.sort_by_key(Words::order);
        summary.words.extend(words);
        summary
    }

    /// Remembers the tail, if it was not known; `summary` is the pass's, which ended in cycle `end`.
    pub fn keep_tail(&mut self, summary: &Summary, end: Time, known: &mut Known) {
        let Some((begin, key)) = self.new_tail.take() else { return };
        let mut skip = (begin - self.begin) as u32;
        let mut levels = Vec::new();
        for &(level, n) in &summary.levels {
            if n > skip {
                levels.push((level, n - skip));
            }
            skip = skip.saturating_sub(n);
        }
        let spans = [span(&self.net.sum1), span(&self.net.bd)].map(|s| s.map(|(first, last, n)| (first - begin, last - begin, n)));
        let (beats, writes) = (self.read.beats - self.before.0, self.write.beats - self.before.1);
        known.tails.keep(key, Tail { cycles: end - begin, levels, spans, beats, writes, paces: self.paces(), end });
    }
}

/// Changes of levels for which there is room from the begin.
const LEVELS: usize = 1 << 6;

/// First and last time of a stream's words, and how many.
fn span<T: Copy + Default>(link: &Link<T>) -> Option<(Time, Time, usize)> {
    let (count, last) = link.moved();
    (count > 0).then_some((link.first, last, count))
}
