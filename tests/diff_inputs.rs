//! What `diff` says of traces that hold no numbers, belong to another model or arithmetic, or show little.

#[path = "support/plain.rs"]
mod plain;
#[path = "support/small.rs"]
mod small;
mod support;

use small::*;
use support::parts::Parts;
use tritforge::diff::graph::{Evaluator, Graph};
use tritforge::diff::report;
use tritforge::diff::{Settings, Verdict, diff};
use tritforge::model::LlamaModel;
use tritforge::model::gguf::{Gguf, Metadata, TensorType};
use tritforge::model::judge::{Place, Stage};
use tritforge::model::quant::encode::encode_row;
use tritforge::trace::{Loaded, Runner, Trace};

/// Sets some values of a stage.
fn spoil(mut trace: Trace, layer: usize, stage: Stage, at: std::ops::Range<usize>, value: f64) -> Trace {
    let tensor = trace.get_mut(Place { layer: Some(layer), stage }).unwrap();
    let at = at.start..at.end.min(tensor.values.len());
    tensor.values[at].fill(value);
    trace
}

#[test]
fn values_that_are_no_numbers_and_zeros_are_said_and_nothing_is_suspected() {
    for kind in [Kind::Ternary, Kind::Llama] {
        let file = file_of(kind, RECTANGLES);
        let cases = [
            (Stage::V, 5..6, f64::NAN, "b holds 1 of 288 values that are no numbers (first at token 0, head 0, element 5)"),
            (Stage::KqSoft, 9..11, f64::NAN, "b holds 2 of 324 values that are no numbers (first at head 0, query 1, key 0)"),
            (Stage::FfnAct, 80..usize::MAX, f64::INFINITY, "b holds 640 of 720 values that are no numbers (first at token 1, element 0)"),
            (Stage::FfnOut, 0..usize::MAX, 0.0, "b is all zeros"),
            (Stage::Q, 0..usize::MAX, 0.0, "b is all zeros"),
        ];
        for (stage, at, value, said) in cases {
            let other = spoil(own(&file), 1, stage, at, value);
            let found = compared(&file, &other, false);
            let row = found.rows.iter().find(|row| row.verdict == Verdict::Parts).unwrap();
            assert_eq!(row.note.as_deref(), Some(said), "{kind:?} {stage:?}");
            assert_eq!(found.first_parting.as_ref(), Some(&row.tensor));
            assert!(found.diagnoses.is_empty() && !found.equal(), "{kind:?} {stage:?}: {:?}", found.diagnoses);
            assert!(report::text(&found, false).contains(&format!("PARTS at {}: {said}", row.tensor)));
            for diagnosis in compared(&file, &other, true).diagnoses {
                assert!(diagnosis.before.is_finite() && diagnosis.findings.iter().all(|f| f.after.is_finite()), "{diagnosis:?}");
            }
        }
        let (a, b) = (spoil(own(&file), 0, Stage::V, 0..1, f64::NAN), spoil(own(&file), 0, Stage::V, 0..1, f64::NAN));
        let found = diff(&a, &b, None, None, Settings::default());
        assert!(!found.equal() && !found.only_ties);
        let row = found.rows.iter().find(|row| row.verdict == Verdict::Parts).unwrap();
        assert_eq!(row.tensor, "blk.0.v", "two values that are no numbers are not equal");
        // What kq holds behind its query is nobody's.
        let (a, b) = (spoil(own(&file), 0, Stage::Kq, 1..2, f64::NAN), spoil(own(&file), 0, Stage::Kq, 1..2, f64::INFINITY));
        assert!(diff(&a, &b, None, None, Settings::default()).equal());
    }
}

/// Quantised weights: llama.cpp rounds what they are multiplied with, and only its own arithmetic gives its numbers.
#[test]
fn llama_cpps_rounding_of_activations_is_named_and_no_fault_where_both_sides_have_it() {
    let mut parts = Parts::read(&llama_file(SQUARES));
    for tensor in parts.tensors.iter_mut().filter(|t| t.sizes.len() == 2 && t.name.starts_with("blk.")) {
        let values: Vec<f32> = tensor.stored.as_chunks().0.iter().map(|&w| f32::from_le_bytes(w)).collect();
        let mut stored = vec![0; TensorType::Q8_0.stored_bytes(values.len() as u64).unwrap() as usize];
        encode_row(TensorType::Q8_0, &values, &mut stored).unwrap();
        (tensor.kind, tensor.stored) = (TensorType::Q8_0, stored);
    }
    let file = parts.write();
    let recorded = |runner| {
        let parsed = Gguf::parse(&file).unwrap();
        let mut loaded = Loaded::new("model.gguf".as_ref(), &parsed, vec![&file[..]]).unwrap();
        loaded.load(runner).unwrap();
        loaded.record(runner, &IDS, None).unwrap()
    };
    let parsed = Gguf::parse(&file).unwrap();
    let model = LlamaModel::from_gguf(&parsed).unwrap();
    let evaluator = Evaluator::new(Graph::Llama(&model));
    let settings = Settings { tolerance: Some(4e-3), stage_by_stage: true };
    let found = diff(&own(&file), &recorded(Runner::Ggml), Some(&evaluator), None, settings);
    assert_eq!(found.first_parting.as_deref(), Some("blk.0.q"));
    assert!(found.diagnoses.len() > 4);
    for diagnosis in &found.diagnoses {
        let names: Vec<&str> = diagnosis.findings.iter().map(|f| f.name).collect();
        assert_eq!(names, ["llama.cpp's rounding of activations"], "{diagnosis:?}");
    }
    let found = diff(&recorded(Runner::Wide), &recorded(Runner::Ggml), Some(&evaluator), None, settings);
    assert!(found.first_parting.is_none(), "{:?}", found.first_parting);
}

/// A trace of another model: its axes are compared before anything is computed from it.
#[test]
fn a_trace_of_a_model_of_other_sizes_is_told_and_nothing_is_suspected() {
    for kind in [Kind::Ternary, Kind::Llama] {
        for [sizes, others] in [[RECTANGLES, SQUARES], [SQUARES, RECTANGLES], [SQUARES, ALL_SQUARES], [ALL_SQUARES, SQUARES]] {
            let (file, other) = (file_of(kind, sizes), own(&file_of(kind, others)));
            for stage_by_stage in [false, true] {
                let found = compared(&file, &other, stage_by_stage);
                let first = found.rows.iter().find(|row| row.verdict == Verdict::Unlike).unwrap();
                assert!(first.note.as_ref().unwrap().starts_with("shapes ["));
                let of_model = found.rows.iter().position(|row| row.tensor == first.tensor).unwrap();
                assert!(found.diagnoses.iter().all(|d| found.rows[..of_model].iter().any(|row| row.tensor == d.tensor)));
                assert!(report::text(&found, true).contains(&format!("{:<24}", first.tensor)));
            }
            // Two traces of the other model, beside this one.
            let parsed = Gguf::parse(&file).unwrap();
            let mut loaded = Loaded::new("model.gguf".as_ref(), &parsed, vec![&file[..]]).unwrap();
            loaded.load(Runner::F64).unwrap();
            let evaluator = Evaluator::new(loaded.graph(Runner::F64).unwrap());
            let found = diff(&other, &other, Some(&evaluator), None, Settings::default());
            assert!(found.equal() && found.diagnoses.is_empty());
        }
    }
}

/// Everything between tokens and logits is computed under each suspect, once each; and where that is much, parameters are not searched for.
#[test]
fn a_trace_of_the_logits_alone_is_diagnosed_in_a_bounded_number_of_evaluations() {
    let file = std::fs::read(support::embedded("stories3m.tq2_0.gguf")).unwrap();
    let spoilt = Parts::read(&file).set("bitnet-b1.58.attention.layer_norm_rms_epsilon", Metadata::F32(1e-3)).write();
    let mut other = own(&spoilt);
    let places: Vec<Place> = other.iter().map(|(place, _)| place).filter(|place| place.stage != Stage::ResultOutput).collect();
    places.into_iter().for_each(|place| drop(other.remove(place)));
    let found = compared(&file, &other, false);
    assert_eq!(found.first_parting.as_deref(), Some("result_output"));
    let [diagnosis] = &found.diagnoses[..] else { panic!("{:?}", found.diagnoses) };
    assert!(diagnosis.findings.iter().any(|f| f.name == "wrong epsilon"), "{diagnosis:#?}");
    assert!(diagnosis.tried < 120 && diagnosis.limits.as_ref().unwrap().contains("usual values"), "{diagnosis:#?}");
}
