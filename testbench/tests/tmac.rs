//! `tmac`: model and RTL in lockstep; sums against plain loops; cycles of full rate, of narrow rows, of latency and waits.

use std::process::Command;
use tritforge_sim::block::tmac::{In, Out, Tmac};
use tritforge_spec::{
    bits::Bits,
    block::{
        Contract,
        tmac::{Params, ROWS},
    },
    stall::hash,
};
use tritforge_testbench::harness::{Case, Design, Environment, Lockstep, build_dir, iverilog, missing, workspace};

#[derive(Clone, Copy)]
struct Cmd {
    acts: u32,
    wpr: u16,
    rows: u32,
    n: u8,
    dest: bool,
}

#[derive(Clone, Copy)]
struct Act {
    token: u8,
    index: u16,
    data: u128,
}

/// Token, sum.
type Sums = Vec<(u8, i32)>;

/// The streams of some phases and the sums that must come out.
#[derive(Default)]
struct Phases {
    cmds: Vec<Cmd>,
    acts: Vec<Act>,
    trits: Vec<Bits>,
    sums: [Sums; 2],
    /// Act beats and array words up to the end of each phase.
    ends: Vec<(usize, usize)>,
}

impl Phases {
    /// A phase of `rows` rows of `k` weights for `n` tokens; with new activations or those of the phase before. Weights beyond k
    /// are not zero (a damaged image): lanes without an activation count as zero.
    fn push(
        &mut self,
        p: &Params,
        seed: u64,
        (rows, k, n, dest): (u32, usize, usize, bool),
        fresh: Option<&mut Vec<Vec<i32>>>,
        held: &[Vec<i32>],
    ) {
        let wpr = k.div_ceil(p.lanes);
        let value = |t: usize, i: usize| match hash(seed, 2, (t * 100_000 + i) as u64) % 8 {
            0 => -127,
            1 => 127,
            r => (hash(seed, r, (t * 100_000 + i) as u64) % 255) as i32 - 127,
        };
        let made: Vec<Vec<i32>> = (0..n).map(|t| (0..k).map(|i| value(t, i)).collect()).collect();
        let is_fresh = fresh.is_some();
        if let Some(store) = fresh {
            // Groups of all tokens one after the other, or token after token.
            let by_token = hash(seed, 3, 0) & 1 != 0;
            let groups = k / p.vec;
            for beat in 0..groups * n {
                let (t, g) = if by_token { (beat / groups, beat % groups) } else { (beat % n, beat / n) };
                let data = (0..p.vec).fold(0u128, |d, j| d | (made[t][g * p.vec + j] as u8 as u128) << (8 * j));
                self.acts.push(Act { token: t as u8, index: g as u16, data });
            }
            *store = made.clone();
        }
        let acts = if is_fresh { &made } else { held };
        self.cmds.push(Cmd { acts: if is_fresh { (k / p.vec * n) as u32 } else { 0 }, wpr: wpr as u16, rows, n: n as u8, dest });
        for row in 0..rows {
            let weight = |i: usize| match hash(seed, 4 + row as u64, i as u64) % 3 {
                _ if row == 0 => 1,
                _ if row == 1 => -1,
                w => w as i32 - 1,
            };
            for word in 0..wpr {
                let codes: Vec<u64> = (0..p.lanes).map(|j| [3, 0, 1][(weight(word * p.lanes + j) + 1) as usize]).collect();
                self.trits.push(Bits::pack(2, &codes));
            }
            for (t, a) in acts.iter().take(n).enumerate() {
                let mut sum = 0;
                for (i, &x) in a.iter().enumerate() {
                    sum += x * weight(i);
                }
                self.sums[dest as usize].push((t as u8, sum));
            }
        }
        self.ends.push((self.acts.len(), self.trits.len()));
    }
}

/// Holds act beats back until the phase before has taken its last array word, as the data flow does.
struct AfterThePhase<'a> {
    ends: &'a [(usize, usize)],
    acts: usize,
    words: usize,
}

impl Environment<Tmac> for AfterThePhase<'_> {
    fn drive(&mut self, _: u64, out: &Out, input: &mut In) {
        let phase = self.ends.iter().filter(|e| e.1 <= self.words).count();
        input.act_valid &= self.acts < self.ends.get(phase).map_or(usize::MAX, |e| e.0);
        self.acts += (input.act_valid && out.act_ready) as usize;
        self.words += (input.t_valid && out.t_ready) as usize;
    }
    fn reset(&mut self) {
        (self.acts, self.words) = (0, 0);
    }
}

fn fill_cmd(i: &mut In, c: &Cmd) {
    (i.cmd_acts, i.cmd_wpr, i.cmd_rows, i.cmd_n, i.cmd_dest) = (c.acts, c.wpr, c.rows, c.n, c.dest);
}

fn fill_act(i: &mut In, a: &Act) {
    (i.act_token, i.act_index, i.act_data) = (a.token, a.index, a.data);
}

fn sums(run: &tritforge_testbench::harness::Run<Out>) -> [Sums; 2] {
    [run.values("sum0", |o| (o.sum0_token, o.sum0_data)), run.values("sum1", |o| (o.sum1_token, o.sum1_data))]
}

/// Phases of every shape `p` allows; array words are at most `depth` a row.
fn phases(p: &Params, seed: u64) -> Phases {
    let mut all = Phases::default();
    let mut held: Vec<Vec<i32>> = Vec::new();
    for phase in 0..7u64 {
        let r = |what: u64| hash(seed, 50 + what, phase) as usize;
        let longest = p.lanes * p.depth / p.vec;
        let k = if phase == 3 { held[0].len() } else { (1 + r(0) % longest) * p.vec };
        let n = if phase == 3 { held.len() } else { 1 + r(1) % p.batch };
        let rows = 1 + r(2) % (1 + 200 / (k.div_ceil(p.lanes) * n).max(4));
        let before = held.clone();
        let fresh = (phase != 3).then_some(&mut held);
        all.push(p, seed ^ phase, (rows as u32, k, n, r(3) & 1 != 0), fresh, &before);
    }
    all
}

#[test]
fn sums_are_exact_under_every_stall() {
    for params in Params::examples() {
        let Some(rtl) = Lockstep::<Tmac>::new(&params) else { return };
        for case in Case::all() {
            for extra in 0..2 {
                let p = phases(&params, case.seed * 2 + extra);
                let run = rtl
                    .bench(&case)
                    .input("cmd", &p.cmds, fill_cmd)
                    .input("act", &p.acts, fill_act)
                    .input("t", &p.trits, |i, w| i.t_trits = w.clone())
                    .environment(AfterThePhase { ends: &p.ends, acts: 0, words: 0 })
                    .run();
                assert_eq!(sums(&run), p.sums, "{params:?} {case}");
            }
        }
    }
}

/// One phase without stalls, activations first; the cycles of array words and of sums, and the levels of every cycle.
fn timed(params: &Params, rows: u32, k: usize, n: usize) -> Option<(Vec<u64>, Vec<u64>, Vec<Out>)> {
    let rtl = Lockstep::<Tmac>::new(params)?;
    let mut p = Phases::default();
    p.push(params, 9, (rows, k, n, false), Some(&mut Vec::new()), &[]);
    let mut levels = Vec::new();
    let run = rtl
        .bench(&Case::plain())
        .input("cmd", &p.cmds, fill_cmd)
        .input("act", &p.acts, fill_act)
        .input("t", &p.trits, |i, w| i.t_trits = w.clone())
        .environment(|_: u64, out: &Out, _: &mut In| levels.push(out.clone()))
        .run();
    assert_eq!(sums(&run), p.sums);
    Some((run.cycles_in("t").to_vec(), run.cycles_out("sum0"), levels))
}

#[test]
fn an_array_word_a_cycle_where_rows_have_at_least_as_many_words_as_tokens() {
    let params = Params { lanes: 80, batch: 4, vec: 4, depth: 4 };
    let (rows, wpr, n) = (50, 4, 4);
    let Some((words, sums, levels)) = timed(&params, rows, 320, n) else { return };
    // 320 act beats enter from cycle 0 and leave the skid in cycles 1..=320; at the end of 320 the last is counted. The command
    // was loaded in cycle 1. Cycle 321: the phase starts (activations of the first word are read). 322: the first word is taken.
    let start = 322;
    assert_eq!(words, (start..start + 200).collect::<Vec<_>>());
    // Row r ends with word 4r + 3; lane registers 1, 7 levels in 4 stages, accumulator 1, buffer 1 = 7 cycles; then a token a cycle.
    assert_eq!(params.latency(), 7);
    let expected: Vec<u64> = (0..rows as u64).flat_map(|r| (0..n as u64).map(move |t| start + wpr * r + 3 + 7 + t)).collect();
    assert_eq!(sums, expected);
    let count = |level: fn(&Out) -> bool| levels.iter().filter(|o| level(o)).count();
    // Waiting for activations in cycles 2..=320, each shown one cycle later.
    assert_eq!((count(|o| o.busy), count(|o| o.wait_act), count(|o| o.wait_w), count(|o| o.wait_out)), (200, 319, 0, 0));
}

#[test]
fn rows_of_one_word_run_at_one_row_in_n_cycles() {
    for (lanes, batch, vec, depth, n) in [(5, 1, 5, 70, 1), (16, 16, 2, 3, 1), (16, 16, 2, 3, 5), (40, 3, 1, 2, 3)] {
        let params = Params { lanes, batch, vec, depth };
        let rows = 100;
        let Some((words, sums, levels)) = timed(&params, rows, lanes, n) else { return };
        let first = words[0] + params.latency();
        assert_eq!(sums, (first..first + 100 * n as u64).collect::<Vec<_>>(), "{params:?} n {n}");
        if n == 1 {
            assert_eq!(words, (words[0]..words[0] + 100).collect::<Vec<_>>(), "{params:?}: places for {ROWS} rows are enough");
            assert!(levels.iter().all(|o| !o.wait_out));
        } else {
            assert!(levels.iter().any(|o| o.wait_out));
        }
        assert!(levels.iter().all(|o| [o.busy, o.wait_w, o.wait_act, o.wait_out].iter().filter(|b| **b).count() <= 1));
    }
}

#[test]
fn the_largest_sum_of_the_contract_is_exact() {
    // 16384 activations of 127 and weights of one sign: 127 · 16384 = 2,080,768 in 22 bits.
    let params = Params { lanes: 320, batch: 1, vec: 16, depth: 52 };
    let Some(rtl) = Lockstep::<Tmac>::new(&params) else { return };
    let k = 16384;
    let all_ones = (0..16).fold(0u128, |d, j| d | 127u128 << (8 * j));
    let acts: Vec<Act> = (0..k / 16).map(|g| Act { token: 0, index: g as u16, data: all_ones }).collect();
    let cmd = [Cmd { acts: 1024, wpr: 52, rows: 2, n: 1, dest: true }];
    let word = |code| Bits::pack(2, &vec![code; 320]);
    let trits: Vec<Bits> = (0..104).map(|i| word(if i < 52 { 1 } else { 3 })).collect();
    let run = rtl
        .bench(&Case::plain())
        .input("cmd", &cmd, fill_cmd)
        .input("act", &acts, fill_act)
        .input("t", &trits, |i, w| i.t_trits = w.clone())
        .run();
    assert_eq!(sums(&run), [vec![], vec![(0, 2_080_768), (0, -2_080_768)]]);
}

#[test]
fn no_unwritten_activation_reaches_a_sum_in_four_state_simulation() {
    let Some(iverilog) = iverilog() else { return missing("iverilog", "four-state simulation of tmac") };
    let dir = build_dir().join(format!("icarus-tmac-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let design = Design::of(&Params::examples()[0]).unwrap();
    let mut files = vec![workspace().join("testbench/icarus/tmac_x.sv")];
    for (name, text) in &design.sources {
        std::fs::write(dir.join(name), text).unwrap();
        files.push(dir.join(name));
    }
    // Distributed and block RAM.
    for depth in [4, 70] {
        let out = dir.join("tmac.vvp");
        let mut build = Command::new(&iverilog.path);
        build.arg("-g2012").arg("-o").arg(&out).arg(format!("-Ptmac_x.DEPTH={depth}")).args(&files);
        let built = build.output().unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        let ran = Command::new(iverilog.path.with_file_name("vvp")).arg(&out).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&ran.stdout).trim(), "PASS 40 sums", "DEPTH {depth}");
    }
    std::fs::remove_dir_all(&dir).unwrap();
}
