//! The integer transformer as a whole, on random models: properties that need no float judge.

use tritforge_spec::numerics::head::{arg_max, shortlist};
use tritforge_spec::reference::random::RandomModel;
use tritforge_spec::reference::{Activation, KvCache, PassError, Reference, Saturations, Stage, Values};

fn model(activation: Activation, kv_bits: usize) -> RandomModel {
    let mut m = RandomModel::small(80, 5, 1, 48);
    m.shape.layers = 3;
    m.activation = activation;
    m.kv_bits = kv_bits;
    m
}

#[test]
fn prefill_equals_decode_bit_for_bit() {
    for (seed, (activation, kv_bits)) in [(Activation::Relu2, 8), (Activation::Silu, 6), (Activation::Silu, 4)].into_iter().enumerate() {
        let model = model(activation, kv_bits).build(seed as u64);
        let reference = Reference::new(&model, 6, 16);
        let ids: Vec<u32> = (0..13).map(|i| i * 5 % 64).collect();
        let mut saturations = Saturations::default();
        let (mut whole, mut steps) = (KvCache::new(&model), KvCache::new(&model));
        let at_once = reference.forward(&ids, &mut whole, &mut (), &mut saturations).unwrap();
        let mut one_by_one = Vec::new();
        for part in [&ids[..4], &ids[4..5], &ids[5..]] {
            one_by_one.extend(reference.forward(part, &mut steps, &mut (), &mut saturations).unwrap());
        }
        assert_eq!(at_once, one_by_one, "seed {seed}");
        assert_eq!(whole, steps);
        assert_eq!(saturations, Saturations::default());
    }
}

#[test]
fn shortlist_gives_the_full_logits_of_its_rows() {
    let model = model(Activation::Relu2, 8).build(5);
    let reference = Reference::new(&model, 8, 16);
    let mut saturations = Saturations::default();
    let x = model.embedding_row(9).to_vec();
    let full = reference.head_full(0, &x, &mut (), &mut saturations);
    for n in [1, 7, 64] {
        let short = reference.head_shortlist(&x, n, &mut saturations);
        assert_eq!(short.iter().flatten().count(), n);
        for (id, l) in short.iter().enumerate() {
            assert!(l.is_none_or(|l| l == full[id]));
        }
    }
    // All rows: nothing is left out, so the arg-max is the full one's.
    assert_eq!(shortlist(&full, 64).len(), 64);
    assert!(arg_max(&full).is_some());
}

#[test]
fn feed_forward_follows_the_float_formula() {
    for activation in [Activation::Relu2, Activation::Silu] {
        let model = model(activation, 8).build(11);
        let reference = Reference::new(&model, 8, 16);
        let p = &model.layers[0].ffn;
        let (mut gate, mut up, mut s_x, mut seen) = (vec![], vec![], 0.0, 0);
        let mut observer = |_: Option<usize>, stage: Stage, _: usize, _: Option<usize>, values: Values<'_>| match (stage, values) {
            (Stage::FfnNormQ8, Values::Codes(_, s)) => s_x = s.value(),
            (Stage::Gate, Values::I32(g)) => gate = g.to_vec(),
            (Stage::Up, Values::I32(u)) => up = u.to_vec(),
            (Stage::Activation, Values::Elements(h, s)) => {
                for ((h, &g), &u) in h.iter().zip(&gate).zip(&up) {
                    let (g, u) = (f64::from(g) * s_x * p.c_gate.value(), f64::from(u) * s_x * p.c_up.value());
                    let want = if activation == Activation::Relu2 { g.max(0.0).powi(2) * u } else { g / (1.0 + (-g).exp()) * u };
                    // Scale roundings; for SiLU the ROM's half index at slope 1/4 and its half unit.
                    let rom = if activation == Activation::Silu { (g * u).abs() * (0.25 / 512.0 + 2f64.powi(-16)) } else { 0.0 };
                    assert!((h.value() as f64 * s.value() - want).abs() <= want.abs() * 6.0 * 2f64.powi(-16) + rom, "{g} {u}");
                    seen += 1;
                }
            }
            _ => {}
        };
        reference.feed_forward(0, model.embedding_row(3), &mut observer, &mut Saturations::default());
        assert_eq!(seen, model.ffn);
    }
}

#[test]
fn bad_passes_are_refused_with_the_item() {
    let mut random = model(Activation::Relu2, 8);
    random.shape.context = 4;
    let model = random.build(1);
    let reference = Reference::new(&model, 8, 16);
    let run = |ids: &[u32]| reference.forward(ids, &mut KvCache::new(&model), &mut (), &mut Saturations::default()).unwrap_err();
    assert_eq!(run(&[]), PassError::Empty);
    assert_eq!(run(&[3, 64]), PassError::Token { found: 64, vocab: 64 });
    assert_eq!(run(&[0; 5]), PassError::Context { found: 5, context: 4 });
}
