//! `attn`, `softmax` and `attn_out` together in four-state simulation: no output depends on what was never written.

use std::process::Command;
use tritforge_spec::block::{attn, attn_out, softmax};
use tritforge_testbench::harness::{Design, build_dir, iverilog, missing, workspace};

#[test]
fn nothing_unwritten_reaches_an_output_of_the_attention_core() {
    let Some(iverilog) = iverilog() else { return missing("iverilog", "four-state simulation of the attention core") };
    let dir = build_dir().join(format!("icarus-attention-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let softmax = softmax::Params { group: 3, rom_log2: 8, rom_bits: 15 };
    let designs = [
        Design::of(&softmax).unwrap(),
        Design::of(&attn::Params::from_widths(3, 1, 48, 2, 4, 6, 128)).unwrap(),
        Design::of(&attn_out::Params { group: 3, head_dim: 48, vec: 4 }).unwrap(),
    ];
    let mut files = vec![workspace().join("testbench/icarus/attention_core_x.sv")];
    for (name, text) in designs.iter().flat_map(|d| &d.sources) {
        let path = dir.join(name);
        if !files.contains(&path) {
            std::fs::write(&path, text).unwrap();
            files.push(path);
        }
    }
    for rom in &designs[0].roms {
        std::fs::write(dir.join(&rom.file), &rom.text).unwrap();
    }
    // Accumulators in distributed RAM and in registers.
    for words in [3, 1] {
        let mut build = Command::new(&iverilog.path);
        build.current_dir(&dir).args(["-g2012", "-o", "core.vvp", "-s", "attention_core_x"]);
        let built = build.arg(format!("-Pattention_core_x.NW={words}")).args(&files).output().unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        let vvp = iverilog.path.with_file_name("vvp");
        let ran = Command::new(vvp).current_dir(&dir).arg("core.vvp").output().unwrap();
        // Six heads of three query heads and 48 dimensions each.
        assert_eq!(String::from_utf8_lossy(&ran.stdout).trim(), "PASS 864", "NW {words}");
    }
    std::fs::remove_dir_all(&dir).unwrap();
}
