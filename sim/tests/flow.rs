//! The times of a pass against the machine that goes through its cycles: over random hardware, memories and passes, every word of every stream
//! moves in the same cycle, and the reports are the same.

use std::rc::Rc;
use tritforge_sim::memory::{MemConfig, Timing};
use tritforge_sim::skip::{
    ask,
    flow::{Flow, Known, Paces},
    machine::Machine,
    outside::{Asked, Outside},
    params::Params,
    summary::Summary,
};
use tritforge_spec::image::Image;
use tritforge_spec::random::Rng;
use tritforge_spec::random_hw;
use tritforge_spec::reference::AttnParams;
use tritforge_spec::top::STREAMS;

/// Runs drawn passes on the hardware of `seed`.
fn check(seed: u64, passes: usize) {
    let (hw, random) = random_hw::hardware(seed);
    let model = random.build(seed);
    let layers: Vec<&AttnParams> = model.layers.iter().map(|l| &l.attn).collect();
    let image = Image::build(&hw, &layers, 0).unwrap();
    let mut rng = Rng::new(seed);
    let timing = match rng.below(4) {
        0 => Timing::Ideal,
        _ => {
            let cycles = 1 + rng.below(4) as u32;
            let beats = 1 + rng.below(cycles as u64) as u32;
            Timing::Fixed { latency: 1 + rng.below(90), beats, cycles, outstanding: 1 + rng.below(16) as usize }
        }
    };
    let config = MemConfig { timing, ..MemConfig::ideal(hw.ports(), hw.port_bits()) };
    let place = format!("seed {seed}: {timing:?} {:?} {:?}", hw.config, hw.shape);
    println!("{place}");
    let pages = image.layout.page_table(hw.config.slots);
    let machine = Machine::new(&hw, &config);
    let (mut outside, mut state) = (Outside::new(&hw, pages.clone()), machine.state());
    let (mut other, params, mut paces) = (Outside::new(&hw, pages), Rc::new(Params::new(&hw, &config)), Paces::default());
    let context = hw.config.context.min(hw.shape.context);
    let (mut pos, mut record, mut known) = (0, Default::default(), Known::default());
    for _ in 0..passes {
        let n = (1 + rng.below(hw.config.batch as u64) as usize).min(context - pos);
        let list = vec![image.layout.descriptor(0, 0, pos, n)];
        let begin = state.now;
        outside.begin(image.layout.descriptors, list.clone());
        machine.go(&mut state, &outside);
        let mut summary = Summary::new(machine.ports());
        let mut moved: Vec<Vec<u64>> = vec![Vec::new(); STREAMS.len()];
        let mut cycle = 0;
        while !machine.idle(&state) {
            let signals = state.signals;
            for (i, times) in moved.iter_mut().enumerate() {
                if signals.moved >> i & 1 != 0 {
                    times.push(cycle);
                }
            }
            let (bus, asks) = machine.cycle(&mut state);
            summary.add(&signals, bus);
            for question in ask::EACH.into_iter().filter(|q| asks & q != 0) {
                let answer = outside.answer(question);
                machine.answer(&mut state, &answer);
            }
            cycle += 1;
            assert!(cycle < 1_000_000);
        }
        other.begin(image.layout.descriptors, list);
        let first = other.first_descriptor();
        // Unless words are watched one by one, many are gone through at once.
        let mut also = other.clone();
        let mut asked = Asked::new(&mut also);
        let mut unwatched = Flow::of(&params, begin, paces.clone(), first, &mut asked, &known, std::mem::take(&mut record));
        let unwatched_end = unwatched.run(&mut asked, &mut known);
        let mut asked = Asked::new(&mut other);
        let mut flow = Flow::new(&params, begin, paces, first, asked.job(), Default::default());
        flow.watch();
        let end = flow.run(&mut asked, &mut Known::default());
        let mut first: Option<(u64, usize, usize)> = None;
        for (stream, times) in flow.times() {
            let expected = &moved[stream];
            let differs = (0..times.len().max(expected.len())).find(|&i| times.get(i) != expected.get(i));
            if let Some(i) = differs {
                let at = times.get(i).copied().unwrap_or(u64::MAX).min(expected.get(i).copied().unwrap_or(u64::MAX));
                first = first.into_iter().chain([(at, stream, i)]).min();
            }
        }
        if let Some((_, stream, i)) = first {
            let (_, times) = flow.times().into_iter().find(|t| t.0 == stream).unwrap();
            let around = |v: &[u64]| v[i.saturating_sub(4).min(v.len())..(i + 4).min(v.len())].to_vec();
            if std::env::var("TRITFORGE_DEBUG").is_ok() {
                let at = flow.times().iter().find(|t| t.0 == stream).unwrap().1.get(i).copied().unwrap_or(0);
                for (s, t) in flow.times() {
                    let near = |v: &[u64]| v.iter().copied().filter(|t| t + 20 > at && *t < at + 12).collect::<Vec<_>>();
                    println!("{:?}: {:?} {:?}", STREAMS[s], near(&t), near(&moved[s]));
                }
            }
            panic!(
                "{place}\nposition {pos} tokens {n}: word {i} of {:?} (of {}, {}): flow {:?}, machine {:?}",
                STREAMS[stream],
                times.len(),
                moved[stream].len(),
                around(&times),
                around(&moved[stream])
            );
        }
        assert_eq!(end.map(|e| e - begin), Some(cycle), "{place}: position {pos} tokens {n}");
        let report = flow.summary(begin + cycle);
        let levels = |s: &Summary| s.levels.iter().scan(0, |at, l| Some((std::mem::replace(at, *at + l.1), *l))).collect::<Vec<_>>();
        if let Some((a, b)) = levels(&report).into_iter().zip(levels(&summary)).find(|(a, b)| a != b) {
            panic!("{place}\nposition {pos} tokens {n}: levels: flow {a:?}, machine {b:?}");
        }
        assert_eq!(report.words, summary.words, "{place}: position {pos} tokens {n}");
        assert!(report == summary, "{place}: position {pos} tokens {n}");
        assert_eq!(unwatched_end.map(|e| e - unwatched.begin), Some(cycle), "{place}: position {pos} tokens {n}: not watched");
        let unwatched_end = unwatched.begin + cycle;
        let unwatched_report = unwatched.summary(unwatched_end);
        assert!(unwatched_report == summary, "{place}: position {pos} tokens {n}: not watched");
        unwatched.keep_tail(&unwatched_report, unwatched_end, &mut known);
        let moved = |paces: Paces, end: u64| paces.moved(&config, end, begin + cycle);
        assert_eq!(moved(unwatched.paces(), unwatched_end), moved(flow.paces(), begin + cycle));
        (paces, record) = (flow.paces(), unwatched.record());
        machine.rest(&mut state, 13 + rng.below(60));
        pos = if rng.below(5) == 0 { rng.below(pos as u64 + 1) as usize } else { pos + n } % context;
    }
}

#[test]
fn every_word_moves_in_its_cycle_on_random_hardware() {
    let number = |name| std::env::var(name).ok().and_then(|n| n.parse().ok());
    let first = number("TRITFORGE_FIRST_SEED").unwrap_or(0);
    for seed in first..first + number("TRITFORGE_SEEDS").unwrap_or(16) {
        check(seed, 30);
    }
}
