//! `tritforge accuracy` as a user sees it: exit codes and messages.

mod support;

use std::process::Command;

use support::embedded;
use support::program::{refusal, tritforge};

fn accuracy(arguments: &[&str]) -> Command {
    let mut command = tritforge();
    command.arg("accuracy").arg("--model").arg(embedded("stories3m.tq1_0.gguf")).args(arguments);
    command
}

#[test]
fn wrong_use_names_the_item_and_the_range() {
    let text = embedded("own-stories.txt");
    let text = text.to_str().unwrap();
    let cases: [(&[&str], &str); 5] = [
        (&["--text", text, "--rom-entries", "100"], "error: --rom-entries: expected a power of two from 4 to 4096, found 100\n"),
        (&["--text", text, "--rom-bits", "24"], "error: --rom-bits: expected 4 to 23, found 24\n"),
        (&["--text", text, "--kv-bits", "5"], "error: KV bits: expected 4, 6 or 8, found 5; choose one of these widths\n"),
        (&["--text", "/nowhere.txt"], "error: /nowhere.txt: No such file or directory (os error 2); give a readable text file in UTF-8"),
        (
            &["--text", "/dev/null"],
            "error: text /dev/null: expected at least one document of one token or more, found none; give another file\n",
        ),
    ];
    for (arguments, message) in cases {
        let found = refusal(accuracy(arguments));
        assert!(found.starts_with(message), "{found}");
    }
    assert!(refusal(accuracy(&["--text", text, "--sweep-rom"])).contains("--out <DIR>"));
    assert!(
        refusal(accuracy(&["--text", text, "--sweep-rom", "--out", "/dev/null/x"]))
            .starts_with("error: cannot make folder /dev/null/x: choose a writable place")
    );
}

#[test]
fn a_missed_bar_is_named_and_gives_exit_code_1() {
    let text = embedded("own-stories.txt");
    let out = accuracy(&["--text", text.to_str().unwrap(), "--docs", "1", "--kv-bits", "4", "--json", "-"]).output().unwrap();
    assert_eq!(out.status.code(), Some(1), "{out:?}");
    let json: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(json["documents"], 1);
    insta::assert_snapshot!("json_keys", support::key_tree(&json));
    assert!(json["variants"]["whole"]["ratio_se"].is_null());
    let report = String::from_utf8(out.stderr).unwrap();
    assert!(report.contains("MISSED whole: perplexity ratio 1.0"), "{report}");
}
