//! Fuzz target: any bytes as a trace (docs/trace.md). Reading gives a trace or an error, never a panic, and no memory in proportion to a number in
//! the file; what was read and is written again reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tritforge_fuzz::trace::file::{bytes, parse};

fuzz_target!(|file: &[u8]| {
    let Ok(trace) = parse(file) else { return };
    let again = bytes(&trace).ok().map(|written| parse(&written).expect("what was written is read"));
    let again = again.expect("what was read is written");
    assert_eq!((&again.tokens, again.first_position, again.len()), (&trace.tokens, trace.first_position, trace.len()));
    for ((place, a), (other, b)) in trace.iter().zip(again.iter()) {
        assert_eq!((place, &a.shape), (other, &b.shape));
        let same = |(a, b): (&f64, &f64)| a == b || a.is_nan() && b.is_nan();
        assert!(a.values.iter().zip(&b.values).all(same), "{place}");
    }
});
