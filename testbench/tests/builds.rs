//! The list of Verilator builds: it fits its bound and its file, and its tops cover the choices a user has, pair by pair.

use std::collections::BTreeSet;
use tritforge_spec::{config::Packing, hw::Hw};
use tritforge_testbench::{
    builds::{self, tops},
    harness::workspace,
};

#[test]
fn the_committed_list_is_what_the_tests_build_and_holds_at_most_40() {
    let committed = std::fs::read_to_string(workspace().join(builds::FILE)).unwrap();
    assert_eq!(committed, builds::text().unwrap(), "run `tritforge gen` and look at what changed in {}", builds::FILE);
    let lines = committed.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit())).count();
    assert!(lines > 10 && lines <= 40 && builds::MOST == 40, "{lines} builds");
}

/// A choice by name: the class of a hardware, and all its classes. Classes take different paths: a generate branch, a counter, a gearbox.
type Choice = (&'static str, fn(&Hw) -> &'static str, &'static [&'static str]);

fn several(n: usize) -> &'static str {
    if n == 1 { "1" } else { "several" }
}

const ONE_OR_SEVERAL: &[&str] = &["1", "several"];

const CHOICES: &[Choice] = &[
    ("packing", |hw| if hw.config.packing == Packing::Base3 { "base3" } else { "two_bit" }, &["base3", "two_bit"]),
    (
        "lanes",
        |hw| match hw.config.lanes.cmp(&hw.config.trits_per_word()) {
            std::cmp::Ordering::Less => "part of a word",
            std::cmp::Ordering::Equal => "a word",
            std::cmp::Ordering::Greater => "several words",
        },
        &["part of a word", "a word", "several words"],
    ),
    ("ports", |hw| several(hw.ports()), ONE_OR_SEVERAL),
    // A scale and an element of x are 32 bits, a descriptor 256: one or several beats a word of each kind.
    ("port_bits", |hw| if hw.port_bits() < 128 { "64" } else { "128 and more" }, &["64", "128 and more"]),
    ("batch", |hw| several(hw.config.batch), ONE_OR_SEVERAL),
    ("vec", |hw| several(hw.config.vec), ONE_OR_SEVERAL),
    ("kv_bits", |hw| if hw.config.kv_bits == 8 { "bytes" } else { "packed" }, &["bytes", "packed"]),
    ("softmax ROM", |hw| if hw.config.rom_log2 < 8 { "small" } else { "256 entries and more" }, &["small", "256 entries and more"]),
    ("burst", |hw| if hw.config.burst < 16 { "short" } else { "16" }, &["short", "16"]),
    ("outstanding", |hw| several(hw.config.outstanding), ONE_OR_SEVERAL),
    ("slots", |hw| several(hw.config.slots), ONE_OR_SEVERAL),
    ("FIFOs", |hw| if hw.config.weight_fifo == hw.config.burst { "a burst" } else { "several bursts" }, &["a burst", "several bursts"]),
    ("group", |hw| several(hw.group()), ONE_OR_SEVERAL),
    ("head dimension", |hw| if hw.shape.head_dim.is_power_of_two() { "power of two" } else { "other" }, &["power of two", "other"]),
    ("heads x size", |hw| if hw.q_dim() == hw.shape.dim { "is dim" } else { "is not dim" }, &["is dim", "is not dim"]),
];

#[test]
fn every_pair_of_choices_meets_in_a_top() {
    let tops = tops::all();
    let mut missing = Vec::new();
    for (i, (a, class_a, all_a)) in CHOICES.iter().enumerate() {
        for (b, class_b, all_b) in &CHOICES[..i] {
            for (x, y) in all_a.iter().flat_map(|x| all_b.iter().map(move |y| (x, y))) {
                if !tops.iter().any(|t| class_a(&t.hw) == *x && class_b(&t.hw) == *y) {
                    missing.push(format!("{a}: {x} with {b}: {y}"));
                }
            }
        }
    }
    assert!(missing.is_empty(), "no top in testbench/src/builds/tops.rs has {missing:#?}");
}

#[test]
fn every_value_that_the_contract_names_is_in_a_top() {
    let tops = tops::all();
    let values = |of: fn(&Hw) -> usize| -> BTreeSet<usize> { tops.iter().map(|t| of(&t.hw)).collect() };
    let held =
        |of, named: &[usize]| assert!(values(of).is_superset(&named.iter().copied().collect()), "{:?} lacks some of {named:?}", values(of));
    held(|hw| hw.group(), &[1, 2, 4, 5]);
    held(|hw| hw.shape.head_dim, &[32, 80, 128]);
    held(|hw| hw.shape.dim.max(hw.q_dim()), &[6912, 16384]);
    held(|hw| hw.context(), &[8192]);
    held(|hw| hw.config.kv_bits, &[4, 6, 8]);
    held(|hw| hw.config.batch, &[1, 2, 3, 4]);
    held(|hw| hw.config.vec, &[1, 2, 4]);
    held(|hw| hw.ports(), &[1, 2, 4]);
    held(|hw| hw.port_bits(), &[64, 128, 256]);
    held(|hw| hw.config.lanes, &[64, 80, 320]);
}
