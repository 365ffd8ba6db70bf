//! The harness itself: what it must notice, what it must say, and that its build flavours are the same hardware.

use std::{fs, path::Path};
use tritforge_sim::block::skid::SkidBlock;
use tritforge_spec::{
    bits::Bits,
    block::{Contract, Dir, Interface, rope, skid::Params},
    stall::hash,
};
use tritforge_testbench::{
    builds,
    harness::{Case, Design, Dut, Flavor, Library, Lockstep, Pack, Stall, build_dir, library, library_in},
};

const PARAMS: Params = Params { width: 8 };

/// The report of a run of `skid` with this planted fault, under both stalls; `None` without Verilator.
fn report_of_fault(name: &str) -> Option<String> {
    let rtl = Lockstep::<SkidBlock>::with_design(&PARAMS, builds::faulty(name))?.without_wave();
    let sent: Vec<Bits> = (0..200).map(|i| Bits::from_u64(8, hash(1, 2, i))).collect();
    let case = Case { stall: Stall::Both, ..Case::plain() };
    let report = rtl.bench(&case).input("in", &sent, |i, w| i.in_data = w.clone()).try_run().err();
    Some(report.expect("the fault went unseen"))
}

#[test]
fn an_output_that_moves_with_an_input_of_the_same_cycle_is_refused() {
    let Some(report) = report_of_fault("skid: output from an input of the same cycle") else { return };
    assert!(report.contains("port out_data depends on an input of the same cycle"), "{report}");
}

#[test]
fn a_report_names_cycle_port_values_seed_and_the_command_to_repeat_it() {
    let Some(report) = report_of_fault("skid: one cycle") else { return };
    for part in
        ["skid", "cycle", "port in_ready [1 bits]: expected 1 (model), found 0 (RTL)", "stalls Both", "TRITFORGE_SEED=0x", "--test harness"]
    {
        assert!(report.contains(part), "{part:?} is missing in\n{report}");
    }
    let this_test = "a_report_names_cycle_port_values_seed_and_the_command_to_repeat_it";
    assert!(report.contains(&format!("{this_test} -- --exact")), "{report}");
}

#[test]
fn every_build_flavour_is_the_same_hardware() {
    let design = Design::of(&PARAMS).unwrap();
    let words = |dir| design.ports_of(dir).map(|p| p.width.div_ceil(64)).sum::<usize>();
    let (ins, outs) = (words(Dir::In), words(Dir::Out));
    // In its pack, as all tests have it, and alone.
    let (pack, member) = builds::of_block(&Interface::of(&PARAMS)).unwrap();
    let alone = Pack::from(&design);
    let traces: Vec<Vec<u64>> = [(Flavor::Test, &pack, member), (Flavor::Wave, &alone, 0), (Flavor::Fast, &alone, 0)]
        .into_iter()
        .filter_map(|(flavor, pack, member)| {
            let path = library(pack, flavor).unwrap()?;
            let mut dut = Dut::new(&Library::load(&path, member, ins, outs).unwrap(), None);
            let mut out = vec![0; outs];
            let mut trace = Vec::new();
            for cycle in 0..500u64 {
                // rst, in_valid, in_data, out_ready in the order of the contract.
                let draw = |what| hash(3, what, cycle);
                dut.set(&[(cycle < 2) as u64, draw(0) & 1, draw(1) & 0xff, draw(2) & 1]);
                dut.low();
                dut.high();
                dut.get(&mut out);
                // in_ready, out_valid, out_data: the last means nothing while the one before is low.
                let data = if out[1] != 0 { out[2] } else { 0 };
                trace.extend([out[0], out[1], data]);
            }
            Some(trace)
        })
        .collect();
    assert_eq!(design.ports, PARAMS.ports());
    assert!(traces.windows(2).all(|pair| pair[0] == pair[1]));
    assert!(traces.iter().all(|t| t.iter().any(|&v| v != 0)));
}

/// What comes out of member `member` of the library at `path` in some cycles with the same random inputs every time; `rst`, the first
/// input, in the first two.
fn outputs_of(path: &Path, design: &Design, member: usize) -> Vec<u64> {
    let ports = |dir| design.ports_of(dir).map(|p| p.width).collect::<Vec<_>>();
    let (ins, outs) = (ports(Dir::In), ports(Dir::Out));
    assert!(ins.iter().chain(&outs).all(|&width| width <= 64), "a word a port");
    let mut dut = Dut::new(&Library::load(path, member, ins.len(), outs.len()).unwrap(), None);
    let (mut out, mut all) = (vec![0; outs.len()], Vec::new());
    for cycle in 0..400u64 {
        let draw = |(i, &width): (usize, &usize)| if i == 0 { u64::from(cycle < 2) } else { hash(5, i as u64, cycle) >> (64 - width) };
        dut.set(&ins.iter().enumerate().map(draw).collect::<Vec<_>>());
        dut.low();
        dut.high();
        dut.get(&mut out);
        all.extend(&out);
    }
    all
}

#[test]
fn a_cache_that_moved_reads_its_own_roms_and_what_it_lost_is_written_again() {
    let params = rope::Params::examples().swap_remove(0);
    let design = Design::of(&params).unwrap();
    let (pack, member) = builds::of_block(&Interface::of(&params)).unwrap();
    let Some(built) = library(&pack, Flavor::Test).unwrap() else { return };
    let key = built.parent().unwrap();
    let cache = build_dir().join(format!("moved-{}", std::process::id()));
    let moved = cache.join(key.file_name().unwrap());
    fs::create_dir_all(&moved).unwrap();
    for file in fs::read_dir(key).unwrap().map(|f| f.unwrap()).filter(|f| f.file_name() != "lock") {
        fs::copy(file.path(), moved.join(file.file_name())).unwrap();
    }
    let expected = outputs_of(&built, &design, member);
    let so = moved.join("dut.so");
    assert!(outputs_of(&so, &design, member) == expected, "the moved library is another hardware");

    let sine = moved.join("sine.hex");
    let text = fs::read_to_string(&sine).unwrap();
    fs::write(&sine, text.replace(|c: char| c.is_ascii_hexdigit(), "0")).unwrap();
    assert!(outputs_of(&so, &design, member) != expected, "the moved library does not read the file beside it");
    let found = || library_in(&cache, &pack, Flavor::Test).unwrap();
    assert_eq!(found().as_ref(), Some(&so), "the same key wherever the cache lies");
    assert_eq!(fs::read_to_string(&sine).unwrap(), text, "a damaged file is mended");
    fs::remove_file(&sine).unwrap();
    assert_eq!(found().as_ref(), Some(&so));
    assert!(outputs_of(&so, &design, member) == expected, "a missing file is written again");
    fs::remove_dir_all(cache).unwrap();
}
