//! `tritforge run` as a user meets it, on the embedded model.

mod support;

use std::process::{Command, Output};

use support::golden;
use support::parts::Parts;
use support::program::{Folder, refusal, stderr, tritforge};
use tritforge::model::gguf::Metadata;

const MODEL: &str = "models/stories3m.tq2_0.gguf";

fn command(args: &[&str]) -> Command {
    let mut command = tritforge();
    command.arg("run").args(args);
    command
}

fn run(args: &[&str]) -> Output {
    let out = command(args).output().unwrap();
    assert!(out.status.success(), "{args:?}: {out:?}");
    out
}

fn stdout(out: &Output) -> String {
    String::from_utf8(out.stdout.clone()).unwrap()
}

#[test]
fn greedy_text_and_ids_are_the_golden_ones() {
    let golden = golden::read();
    let prompt = &golden.prompts[0];
    let fresh = &prompt.greedy_ids[prompt.prompt_ids.len()..][..40];
    let text = run(&["--model", MODEL, "--prompt", &prompt.text, "--greedy", "-n", "40", "--ignore-eos"]);
    let text = stdout(&text);
    assert!(prompt.greedy_text.contains(text.trim_end_matches('\n')), "{text}");
    let list = |ids: &[u32]| ids.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
    let tokens = list(&prompt.prompt_ids);
    let ids = run(&["--model", MODEL, "--tokens", &tokens, "--greedy", "-n", "40", "--ids", "--ignore-eos", "--top-logits", "2"]);
    assert_eq!(stdout(&ids).trim_end(), list(fresh));
    assert_eq!(stderr(&ids).lines().filter(|line| line.starts_with("position ")).count(), 40);
    assert!(stderr(&ids).contains(&format!("position {}: {} ", prompt.prompt_ids.len(), fresh[0])));
}

#[test]
fn a_stop_text_ends_the_text_before_it() {
    let prompt = ["--model", MODEL, "--prompt", "Once upon a time", "--greedy", "-n", "40"];
    let whole = stdout(&run(&prompt));
    let stopped = stdout(&run(&[&prompt[..], &["--stop", "named", "--stop", "little girl"]].concat()));
    assert_eq!(stopped.trim_end_matches('\n'), &whole[..whole.find("little girl").unwrap()]);
}

#[test]
fn a_chat_goes_through_the_template_of_the_file() {
    const TEMPLATE: &str = "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}Once {% endif %}{{ m.content }}{% endfor %}\
        {% if add_generation_prompt %} a little{% endif %}";
    let folder = Folder::new("chat");
    let parts = Parts::read(&std::fs::read(MODEL).unwrap()).set("tokenizer.chat_template", Metadata::Text(TEMPLATE.into()));
    std::fs::write(folder.file("m.gguf"), parts.write()).unwrap();
    let rest = ["--greedy", "-n", "20", "--ids"];
    let ids = |args: &[&str]| stdout(&run(&[args, &rest[..]].concat()));
    let chat = ids(&["--model", &folder.file("m.gguf"), "--chat", "--system", "", "--prompt", "upon a time there was"]);
    assert_eq!(chat, ids(&["--model", MODEL, "--prompt", "Once upon a time there was a little"]));
    let said = refusal(command(&["--model", MODEL, "--chat", "--prompt", "a"]));
    assert!(said.contains("--chat: expected a chat template in the file, found none"), "{said}");
}

#[test]
fn draws_repeat_with_their_seed() {
    let draw = |seed: &str| stdout(&run(&["--model", MODEL, "--prompt", "One day", "-n", "30", "--temperature", "1", "--seed", seed]));
    assert_eq!(draw("5"), draw("5"));
    assert_ne!(draw("5"), draw("6"));
}

#[test]
fn perplexity_is_that_of_the_golden_losses() {
    let out = run(&["--model", MODEL, "--perplexity", "models/own-stories.txt", "--json", "-"]);
    let found: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    let golden = golden::read().own_stories;
    assert_eq!(found["predictions"], golden.tokens_predicted);
    assert!((found["nll"].as_f64().unwrap() - golden.nll).abs() < 5e-7, "{found}");
    // The stories go on behind the context.
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(said.contains("note: 10 documents are longer than the context of 256: their last "), "{said}");
}

#[test]
fn integer_arithmetic_gives_the_golden_integer_ids() {
    #[derive(serde::Deserialize)]
    struct Golden {
        prompts: Vec<Vec<u32>>,
        greedy_ids: Vec<Vec<u32>>,
    }
    let golden: Golden = serde_json::from_str(include_str!("../models/golden/stories3m-integer.json")).unwrap();
    let list = |ids: &[u32]| ids.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
    for (prompt, greedy) in golden.prompts.iter().zip(&golden.greedy_ids) {
        let fresh = &greedy[prompt.len()..][..60];
        let tokens = list(prompt);
        let out = run(&["--model", MODEL, "--arithmetic", "integer", "--tokens", &tokens, "--greedy", "-n", "60", "--ids", "--ignore-eos"]);
        assert_eq!(stdout(&out).trim_end(), list(fresh));
    }
    let loss = |arithmetic: &str| {
        let text = ["--model", MODEL, "--perplexity", "models/own-stories.txt", "--json", "-", "--arithmetic", arithmetic];
        serde_json::from_slice::<serde_json::Value>(&run(&text).stdout).unwrap()["nll"].as_f64().unwrap()
    };
    let (float, integer) = (loss("float"), loss("integer"));
    assert!(float != integer && (float - integer).abs() < 2e-3, "{float} {integer}");
}

#[test]
fn ids_without_a_text_are_printed_as_numbers_and_a_missing_tokenizer_is_said() {
    let folder = Folder::new("no-text");
    let golden = golden::read();
    let prompt = &golden.prompts[0];
    let mut parts = Parts::read(&std::fs::read(MODEL).unwrap());
    const KEPT: usize = 420;
    for (_, value) in &mut parts.metadata {
        match value {
            Metadata::Texts(list) => list.truncate(KEPT),
            Metadata::Floats(list) => list.truncate(KEPT),
            Metadata::Ints(list) => list.truncate(KEPT),
            _ => {}
        }
    }
    std::fs::write(folder.file("short.gguf"), parts.write()).unwrap();
    let tokens = prompt.prompt_ids.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
    let rest = ["--tokens", &tokens, "--greedy", "-n", "40", "--ignore-eos", "--timing"];
    let out = run(&[&["--model", &folder.file("short.gguf"), "--json", &folder.file("ids.json")][..], &rest].concat());
    let unknown = prompt.greedy_ids[prompt.prompt_ids.len()..][..40].iter().find(|&&id| id as usize >= KEPT).unwrap();
    assert!(stdout(&out).contains(&format!("[{unknown}]")), "{out:?}");
    let said = stderr(&out);
    assert!(said.contains("note: 92 ids of the model, from 420 on, have no text") && said.contains("; resident at most "), "{said}");
    let found: serde_json::Value = serde_json::from_slice(&std::fs::read(folder.file("ids.json")).unwrap()).unwrap();
    assert!(found["text"].as_str().unwrap().contains(&format!("[{unknown}]")));

    let parts = Parts::read(&std::fs::read(MODEL).unwrap()).without_key("tokenizer.ggml.tokens");
    std::fs::write(folder.file("none.gguf"), parts.write()).unwrap();
    let out = run(&[&["--model", &folder.file("none.gguf")][..], &rest].concat());
    assert!(stdout(&out).starts_with(&prompt.greedy_ids[prompt.prompt_ids.len()].to_string()), "{out:?}");
    assert!(stderr(&out).contains("note: no tokenizer (metadata 'tokenizer.ggml.tokens'"), "{out:?}");
}

#[test]
fn logits_that_are_no_numbers_are_refused() {
    let folder = Folder::new("no-numbers");
    // All bits of the exponent set: an f16 that is no number.
    let spoilt = Parts::read(&std::fs::read(MODEL).unwrap())
        .rename_architecture("bitnet")
        .spoil("token_embd.weight", |stored| stored[..2].copy_from_slice(&[0, 0x7e]));
    std::fs::write(folder.file("nan.gguf"), spoilt.write()).unwrap();
    let refused = |args: &[&str]| refusal(command(&[&["--model", &folder.file("nan.gguf")], args].concat()));
    let said = refused(&["--tokens", "1,403", "--greedy"]);
    assert!(said.contains("logit of id 0: expected a finite number, found NaN"), "{said}");
    std::fs::write(folder.file("text"), "Once upon a time").unwrap();
    let said = refused(&["--perplexity", &folder.file("text")]);
    assert!(said.contains("loss of the text: expected a finite number, found NaN"), "{said}");
}

#[test]
fn what_cannot_be_run_is_refused_with_one_message() {
    let refused = |args: &[&str]| refusal(command(&[&["--model", MODEL], args].concat()));
    let said = refused(&["--prompt", "a", "-n", "300"]);
    assert!(said.contains("context: expected at most 256 positions") && said.contains("the context is not shifted"), "{said}");
    assert!(refused(&[]).contains("expected one of --prompt, --tokens, --perplexity, found none"));
    assert!(refused(&["--tokens", "1,999"]).contains("token id: expected below the vocabulary's 512, found 999"));
    assert!(refused(&["--prompt", "a", "--top-p", "0"]).contains("--top-p: expected more than 0, at most 1, found 0"));
    assert!(refused(&["--prompt", "a", "--temperature=-1"]).contains("--temperature: expected 0 or more, found -1"));
    let said = refused(&["--prompt", "a", "--arithmetic", "ggml"]);
    assert!(said.contains("--arithmetic: expected 'float' or 'integer' for architecture 'bitnet-b1.58', found 'ggml'"), "{said}");
    let said = refused(&["--prompt", "a", "--kv-bits", "6"]);
    assert!(said.contains("--kv-bits: expected --arithmetic integer beside it, found another arithmetic"), "{said}");
    let said = refused(&["--prompt", "a", "--arithmetic", "integer", "--rom-bits", "24"]);
    assert!(said.contains("--rom-bits: expected 4 to 23, found 24"), "{said}");
    // What would have no effect is no use of the command.
    for (args, other) in [
        (&["--tokens", "1", "--chat"][..], "--chat"),
        (&["--prompt", "a", "--greedy", "--temperature", "2"], "--temperature"),
        (&["--perplexity", "models/own-stories.txt", "--seed", "2"], "--seed"),
        (&["--perplexity", "models/own-stories.txt", "--top-logits", "2"], "--top-logits"),
    ] {
        let out = command(&[&["--model", MODEL], args].concat()).output().unwrap();
        assert!(out.status.code() == Some(2) && stderr(&out).contains("cannot be used with") && stderr(&out).contains(other), "{out:?}");
    }
    assert!(refused(&["--perplexity", "/dev/null"]).contains("--perplexity: expected a text of one token or more, found none"));
}
