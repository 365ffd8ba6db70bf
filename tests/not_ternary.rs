//! A `bitnet-b1.58` whose weights are not ternary runs as it is stored, in software only; one that is stored as trits must hold trits.

#[path = "support/plain.rs"]
mod plain;
#[path = "support/small.rs"]
mod small;
mod support;

use plain::Fault;
use plain::function::Function;
use small::*;
use support::parts::Parts;
use support::program::{Folder, refusal, stderr, tritforge};
use tritforge::diff::{Settings, diff};
use tritforge::model::AnyModel;
use tritforge::model::gguf::Gguf;
use tritforge::trace::{Loaded, Runner};

/// A BitNet with other numbers in its layers' weights.
fn file(sizes: [usize; 6]) -> Vec<u8> {
    let mut file = ternary_file(sizes);
    for layer in 0..2 {
        for (at, name) in ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"].into_iter().enumerate() {
            let mut random = random(1 + layer * 7 + at as u64);
            file =
                changed(&file, &format!("blk.{layer}.{name}.weight"), |values, _, _| values.iter().map(|v| v + 0.1 * random()).collect());
        }
    }
    file
}

#[test]
fn its_stages_are_those_of_plain_loops() {
    for sizes in [RECTANGLES, SQUARES] {
        let file = file(sizes);
        let other = plain(Kind::Llama, &file, Fault::None);
        for stage_by_stage in [false, true] {
            let found = compared(&file, &other, stage_by_stage);
            assert!(found.equal(), "{sizes:?}: {:?}", found.first_beyond);
        }
        let parsed = Gguf::parse(&file).unwrap();
        let mut loaded = Loaded::new("model.gguf".as_ref(), &parsed, vec![&file[..]]).unwrap();
        for runner in [Runner::Float, Runner::Wide] {
            loaded.load(runner).unwrap();
            let found = diff(
                &loaded.record(runner, &IDS, None).unwrap(),
                &other,
                None,
                None,
                Settings { tolerance: Some(1e-2), stage_by_stage: false },
            );
            assert!(found.first_parting.is_none(), "{sizes:?} {runner:?}: {:?}", found.first_parting);
        }
        for runner in [Runner::Judge, Runner::Integer] {
            let why = loaded.load(runner).unwrap_err().to_string();
            assert!(why.contains("blk.0.attn_q.weight") && why.contains("expected"), "{why}");
        }
        assert_named(
            "activation",
            &file,
            &plain(Kind::Llama, &file, Fault::Activation(Function::Silu)),
            "blk.0.ffn_act",
            "other activation",
            "instead of",
        );
    }
}

#[test]
fn a_damaged_weight_among_trits_is_still_refused() {
    let file = std::fs::read(support::embedded("stories3m.tq2_0.gguf")).unwrap();
    let damaged = Parts::read(&file).spoil("blk.1.ffn_up.weight", |stored| stored[0] = 0xff).write();
    let why = AnyModel::from_gguf(&Gguf::parse(&damaged).unwrap()).unwrap_err().to_string();
    assert!(why.contains("blk.1.ffn_up.weight"), "{why}");
}

#[test]
fn the_program_runs_it_and_says_what_it_is() {
    let folder = Folder::new("not-ternary");
    let path = folder.file("q5.gguf");
    let model = support::embedded("stories3m.tq2_0.gguf");
    let made = tritforge().arg("convert").arg(&model).arg(&path).args(["--type", "q5_0"]).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let run = |more: &[&str]| {
        let mut command = tritforge();
        command.arg("run").arg("--model").arg(&path).args(["--prompt", "Once upon a time", "--greedy", "-n", "8"]).args(more);
        command
    };
    let out = run(&[]).output().unwrap();
    assert!(out.status.success(), "{out:?}");
    assert!(String::from_utf8_lossy(&out.stdout).starts_with(", there was a"), "{out:?}");
    assert!(stderr(&out).contains("note: not all weights of the layers are ternary"), "{out:?}");
    assert!(run(&["--arithmetic", "wide"]).output().unwrap().status.success());
    let refused = refusal(run(&["--arithmetic", "integer"]));
    assert!(refused.contains("blk.0."), "{refused}");
}
