//! The functional executor of skip mode beside the machine in step mode: after every pass the whole memory, byte for byte, and the
//! hardware's count of saturations.

use std::{collections::BTreeSet, ops::Range};
use tritforge_sim::{
    clocked::PowerUp,
    host::Bench,
    memory::{MemConfig, Memory, Storage},
    skip::values::{Executor, ValueError},
    system::{Pass, System},
};
use tritforge_spec::{
    config::{AccelConfig, Packing},
    descriptor::Descriptor,
    hw::{AttnShape, Hw},
    image::{self, Image, Layout},
    numerics::Scale,
    pack::PackError,
    random::Rng,
    random_hw,
    reference::{
        AttnParams, IntModel,
        random::{RandomModel, residual_rows},
    },
};

/// The machine, the executor with a memory of its own, and what the two have counted.
struct Pair {
    hw: Hw,
    layout: Layout,
    system: System,
    executor: Executor,
    bench: Bench,
    saturations: u64,
}

fn image(hw: &Hw, model: &IntModel) -> Image {
    let layers: Vec<&AttnParams> = model.layers.iter().map(|l| &l.attn).collect();
    Image::build(hw, &layers, 0).unwrap()
}

fn memory(hw: &Hw) -> Memory {
    Memory::new(MemConfig::ideal(hw.ports(), hw.port_bits())).unwrap()
}

impl Pair {
    fn new(hw: &Hw, model: &IntModel, seed: u64) -> Self {
        let image = image(hw, model);
        let mut executor = Executor::new(hw).unwrap();
        executor.set_pages(&image.layout.page_table(hw.config.slots));
        let mut system = System::new(hw, &image, memory(hw), PowerUp::Random(seed)).unwrap();
        let mut bench = Bench::new(hw, &image, memory(hw));
        // A byte that a pass must leave alone is seen only where it is not zero.
        let words = (hw.config.slots as u32 * image.layout.pages_per_slot * image.layout.page_words) as usize;
        let mut rng = Rng::new(seed);
        let noise: Vec<u8> = (0..words * hw.word_bits() / 8).map(|_| rng.next_u64() as u8).collect();
        system.bench.load(image.layout.pages, &noise);
        bench.load(image.layout.pages, &noise);
        Pair { hw: hw.clone(), layout: image.layout, system, executor, bench, saturations: 0 }
    }

    fn load(&mut self, off: u32, bytes: &[u8]) {
        self.system.bench.load(off, bytes);
        self.bench.load(off, bytes);
    }

    fn descriptor(&self, layer: usize, slot: usize, pos: usize, count: usize) -> Descriptor {
        self.layout.descriptor(layer, slot, pos, count)
    }

    fn execute(&mut self, d: &Descriptor) {
        self.saturations += self.executor.run(self.bench.memory.storage_mut(), d).unwrap().total();
    }

    /// Runs the pass on both and compares the memories.
    fn pass(&mut self, layer: usize, slot: usize, pos: usize, x: &[i32], what: &str) {
        // What System::pass puts into the memory besides the pass's own writes: a pattern at x_out, x, the descriptor.
        let spoiled = self.hw.config.batch * self.layout.vector_words as usize * self.hw.word_bits() / 8;
        self.bench.load(self.layout.x_out, &vec![0xa5; spoiled]);
        for (t, x) in x.chunks(self.hw.shape.dim).enumerate() {
            let words: Vec<u32> = x.iter().map(|&x| x as u32).collect();
            self.bench.load(self.layout.x_in + t as u32 * self.layout.vector_words, &image::words_to_bytes(&self.hw, &words));
        }
        let d = self.descriptor(layer, slot, pos, x.len() / self.hw.shape.dim);
        self.bench.load(self.layout.descriptors, &image::words_to_bytes(&self.hw, &d.words()));
        self.execute(&d);
        self.system.pass(&Pass { layer, slot, pos, x: x.to_vec() }, &mut |_, _| {}).unwrap();
        self.compare(what);
    }

    fn compare(&self, what: &str) {
        let difference = self.system.bench.memory.storage().first_difference(self.bench.memory.storage());
        assert_eq!(difference, None, "{what}: address, byte of the machine, byte of the executor");
    }

    /// The hardware's own count against the executor's.
    fn compare_saturations(&mut self, what: &str) {
        let counters = self.system.counters().unwrap();
        let counted = counters.iter().find(|c| c.0 == "SATURATIONS").unwrap().1;
        assert_eq!(counted, self.saturations, "{what}");
    }
}

/// Drawn hardware with two layers.
fn drawn(seed: u64) -> (Hw, IntModel) {
    let (hw, mut model) = random_hw::hardware(seed);
    model.shape.layers = 2;
    (Hw::new(hw.config, model.shape.clone()).unwrap(), model.build(seed))
}

/// Passes of drawn lengths on all layers and slots over `positions`. What lies in memory before the first is noise, scales included.
fn passes(pair: &mut Pair, rng: &mut Rng, positions: Range<usize>, x: &mut dyn FnMut(&mut Rng, usize) -> Vec<i32>, what: &str) {
    let mut pos = positions.start;
    while pos < positions.end {
        let n = (1 + rng.below(pair.hw.config.batch as u64) as usize).min(positions.end - pos);
        for slot in 0..pair.hw.config.slots {
            for layer in 0..2 {
                let x = x(rng, n * pair.hw.shape.dim);
                pair.pass(layer, slot, pos, &x, &format!("{what}: layer {layer}, slot {slot}, position {pos}, {n} tokens"));
            }
        }
        pos += n;
    }
}

#[test]
fn a_pass_does_to_memory_what_the_machine_does() {
    let mut seen = BTreeSet::new();
    for seed in 1..=12 {
        let (hw, model) = drawn(seed);
        let (c, s) = (&hw.config, &hw.shape);
        let what = format!("seed {seed}: {c:?} {s:?}");
        seen.extend([("kv_bits", c.kv_bits), ("group", hw.group()), ("head_dim", s.head_dim), ("ports", c.ports), ("vec", c.vec)]);
        seen.extend([("batch", c.batch), ("slots", c.slots), ("two_bit", (c.packing == Packing::TwoBit) as usize)]);
        let mut pair = Pair::new(&hw, &model, seed);
        // From nothing, or over a block's border.
        let positions = if seed % 4 == 0 { 0..18 } else { [10..17, 27..36, 44..50][seed as usize % 3].clone() };
        passes(&mut pair, &mut Rng::new(seed), positions, &mut residual_rows, &what);
        pair.compare_saturations(&what);
    }
    let all = [
        ("kv_bits", vec![4, 6, 8]),
        ("group", vec![1, 2, 4, 5]),
        ("head_dim", vec![32, 48, 64, 80, 128]),
        ("ports", vec![1, 2, 4]),
        ("vec", vec![1, 2, 4, 8]),
        ("batch", vec![1, 2, 3, 4]),
        ("slots", vec![1, 2]),
        ("two_bit", vec![0, 1]),
    ];
    for (name, values) in all {
        for value in values {
            assert!(seen.contains(&(name, value)), "no drawn hardware has {name} {value}; draw more");
        }
    }
}

#[test]
fn whatever_saturates_is_counted_as_the_hardware_does() {
    let config = "small";
    let mut random = RandomModel::small(64, 4, 2, 32);
    random.shape.layers = 2;
    let hw = named(config, &random);
    let scale = |e: i8| Scale { m: 50_000, e };
    type Change = (&'static str, fn(&mut AttnParams, Scale), i8);
    let changes: [Change; 7] = [
        ("scores", |a, s| a.c_q = s, 0),
        ("outputs", |a, s| a.c_v = s, 10),
        ("residual sums", |a, s| a.c_o = s, 20),
        ("norm scales above", |a, s| a.norm.c = s, 127),
        ("head scales above", |a, s| (a.c_k, a.c_v) = (s, s), 127),
        ("head scales below", |a, s| (a.norm.c, a.c_k, a.c_v) = (s, s, s), -128),
        ("residual scales", |a, s| a.c_o = s, 127),
    ];
    for (name, change, e) in changes {
        let mut model = random.build(40);
        model.layers.iter_mut().for_each(|l| change(&mut l.attn, scale(e)));
        let mut pair = Pair::new(&hw, &model, 41);
        // Residuals of all sizes; a vector of zeros, of the largest, of one alone.
        let mut x = |r: &mut Rng, n: usize| -> Vec<i32> {
            match r.below(5) {
                0 => vec![0; n],
                1 => (0..n).map(|i| if i % 3 == 0 { i32::MIN } else { i32::MAX }).collect(),
                2 => (0..n).map(|i| i32::from(i % 64 == 5)).collect(),
                _ => (0..n).map(|_| r.next_u64() as i32 >> r.below(32)).collect(),
            }
        };
        passes(&mut pair, &mut Rng::new(42), 0..9, &mut x, name);
        assert!(pair.saturations > 0, "{name}: nothing saturated");
        pair.compare_saturations(name);
    }
}

fn named(config: &str, model: &RandomModel) -> Hw {
    let path = format!("{}/../configs/{config}.toml", env!("CARGO_MANIFEST_DIR"));
    let mut config = AccelConfig::from_toml(&std::fs::read_to_string(path).unwrap()).unwrap();
    config.context = 64;
    Hw::new(config, model.shape.clone()).unwrap()
}

fn two_layers() -> (Hw, IntModel) {
    let mut random = RandomModel::small(96, 4, 2, 32);
    random.shape = AttnShape { layers: 2, ..random.shape };
    (named("kv260", &random), random.build(50))
}

#[test]
fn a_list_of_descriptors_works_in_place_on_scattered_pages() {
    let (hw, model) = two_layers();
    let mut pair = Pair::new(&hw, &model, 51);
    // Pages in another order than the table's, and the second position block behind the first one's.
    let mut table = pair.layout.page_table(hw.config.slots);
    table.reverse();
    pair.executor.set_pages(&table);
    let x = residual_rows(&mut Rng::new(52), 4 * 96);
    for (t, x) in x.chunks(96).enumerate() {
        let words: Vec<u32> = x.iter().map(|&x| x as u32).collect();
        pair.load(pair.layout.x_in + t as u32 * pair.layout.vector_words, &image::words_to_bytes(&hw, &words));
    }
    for start in [0, 14] {
        let list: Vec<Descriptor> =
            (0..2).map(|layer| Descriptor { x_out: pair.layout.x_in, ..pair.descriptor(layer, 0, start, 4) }).collect();
        for (i, d) in list.iter().enumerate() {
            let at = pair.layout.descriptors + i as u32 * pair.layout.descriptor_words;
            pair.load(at, &image::words_to_bytes(&hw, &d.words()));
        }
        pair.system.run_descriptors(&table, pair.layout.descriptors, 2).unwrap();
        list.iter().for_each(|d| pair.execute(d));
        pair.compare(&format!("position {start}"));
    }
}

#[test]
fn weights_that_anyone_writes_are_decoded_anew() {
    let (hw, model) = two_layers();
    let mut pair = Pair::new(&hw, &model, 60);
    let x = residual_rows(&mut Rng::new(61), 96);
    pair.pass(0, 0, 0, &x, "the image's weights");
    // The host writes the segment again as it is, then the other layer's.
    let other: Vec<u8> = pair.bench.take(pair.layout.layers[1], pair.layout.layer_words as usize);
    let same: Vec<u8> = pair.bench.take(pair.layout.layers[0], pair.layout.layer_words as usize);
    assert_ne!(same, other);
    for (name, bytes) in [("the same weights", same), ("other weights", other)] {
        pair.load(pair.layout.layers[0], &bytes);
        pair.pass(0, 0, 1, &x, name);
    }
    // One gain, in the last super-word of the gains.
    let at = pair.layout.layers[0] + (hw.vector_words(16) + hw.vector_words(96) - 1) as u32;
    let mut word = pair.bench.take(at, 1);
    word[0] ^= 0x55;
    pair.load(at, &word);
    pair.pass(0, 0, 2, &x, "another gain");
    // A pass whose output lies where weights of the other layer were: written by the executor itself.
    let first = pair.layout.layers[1];
    let d = Descriptor { x_out: first, ..pair.descriptor(0, 0, 3, 1) };
    pair.execute(&pair.descriptor(1, 0, 0, 1));
    pair.execute(&d);
    let gained = pair.bench.take(first, 1);
    pair.execute(&pair.descriptor(1, 0, 1, 1));
    assert_eq!(pair.bench.take(first, 1), gained);
    let mut fresh = Executor::new(&hw).unwrap();
    fresh.set_pages(&pair.layout.page_table(hw.config.slots));
    let mut storage = pair.bench.memory.storage().clone();
    fresh.run(&mut storage, &pair.descriptor(1, 0, 1, 1)).unwrap();
    assert_eq!(storage.first_difference(pair.bench.memory.storage()), None);
}

#[test]
fn what_the_executor_cannot_answer_is_refused_and_nothing_is_written() {
    let (hw, model) = two_layers();
    let mut pair = Pair::new(&hw, &model, 70);
    let good = pair.descriptor(0, 0, 17, 3);
    let layout = pair.layout.clone();
    let mut refused = |d: &Descriptor, prepare: &dyn Fn(&mut Executor, &mut Storage)| {
        let mut executor = pair.executor.clone();
        let storage = pair.bench.memory.storage_mut();
        prepare(&mut executor, storage);
        let before = storage.clone();
        let error = executor.run(storage, d).unwrap_err();
        assert_eq!(storage.first_difference(&before), None);
        error
    };
    let none = |_: &mut Executor, _: &mut Storage| {};
    for (d, name) in [
        (Descriptor { opcode: 9, ..good }, "opcode"),
        (Descriptor { version: 0, ..good }, "version"),
        (Descriptor { layer: 2, ..good }, "layer"),
        (Descriptor { slot: 1, ..good }, "slot"),
        (Descriptor { count: 5, ..good }, "count"),
        (Descriptor { count: 0, ..good }, "count"),
        (Descriptor { pos: 62, ..good }, "pos"),
    ] {
        assert!(matches!(refused(&d, &none), ValueError::Descriptor { field, .. } if field == name), "{name}");
    }
    let overlaps = [
        (Descriptor { x_out: layout.layers[0] + 3, ..good }, "the output", "the weights"),
        (Descriptor { x_out: layout.pages, ..good }, "the output", "a KV page"),
        (Descriptor { x_in: layout.pages + layout.page_words, ..good }, "a KV page", "the input"),
    ];
    for (d, a, b) in overlaps {
        let error = refused(&d, &none);
        assert!(matches!(&error, ValueError::Overlap { written, other, .. } if (*written, *other) == (a, b)), "{error}");
    }
    let twice = vec![layout.pages; 4];
    let error = refused(&good, &|e, _| e.set_pages(&twice));
    assert!(matches!(&error, ValueError::Overlap { other: "another KV page", .. }), "{error}");
    // A byte above 242 in the o rows: port 2, beat 5 of the section.
    let words = hw.vector_words(16) + hw.vector_words(96) + hw.packed_words(128 + 128, 96) + hw.vector_words(128) + 5;
    let address = (2u64 << tritforge_sim::host::PORT_SHIFT) + u64::from(layout.layers[0] + words as u32) * 16 + 7;
    let error = refused(&good, &|_, s| s.write_byte(address, 251));
    let ValueError::Weights { section: "o", error: PackError::Byte { super_word, byte, found, .. }, .. } = error else {
        panic!("{error}");
    };
    assert_eq!((super_word, byte, found), (5, 2 * 16 + 7, 251));
    // A gain of -65536; the gains are decoded first.
    let gain = u64::from(layout.layers[0] + hw.vector_words(16) as u32) * 16;
    let error = refused(&good, &|_, s| s.write(gain, &0x1_0000u32.to_le_bytes()));
    assert_eq!(error, ValueError::Gain { offset: layout.layers[0], index: 0 });
}
