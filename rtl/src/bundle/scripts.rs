//! Scripts and descriptions around the sources: Makefile, file list, FuseSoC core, yosys, Vivado (non-project), constraints, README.

use super::Vectors;
use std::fmt::Write;
use tritforge_spec::{
    block::{Contract, Dir, RomFile},
    image::Image,
    top::{Params, STEM},
};

pub(super) struct Scripts<'a> {
    pub params: &'a Params,
    /// Verilog files in compile order.
    pub names: &'a [&'a str],
    pub roms: &'a [RomFile],
    pub vectors: &'a Vectors,
    pub image: &'a Image,
    /// The command that made the bundle.
    pub command: &'a str,
}

impl Scripts<'_> {
    pub fn all(&self) -> Vec<(String, String)> {
        [
            ("Makefile", self.makefile()),
            ("files.f", self.file_list()),
            ("tritforge.core", self.fusesoc()),
            ("synth/yosys.ys", self.yosys()),
            ("synth/vivado.tcl", self.vivado()),
            ("synth/constraints.xdc", self.constraints()),
            ("params.toml", self.parameters()),
            ("README.md", self.readme()),
        ]
        .map(|(path, text)| (path.to_owned(), text))
        .into()
    }

    fn file_list(&self) -> String {
        self.names.iter().fold(String::new(), |t, n| t + "rtl/" + n + "\n")
    }

    fn makefile(&self) -> String {
        format!(
            "# make sim     self-checking simulation with Icarus Verilog (4-state) where it is installed, else Verilator\n\
             # make lint    Verilator lint of the top\n\
             # make check   yosys reads the top: no latch, no combinational loop, nothing undriven\n\
             # make synth   yosys generic synthesis\n\
             SIM ?= $(if $(shell command -v iverilog),iverilog,verilator)\n\
             SOURCES := $(shell cat files.f)\n\
             # The ROM files are read from the current folder.\n\
             ROMS := {roms}\n\n\
             .PHONY: sim sim-iverilog sim-verilator lint check synth clean\n\
             sim: sim-$(SIM)\n\n\
             $(ROMS): %: rom/%\n\tcp $< $@\n\n\
             sim-iverilog: $(ROMS)\n\tiverilog -g2012 -o build.vvp -s {STEM_TB} $(SOURCES) tb/{STEM_TB}.sv\n\tvvp -n build.vvp | tee sim.log\n\tgrep -q '^PASS' sim.log\n\n\
             # Its code needs coroutines, which not every Verilator tells the C++ compiler.\n\
             sim-verilator: $(ROMS)\n\tverilator --binary --timing -CFLAGS -std=c++20 -Wno-fatal -Wno-lint -Wno-style --top-module {STEM_TB} -Mdir obj_dir -o sim $(SOURCES) tb/{STEM_TB}.sv > build.log\n\t./obj_dir/sim | tee sim.log\n\tgrep -q '^PASS' sim.log\n\n\
             lint:\n\tverilator --lint-only -Wall --top-module {STEM} $(SOURCES)\n\n\
             check: $(ROMS)\n\tyosys -q -p 'read_verilog -sv -defer $(SOURCES); hierarchy -check -top {STEM}; proc; check -assert; select -assert-none t:$$dlatch'\n\n\
             synth: $(ROMS)\n\tyosys -q synth/yosys.ys\n\n\
             clean:\n\trm -rf build.vvp obj_dir build.log sim.log $(ROMS)\n",
            roms = self.roms.iter().map(|r| r.file.as_str()).collect::<Vec<_>>().join(" "),
            STEM_TB = "tritforge_tb",
            STEM = STEM,
        )
    }

    fn fusesoc(&self) -> String {
        let mut t = String::from(
            "CAPI=2:\nname: tritforge:accelerator:top:0.1.0\ndescription: Ternary attention accelerator emitted by tritforge\nfilesets:\n  rtl:\n    file_type: systemVerilogSource\n    files:\n",
        );
        for n in self.names {
            let _ = writeln!(t, "      - rtl/{n}");
        }
        t.push_str("  rom:\n    file_type: user\n    files:\n");
        for r in self.roms {
            let _ = writeln!(t, "      - rom/{0}: {{copyto: {0}}}", r.file);
        }
        t.push_str("  tb:\n    file_type: systemVerilogSource\n    files:\n      - tb/tritforge_tb.sv\n");
        // The testbench reads them from the folder in which the simulation runs, and looks for them below tb/.
        t.push_str("  vectors:\n    file_type: user\n    files:\n");
        for (port, file) in (0..self.params.hw.ports()).flat_map(|p| ["memory", "expected"].map(|file| (p, file))) {
            let _ = writeln!(t, "      - tb/{file}_port{port}.hex: {{copyto: tb/{file}_port{port}.hex}}");
        }
        let _ = writeln!(
            t,
            "targets:\n  default: &default\n    filesets: [rtl, rom]\n    toplevel: {STEM}\n  sim:\n    <<: *default\n    filesets: [rtl, rom, tb, vectors]\n    toplevel: tritforge_tb\n    default_tool: icarus\n    tools:\n      icarus:\n        iverilog_options: [-g2012]\n      verilator:\n        mode: binary\n        verilator_options: [--timing, -CFLAGS, -std=c++20, -Wno-fatal, -Wno-lint, -Wno-style]\n  lint:\n    <<: *default\n    default_tool: verilator\n    tools:\n      verilator:\n        mode: lint-only\n        verilator_options: [-Wall]"
        );
        t
    }

    fn yosys(&self) -> String {
        let files = self.names.iter().map(|n| format!("rtl/{n}")).collect::<Vec<_>>().join(" ");
        format!(
            "# yosys 0.23 or later, run in the bundle's folder: yosys -q synth/yosys.ys\n# -defer: a module is elaborated where it is used, with its own ROM file.\nread_verilog -sv -defer {files}\nhierarchy -check -top {STEM}\nproc\nopt\ncheck -assert\n\
             # Area on UltraScale+ (estimated): exchange the next line for `synth_xilinx -family xcup -flatten -top {STEM}`.\nsynth -top {STEM}\ntee -o synth/yosys_stat.txt stat\n"
        )
    }

    fn vivado(&self) -> String {
        let mut t = String::from(
            "# Vivado, non-project mode: vivado -mode batch -source synth/vivado.tcl -tclargs PART\nset part [expr {$argc > 0 ? [lindex $argv 0] : \"xck26-sfvc784-2LV-c\"}]\n",
        );
        for n in self.names {
            let _ = writeln!(t, "read_verilog -sv rtl/{n}");
        }
        for r in self.roms {
            let _ = writeln!(t, "file copy -force rom/{0} {0}", r.file);
        }
        let _ = writeln!(
            t,
            "read_xdc synth/constraints.xdc\nsynth_design -top {STEM} -part $part -mode out_of_context\nopt_design\nplace_design\nroute_design\n\
             report_utilization -hierarchical -file synth/utilization.rpt\nreport_timing_summary -file synth/timing.rpt\nwrite_checkpoint -force synth/{STEM}.dcp"
        );
        t
    }

    fn constraints(&self) -> String {
        let mhz = self.params.hw.config.clock_mhz;
        format!(
            "# One clock; everything crosses clocks outside the top.\ncreate_clock -name clk -period {:.3} [get_ports clk]\n",
            1000.0 / mhz
        )
    }

    fn parameters(&self) -> String {
        let p = self.params;
        let (c, s) = (&p.hw.config, &p.hw.shape);
        let packing = if c.packing == tritforge_spec::config::Packing::Base3 { "base3" } else { "two_bit" };
        format!(
            "# What this bundle was built for.\nhw_hash = \"{:016x}\"\nnumerics_hash = \"{:016x}\"\nmodel_hash = \"{:016x}\"\n\n[config]\nname = \"{}\"\nlanes = {}\nbatch = {}\nvec = {}\n\
             ports = {}\nport_bits = {}\npacking = \"{packing}\"\nrom_log2 = {}\nrom_bits = {}\nkv_bits = {}\nweight_fifo = {}\naux_fifo = {}\nburst = {}\noutstanding = {}\nslots = {}\n\
             context = {}\nclock_mhz = {:?}\n\n[model]\nlayers = {}\ndim = {}\nheads = {}\nkv_heads = {}\nhead_dim = {}\ncontext = {}\nrope_theta = {:?}\n",
            p.hw_hash,
            p.numerics_hash,
            self.image.model_hash,
            c.name,
            c.lanes,
            c.batch,
            c.vec,
            c.ports,
            c.port_bits,
            c.rom_log2,
            c.rom_bits,
            c.kv_bits,
            c.weight_fifo,
            c.aux_fifo,
            c.burst,
            c.outstanding,
            c.slots,
            c.context,
            c.clock_mhz,
            s.layers,
            s.dim,
            s.heads,
            s.kv_heads,
            s.head_dim,
            s.context,
            s.rope_theta,
        )
    }

    fn readme(&self) -> String {
        let hw = &self.params.hw;
        let l = &self.image.layout;
        let mut t = format!(
            "# tritforge bundle: configuration {}\n\nMade by `{}`. hw_hash {:016x}, numerics_hash {:016x}, model_hash {:016x}; parameters in `params.toml`.\n\n\
             The accelerator runs the attention sub-layer (RMSNorm, ternary q/k/v, RoPE, quantised KV cache, streaming softmax, sub-norm, ternary output projection, residual) of \
             {} layers; feed-forward and head are not in this hardware.\n\n\
             - `make sim`: the testbench runs {}, and compares every result word (an X differs) and the cycle count ({}) with the cycle model's.\n\
             - `rtl/` sources in the order of `files.f`, top `{STEM}`; `rom/` images for `$readmemh` (looked for in the current folder); `include/` register header; `docs/` register and descriptor pages.\n\
             - `synth/`: yosys and Vivado scripts, constraints. `tritforge.core`: FuseSoC.\n\
             - `image/`: memory image, whole and a file a port (port p's bytes go to the address written to PORT_BASE of port p).\n\n## Memory, in super-words of {} bits ({} port(s) x {} bits)\n\n\
             | what | first | super-words |\n|---|---|---|\n",
            hw.config.name,
            self.command,
            self.params.hw_hash,
            self.params.numerics_hash,
            self.image.model_hash,
            hw.shape.layers,
            self.vectors.summary,
            self.vectors.cycles,
            hw.word_bits(),
            hw.ports(),
            hw.port_bits(),
        );
        for (i, off) in l.layers.iter().enumerate() {
            let _ = writeln!(t, "| layer {i} | {off} | {} |", l.layer_words);
        }
        let _ = writeln!(t, "| descriptors (up to {}) | {} | {} each |", l.descriptor_count, l.descriptors, l.descriptor_words);
        let _ = writeln!(t, "| x in, x out | {}, {} | {} a token |", l.x_in, l.x_out, l.vector_words);
        let _ = writeln!(t, "| KV pages | {} | {} a page, {} pages a slot |", l.pages, l.page_words, l.pages_per_slot);
        let _ = writeln!(t, "\n## Ports of `{STEM}`\n\n| port | direction | bits |\n|---|---|---|");
        for p in self.params.ports() {
            let _ = writeln!(t, "| {} | {} | {} |", p.name, if p.dir == Dir::In { "in" } else { "out" }, p.width);
        }
        t
    }
}
