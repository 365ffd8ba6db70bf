//! One instance of the model and one of the Verilated RTL, in the same cycle: drives both, compares both.

use super::{
    case::Case,
    dut::Dut,
    lockstep::Lockstep,
    mismatch,
    streams::{Slot, Stream, array_len},
};
use tritforge_sim::{
    clocked::{Block, PowerUp},
    ports::Ports,
};
use tritforge_spec::{
    bits::Bits,
    block::{Dir, Role},
    stall::{hash, port_id},
};

/// Reset is held this long at power-up: blocks are defined after one cycle of it.
const RESET_CYCLES: u64 = 2;

/// Model and RTL in the same cycle.
pub(super) struct Rig<'a, B: Block> {
    lockstep: &'a Lockstep<B>,
    case: Case,
    /// In words.
    pub conditions: String,
    pub model: B,
    dut: Dut,
    in_words: Vec<u64>,
    /// Outputs of the RTL in this cycle.
    found: Vec<u64>,
    expected: Vec<u64>,
    settled: Vec<u64>,
    /// Per stream: the payload words of an output that was valid and not taken.
    pub waiting: Vec<Option<Vec<u64>>>,
    /// Every cycle's input words from power-up on, for the replay with a wave.
    record: mismatch::Record,
}

impl<'a, B: Block> Rig<'a, B>
where
    B::Params: Clone,
{
    pub fn new(lockstep: &'a Lockstep<B>, case: &Case, conditions: String) -> Self {
        let random = match case.power_up {
            PowerUp::Zero => None,
            PowerUp::Random(seed) => Some(seed),
        };
        let words = array_len(&lockstep.outputs);
        Self {
            lockstep,
            case: *case,
            conditions,
            model: (lockstep.model)(&lockstep.params, case.power_up),
            dut: Dut::new(&lockstep.library, random),
            in_words: vec![0; array_len(&lockstep.inputs)],
            found: vec![0; words],
            expected: vec![0; words],
            settled: vec![0; words],
            waiting: vec![None; lockstep.streams.len()],
            record: mismatch::Record::new(random, array_len(&lockstep.inputs), lockstep.wave),
        }
    }

    pub fn power_up_reset(&mut self) {
        for cycle in 0..RESET_CYCLES {
            let mut input = self.garbage(!self.case.seed, cycle);
            self.set_reset(&mut input, true);
            self.load(&input);
            self.edge();
            self.model.step(&input);
        }
        self.dut.get(&mut self.found);
    }

    /// Every payload input arbitrary, all else zero.
    pub fn garbage(&self, seed: u64, cycle: u64) -> B::In {
        let mut input = B::In::default();
        for slot in &self.lockstep.inputs {
            if let Role::Payload(_) | Role::Lanes(_) = slot.port.role {
                let id = port_id(slot.port.name);
                let words: Vec<u64> = (0..slot.words as u64).map(|i| hash(seed ^ i, id, cycle)).collect();
                input.store(slot.field, slot.port.width, &words);
            }
        }
        input
    }

    pub fn set_bit(&self, input: &mut B::In, slot: usize, value: bool) {
        let slot = &self.lockstep.inputs[slot];
        input.store(slot.field, slot.port.width, &[value as u64]);
    }

    pub fn set_reset(&self, input: &mut B::In, value: bool) {
        let reset = self.lockstep.inputs.iter().position(|s| s.port.role == Role::Reset);
        if let Some(slot) = reset {
            self.set_bit(input, slot, value);
        }
    }

    /// Streams with their valid (for outputs: of the RTL, in this cycle) and their index.
    pub fn streams(&self) -> impl Iterator<Item = (&Stream, bool, usize)> {
        self.lockstep.streams.iter().enumerate().map(|(i, s)| {
            let valid = match s.dir {
                Dir::In => self.in_words[self.lockstep.inputs[s.valid].at] != 0,
                Dir::Out => self.found[self.lockstep.outputs[s.valid].at] != 0,
            };
            (s, valid, i)
        })
    }

    /// Compares this cycle's outputs, and holds that a waiting valid stands.
    pub fn compare(&mut self, out: &B::Out, levels: bool) -> Result<(), String> {
        let ls = self.lockstep;
        for slot in &ls.outputs {
            let words = &mut self.expected[slot.at..slot.at + slot.words];
            let fits = out.load(slot.field, slot.port.width, words);
            let valid = |s: &&Stream| self.found[ls.outputs[s.valid].at] != 0;
            let compared = match slot.port.role {
                Role::Payload(name) => ls.streams.iter().find(|s| s.name == name).as_ref().is_some_and(valid),
                Role::Level => levels,
                _ => true,
            };
            if !compared {
                continue;
            }
            if !fits {
                return Err(format!("port {}: the model's value does not fit into {} bits: {out:?}", slot.port.name, slot.port.width));
            }
            let (expected, found) = (slot.of(&self.expected), slot.of(&self.found));
            let differ = match slot.port.role {
                Role::Lanes(valid) => {
                    let valid = ls.outputs.iter().find(|s| s.port.name == valid);
                    let valid = valid.ok_or_else(|| format!("port {}: no output has the name of its valid", slot.port.name))?;
                    lanes_differ(slot.port.width, expected, found, valid.port.width, valid.of(&self.found))
                }
                _ => expected != found,
            };
            if differ {
                return Err(mismatch::values(&slot.port, expected, found));
            }
        }
        for (i, s) in ls.streams.iter().enumerate().filter(|(_, s)| s.dir == Dir::Out) {
            if let Some(was) = &self.waiting[i] {
                if self.found[ls.outputs[s.valid].at] == 0 {
                    return Err(format!("stream {}: valid went low before its word was taken", s.name));
                }
                if *was != payload(s, &ls.outputs, &self.found) {
                    return Err(format!("stream {}: the payload changed while it waited", s.name));
                }
            }
        }
        Ok(())
    }

    /// Per stream: a word moves at this edge. Also notes what waits.
    pub fn transfers(&mut self, input: &B::In) -> Vec<bool> {
        self.load(input);
        let ls = self.lockstep;
        let moved: Vec<(bool, bool)> = self
            .streams()
            .map(|(s, valid, _)| {
                let ready = match s.dir {
                    Dir::In => self.found[ls.outputs[s.ready].at] != 0,
                    Dir::Out => self.in_words[ls.inputs[s.ready].at] != 0,
                };
                (valid, ready)
            })
            .collect();
        for (i, s) in ls.streams.iter().enumerate().filter(|(_, s)| s.dir == Dir::Out) {
            let (valid, ready) = moved[i];
            self.waiting[i] = (valid && !ready).then(|| payload(s, &ls.outputs, &self.found));
        }
        moved.into_iter().map(|(v, r)| v && r).collect()
    }

    fn load(&mut self, input: &B::In) {
        for slot in &self.lockstep.inputs {
            let words = &mut self.in_words[slot.at..slot.at + slot.words];
            let fits = input.load(slot.field, slot.port.width, words);
            assert!(fits, "stimulus of port {} does not fit into {} bits: {input:?}", slot.port.name, slot.port.width);
        }
    }

    /// One clock edge of the RTL with the loaded inputs.
    fn edge(&mut self) {
        self.record.push(&self.in_words);
        self.dut.set(&self.in_words);
        self.dut.low();
        self.dut.get(&mut self.settled);
        self.dut.high();
    }

    /// The clock edge of both.
    pub fn step(&mut self, input: &B::In) -> Result<(), String> {
        self.edge();
        for slot in &self.lockstep.outputs {
            if slot.of(&self.settled) != slot.of(&self.found) {
                return Err(format!("port {} depends on an input of the same cycle: outputs must be functions of state", slot.port.name));
            }
        }
        self.model.step(input);
        self.dut.get(&mut self.found);
        Ok(())
    }

    pub fn report(&self, cycle: u64, what: &str) -> String {
        self.record.report(
            &self.lockstep.design,
            (&self.case, &self.conditions),
            cycle,
            RESET_CYCLES,
            what,
            array_len(&self.lockstep.outputs),
        )
    }
}

/// Of `lanes` equal parts of two vectors, one whose bit in `valid` is high differs.
fn lanes_differ(width: usize, a: &[u64], b: &[u64], lanes: usize, valid: &[u64]) -> bool {
    if a == b {
        return false;
    }
    let (a, b, valid) = (Bits::from_words(width, a), Bits::from_words(width, b), Bits::from_words(lanes, valid));
    let lane = width / lanes;
    (0..lanes).any(|i| valid.bit(i) && a.slice(i * lane, lane) != b.slice(i * lane, lane))
}

fn payload(s: &Stream, slots: &[Slot], words: &[u64]) -> Vec<u64> {
    s.payload.iter().flat_map(|&i| slots[i].of(words).iter().copied()).collect()
}
