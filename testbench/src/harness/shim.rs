//! The C++ between Rust and a Verilated model: ports as arrays of 64-bit words, each port in whole words, contract order.

use super::design::Design;
use std::fmt::Write;
use tritforge_spec::block::{Dir, Role};

/// The shim's source text; `trace` adds the writing of VCD.
pub fn source(design: &Design, trace: bool) -> String {
    let mut set = String::new();
    let mut get = String::new();
    let mut at = 0;
    for p in design.ports_of(Dir::In) {
        let (n, w) = (p.name, p.width);
        if w <= 64 {
            let _ = writeln!(set, "  d->top->{n} = in[{at}];");
        } else {
            let _ = writeln!(set, "  wide_set(&d->top->{n}[0], in + {at}, {});", w.div_ceil(32));
        }
        at += w.div_ceil(64);
    }
    at = 0;
    for p in design.ports_of(Dir::Out) {
        let (n, w) = (p.name, p.width);
        if w <= 64 {
            let _ = writeln!(get, "  out[{at}] = d->top->{n};");
        } else {
            let _ = writeln!(get, "  wide_get(out + {at}, &d->top->{n}[0], {});", w.div_ceil(32));
        }
        at += w.div_ceil(64);
    }
    let clock = design.ports.iter().find(|p| p.role == Role::Clock);
    let clk = clock.map_or(String::new(), |p| format!("d->top->{}", p.name));
    let edge = |level: u8| match clock {
        Some(_) => format!("{clk} = {level};"),
        None => String::new(),
    };
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
void dut_set(Dut* d, const uint64_t* in) {{
{set}}}
void dut_get(Dut* d, uint64_t* out) {{
{get}}}
void dut_low(Dut* d) {{
  {low}
  d->top->eval();
{dump}}}
void dut_high(Dut* d) {{
  {high}
  d->top->eval();
{dump}}}
{trace_fns}void dut_free(Dut* d) {{
  d->top->final();
  delete d;
}}
}}
"#,
        ever_on = if trace { "d->context.traceEverOn(true);" } else { "" },
        low = edge(0),
        high = edge(1),
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
