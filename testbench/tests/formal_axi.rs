//! SMT proofs of the AXI masters of one port: handshake rules, bursts inside 4 KiB, reserved space, progress; and the proofs find
//! planted faults.

use tritforge_spec::block::{Contract, axi_read_port, axi_write_port};
use tritforge_testbench::harness::{
    Design,
    formal::{Proof, base_case, prove_with},
};

const PROVEN: Proof = Proof { base: true, induction: true };
/// Cycles of the base case and of the induction window of the safety properties.
const STEPS: usize = 4;
/// Of progress: more than the bound of 6, so that a window without movement contradicts the peers' promises.
const PROGRESS_STEPS: usize = 8;

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

#[test]
fn both_masters_move_something_within_their_bound_when_their_peers_do() {
    let Some(proof) = proof_of(&read(32, 2), PROGRESS_STEPS, &["F_PROGRESS"]) else { return };
    assert_eq!(proof, PROVEN);
    let Some(proof) = proof_of(&write(32, 2), PROGRESS_STEPS, &["F_PROGRESS"]) else { return };
    assert_eq!(proof, PROVEN);
}

/// The fault shows within a burst or two after the reset.
fn is_found<P: Contract>(params: &P, macros: &[&str], from: &str, to: &str) -> bool {
    let design = Design::of(params).unwrap().with_fault(from, to).unwrap();
    base_case(&design, 11, macros).unwrap() != Some(true)
}

#[test]
fn the_proofs_find_planted_faults() {
    // A burst is issued although the FIFO has one beat too few.
    assert!(is_found(&read(32, 4), &[], "WC'(w_space_q) >= WC'(w_beats)", "WC'(w_space_q) + WC'(1) >= WC'(w_beats)"));
    // AR is overwritten while it waits.
    assert!(is_found(&read(32, 4), &[], "(!ar_valid_q || m_arready) && !stop_q", "!stop_q"));
    // A burst that fits exactly is never issued.
    assert!(is_found(&read(32, 2), &["F_PROGRESS"], "XC'(x_space_q) >= XC'(x_beats)", "XC'(x_space_q) > XC'(x_beats)"));
    // A burst is announced with a beat missing.
    assert!(is_found(&write(32, 4), &[], "DC'(fill_q) >= DC'(b_beats)", "DC'(fill_q) + DC'(1) >= DC'(b_beats)"));
}
