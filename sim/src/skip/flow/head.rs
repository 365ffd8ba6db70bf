//! The first part of a pass, up to what the KV reader asks for: it is the same whatever the position is. The state in which it ends is
//! remembered.

use super::{Flow, Record};
use crate::skip::block::ctrl::Job;
use rustc_hash::FxHashMap;

/// All that decides a head, where nothing of the memory's rates is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// Offset of the descriptor modulo the burst length.
    pub descriptor: u16,
    pub job: Job,
}

/// A pass at the end of its head; its times count from its begin.
struct Head {
    flow: Flow,
    record: Record,
}

/// Heads that are kept; beyond them all are forgotten.
const KEPT: usize = 1 << 8;

/// All heads of one hardware with one memory.
#[derive(Default)]
pub struct Heads(FxHashMap<Key, Head>);

impl Heads {
    /// The pass as it was at the end of its head, if that is known; `record` is used for it.
    pub fn get(&self, key: &Key, record: &mut Record) -> Option<Flow> {
        let head = self.0.get(key)?;
        record.begin_as(&head.record);
        let mut flow = head.flow.clone();
        flow.net.record = std::mem::take(record);
        Some(flow)
    }

    /// Keeps a pass that is at the end of its head.
    pub fn keep(&mut self, key: Key, flow: &mut Flow) {
        if self.0.len() >= KEPT {
            self.0.clear();
        }
        let record = std::mem::take(&mut flow.net.record);
        self.0.insert(key, Head { flow: flow.clone(), record: record.shortened() });
        flow.net.record = record;
    }
}
