//! The C++ between Rust and a Verilated model: ports as arrays of 64-bit words, each port in whole words, contract order,
//! functions of their own for every member of a pack.

use super::pack::Pack;
use std::fmt::Write;
use tritforge_spec::block::{Dir, Role};

/// The C++ that drives and samples member `k` of the pack: `dut_set_k`, `dut_get_k`, `dut_low_k`, `dut_high_k`.
fn member(pack: &Pack, k: usize, dump: &str) -> String {
    let (design, prefix) = (&pack.members[k], pack.prefix(k));
    let mut set = String::new();
    let mut get = String::new();
    let mut at = 0;
    for p in design.ports_of(Dir::In) {
        let (n, w) = (p.name, p.width);
        if w <= 64 {
            let _ = writeln!(set, "  d->top->{prefix}{n} = in[{at}];");
        } else {
            let _ = writeln!(set, "  wide_set(&d->top->{prefix}{n}[0], in + {at}, {});", w.div_ceil(32));
        }
        at += w.div_ceil(64);
    }
    at = 0;
    for p in design.ports_of(Dir::Out) {
        let (n, w) = (p.name, p.width);
        if w <= 64 {
            let _ = writeln!(get, "  out[{at}] = d->top->{prefix}{n};");
        } else {
            let _ = writeln!(get, "  wide_get(out + {at}, &d->top->{prefix}{n}[0], {});", w.div_ceil(32));
        }
        at += w.div_ceil(64);
    }
    let clock = design.ports.iter().find(|p| p.role == Role::Clock);
    let edge = |level: u8| clock.map_or(String::new(), |p| format!("d->top->{prefix}{} = {level};", p.name));
    format!(
        "void dut_set_{k}(Dut* d, const uint64_t* in) {{\n{set}}}\nvoid dut_get_{k}(Dut* d, uint64_t* out) {{\n{get}}}\n\
         void dut_low_{k}(Dut* d) {{\n  {}\n  d->top->eval();\n{dump}}}\nvoid dut_high_{k}(Dut* d) {{\n  {}\n  d->top->eval();\n{dump}}}\n",
        edge(0),
        edge(1),
    )
}

/// The shim's source text; `trace` adds the writing of VCD.
pub fn source(pack: &Pack, trace: bool) -> String {
    let (trace_include, trace_field, dump) = if trace {
        ("#include \"verilated_vcd_c.h\"\n", "  VerilatedVcdC* vcd = nullptr;\n", "  if (d->vcd) d->vcd->dump(d->time);\n  d->time += 5;\n")
    } else {
        ("", "", "")
    };
    let trace_fns = if trace { TRACE_FNS } else { "" };
    format!(
        r#"#include "Vdut.h"
#include "verilated.h"
{trace_include}#include <cstdint>
#include <memory>
struct Dut {{
  VerilatedContext context;
  std::unique_ptr<Vdut> top;
{trace_field}  uint64_t time = 0;
}};
static inline void wide_set(uint32_t* to, const uint64_t* from, int n) {{
  for (int i = 0; i < n; i++) to[i] = (uint32_t)(from[i / 2] >> (32 * (i & 1)));
}}
static inline void wide_get(uint64_t* to, const uint32_t* from, int n) {{
  for (int i = 0; i < n; i += 2) to[i / 2] = from[i] | (i + 1 < n ? (uint64_t)from[i + 1] << 32 : 0);
}}
extern "C" {{
Dut* dut_new(int random, int seed) {{
  Dut* d = new Dut;
  d->context.randReset(random ? 2 : 0);
  d->context.randSeed(seed);
  {ever_on}
  d->top = std::make_unique<Vdut>(&d->context, "dut");
  return d;
}}
{members}{trace_fns}void dut_free(Dut* d) {{
  d->top->final();
  delete d;
}}
}}
"#,
        ever_on = if trace { "d->context.traceEverOn(true);" } else { "" },
        members = (0..pack.members.len()).map(|k| member(pack, k, dump)).collect::<String>(),
    )
}

const TRACE_FNS: &str = r"void dut_trace_open(Dut* d, const char* path) {
  d->vcd = new VerilatedVcdC;
  d->top->trace(d->vcd, 99);
  d->vcd->open(path);
}
void dut_trace_close(Dut* d) {
  if (!d->vcd) return;
  d->vcd->close();
  delete d->vcd;
  d->vcd = nullptr;
}
";
