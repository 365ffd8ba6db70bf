//! SMT proofs of the AXI masters of one port: handshake rules, bursts inside 4 KiB, reserved space, progress; and the proofs find
//! planted faults.

use tritforge_spec::block::{Contract, axi, axi_read, axi_read_port, axi_write, axi_write_port};
use tritforge_testbench::harness::{
    Design,
    formal::{Proof, base_case, prove_with, with_stub},
};

const PROVEN: Proof = Proof { base: true, induction: true };
/// Cycles of the base case and of the induction window of the safety properties.
const STEPS: usize = 4;
fn proof_of<P: Contract>(params: &P, steps: usize, macros: &[&str]) -> Option<Proof> {
    prove_with(&Design::of(params).unwrap(), steps, macros).unwrap()
}

/// Small queues; all rules depend on counts and addresses, not on data.
fn read(port_bits: usize, burst: usize) -> axi_read_port::Params {
    axi_read_port::Params { port_bits, burst, outstanding: 2, w_depth: burst + 1, x_depth: burst.max(2) }
}

fn write(port_bits: usize, burst: usize) -> axi_write_port::Params {
    axi_write_port::Params { port_bits, burst, outstanding: 2 }
}

#[test]
fn the_read_master_keeps_the_rules_of_axi_and_never_overflows_a_fifo() {
    for params in [read(32, 4), read(64, 1), read(64, 8)] {
        let Some(proof) = proof_of(&params, STEPS, &[]) else { return };
        assert_eq!(proof, PROVEN, "{params:?}");
    }
}

#[test]
fn the_write_master_keeps_the_rules_of_axi_and_never_waits_for_announced_data() {
    for params in [write(32, 4), write(64, 1), write(64, 8)] {
        let Some(proof) = proof_of(&params, STEPS, &[]) else { return };
        assert_eq!(proof, PROVEN, "{params:?}");
    }
}

/// Macros of the progress proof: the peers' wait, and the contract's bound less `short_by`.
fn progress(wait: u64, short_by: u64) -> [String; 3] {
    ["F_PROGRESS".into(), format!("F_WAIT={wait}"), format!("F_BOUND={}", axi::progress_bound(wait) - short_by)]
}

#[test]
fn both_masters_move_something_within_their_bound_when_their_peers_do() {
    for wait in [1, 3] {
        let [on, wait_is, bound] = &progress(wait, 0);
        // Longer than the bound, so that a window without movement contradicts the peers' promises.
        let steps = axi::progress_bound(wait) as usize + 3;
        let Some(proof) = proof_of(&read(32, 2), steps, &[on, wait_is, bound]) else { return };
        assert_eq!(proof, PROVEN, "read, peers {wait} cycles late");
        let Some(proof) = proof_of(&write(32, 2), steps, &[on, wait_is, bound]) else { return };
        assert_eq!(proof, PROVEN, "write, peers {wait} cycles late");
    }
}

#[test]
fn a_bound_of_one_cycle_less_does_not_hold() {
    let macros = progress(1, 1);
    let macros: Vec<&str> = macros.iter().map(String::as_str).collect();
    assert_ne!(base_case(&Design::of(&read(32, 2)).unwrap(), 12, &macros).unwrap(), Some(true));
    assert_ne!(base_case(&Design::of(&write(32, 2)).unwrap(), 12, &macros).unwrap(), Some(true));
}

fn is_found_within<P: Contract>(steps: usize, params: &P, macros: &[&str], from: &str, to: &str) -> bool {
    let design = Design::of(params).unwrap().with_fault(from, to).unwrap();
    base_case(&design, steps, macros).unwrap() != Some(true)
}

/// The fault shows within a burst or two after the reset.
fn is_found<P: Contract>(params: &P, macros: &[&str], from: &str, to: &str) -> bool {
    is_found_within(11, params, macros, from, to)
}

#[test]
fn the_proofs_find_planted_faults() {
    // A burst is issued although the FIFO has one beat too few.
    assert!(is_found(&read(32, 4), &[], "WC'(w_space_q) >= WC'(w_beats)", "WC'(w_space_q) + WC'(1) >= WC'(w_beats)"));
    // AR is overwritten while it waits.
    assert!(is_found(&read(32, 4), &[], "(!ar_valid_q || m_arready) && !stop_q", "!stop_q"));
    // A full FIFO of weights keeps auxiliary bursts back.
    let [on, wait, bound] = &progress(1, 0);
    assert!(is_found_within(
        14,
        &read(32, 2),
        &[on, wait, bound],
        "assign xb_ready = slot && x_fits",
        "assign xb_ready = slot && x_fits && w_fits"
    ));
    // A burst that fits exactly is never issued.
    assert!(is_found(&read(32, 2), &[on, wait, bound], "XC'(x_space_q) >= XC'(x_beats)", "XC'(x_space_q) > XC'(x_beats)"));
    // A burst is announced with a beat missing.
    assert!(is_found(&write(32, 4), &[], "DC'(fill_q) >= DC'(b_beats)", "DC'(fill_q) + DC'(1) >= DC'(b_beats)"));
}

/// Two ports that answer with anything at any time.
fn joined(reads: bool) -> Design {
    if reads {
        with_stub(Design::of(&axi_read::Params { ports: 2, port: read(32, 2) }).unwrap(), "axi_read_port").unwrap()
    } else {
        with_stub(Design::of(&axi_write::Params { ports: 2, port: write(32, 2) }).unwrap(), "axi_write_port").unwrap()
    }
}

#[test]
fn the_joins_of_the_ports_move_within_their_bound_whatever_time_ports_clients_and_sinks_take() {
    for reads in [true, false] {
        let Some(proof) = prove_with(&joined(reads), 2, &[&format!("F_BOUND={}", axi::join_bound(0))]).unwrap() else { return };
        assert_eq!(proof, PROVEN, "reads: {reads}");
        let wait = 1;
        assert_eq!(axi::join_bound(wait), wait + axi::join_bound(0));
        let short = format!("F_BOUND={}", axi::join_bound(0) - 1);
        let shorter = base_case(&joined(reads), 6, &[&short, &format!("F_WAIT={wait}"), "F_BOUND_ONLY"]).unwrap();
        assert_ne!(shorter, Some(true), "reads: {reads}");
    }
}

#[test]
fn the_proofs_of_the_joins_find_planted_faults() {
    let found = |reads, from, to| {
        let design = joined(reads).with_fault(from, to).unwrap();
        base_case(&design, 6, &[&format!("F_BOUND={}", axi::join_bound(0)), "F_WAIT=1"]).unwrap() != Some(true)
    };
    // A segment of kvread is taken and lost beside one of ctrl.
    assert!(found(true, "ks_ready = ds_ready && !ds_valid", "ks_ready = ds_ready"));
    // Weights leave only while auxiliary words may.
    assert!(found(true, "w_move  = w_valid && w_ready", "w_move  = w_valid && w_ready && a_ready"));
    // A segment of no words waits for its data.
    assert!(found(false, "busy_q <= grant && (seg_beats != 16'd0)", "busy_q <= grant"));
    // The words of client a stay where they are.
    assert!(found(false, "ar       = busy_q && !sel_q", "ar       = busy_q && sel_q"));
}
