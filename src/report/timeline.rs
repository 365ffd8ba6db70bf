//! The timeline of a run in Chrome's trace format, which Perfetto opens: a process a layer, a thread a stage. Time is simulated time.

use serde_json::{Value, json};
use tritforge_sim::stats::{PassStats, names};

/// One pass of one layer.
pub struct Entry<'a> {
    pub layer: usize,
    pub pos: usize,
    pub stats: &'a PassStats,
}

/// The trace; cycles become microseconds at `clock_mhz`.
pub fn trace(entries: &[Entry<'_>], clock_mhz: f64) -> Value {
    let us = |cycles: u64| cycles as f64 / clock_mhz;
    let mut events = Vec::new();
    let mut layers: Vec<usize> = entries.iter().map(|e| e.layer).collect();
    layers.sort_unstable();
    layers.dedup();
    for &layer in &layers {
        events.push(json!({"ph": "M", "name": "process_name", "pid": layer, "args": {"name": format!("layer {layer}")}}));
        for (tid, name) in names().enumerate() {
            events.push(json!({"ph": "M", "name": "thread_name", "pid": layer, "tid": tid, "args": {"name": name}}));
            events.push(json!({"ph": "M", "name": "thread_sort_index", "pid": layer, "tid": tid, "args": {"sort_index": tid}}));
        }
    }
    for e in entries {
        for span in &e.stats.spans {
            let tid = names().position(|n| n == span.name).unwrap_or(0);
            events.push(json!({
                "ph": "X", "name": span.name, "cat": "simulated", "pid": e.layer, "tid": tid,
                "ts": us(span.first), "dur": us(span.last - span.first + 1),
                "args": {"position": e.pos, "first_cycle": span.first, "cycles": span.last - span.first + 1, "words": span.words},
            }));
        }
    }
    json!({"traceEvents": events, "displayTimeUnit": "ns", "otherData": {"kind": "simulated"}})
}
