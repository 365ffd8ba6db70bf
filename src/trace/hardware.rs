//! Executions whose attention sub-layers run on the accelerator: the cycle model, or the Verilated RTL. Everything else runs in the integer
//! reference, as on the host. Out: a trace of what is seen from outside: the residual behind each attention sub-layer, and the host's stages.

use anyhow::{Context, bail};
use tritforge_sim::clocked::PowerUp;
use tritforge_sim::host::{self, Bench};
use tritforge_sim::memory::{MemConfig, Memory};
use tritforge_sim::system::{Mode, Pass, System};
use tritforge_sim::top::Top;
use tritforge_spec::reference::{Reference, Saturations};
use tritforge_spec::top::Params;
use tritforge_testbench::harness::{Flavor, Solo};
use tritforge_testbench::machine;

use super::integer::IntegerRecorder;
use super::path::stream;
use super::{About, Trace};
use crate::compile::Target;
use crate::model::judge::{Place, Stage};
use crate::report::accuracy::hybrid::to_fixed;

/// Most cycles that one pass of the RTL may take before it counts as stuck.
const MOST_CYCLES: u64 = 200_000_000;

/// One pass of an attention sub-layer: residual rows in, residual rows out.
type Attend<'a> = dyn FnMut(&Pass) -> anyhow::Result<Vec<i32>> + 'a;

/// A trace of the cycle model, skip mode (whose values are step mode's).
///
/// # Errors
/// Tokens that model or hardware do not hold, or an error of the hardware.
pub(super) fn of_cycle_model(target: &Target, tokens: &[u32], about: About, fed: Option<&Trace>) -> anyhow::Result<Trace> {
    let hw = &target.hw;
    let memory = Memory::new(MemConfig::ideal(hw.ports(), hw.port_bits()))?;
    let mut system = System::new(hw, &target.image()?, memory, PowerUp::Zero)?;
    system.set_mode(Mode::Skip);
    run(target, tokens, about, fed, &mut |pass| Ok(system.pass(pass, &mut |_, _| {})?.y))
}

/// A trace of the Verilated RTL.
///
/// # Errors
/// As [`of_cycle_model`], and where there is no Verilator.
pub(super) fn of_rtl(target: &Target, tokens: &[u32], about: About, fed: Option<&Trace>) -> anyhow::Result<Trace> {
    let (hw, image) = (&target.hw, target.image()?);
    let design = machine::design(&Params::from(hw))?;
    let mut rtl = Solo::<Top>::new(&design, Flavor::Fast)?
        .context("Verilator: expected on PATH or in .tools/, found in neither; run `make tools`")?;
    let mut bench =
        Bench::new(hw, &image, Memory::new(MemConfig { max_burst: hw.config.burst, ..MemConfig::ideal(hw.ports(), hw.port_bits()) })?);
    let mut cycle = 0;
    host::Machine::reset(&mut rtl);
    bench.push(host::setup(hw, &image.layout));
    let mut go = |bench: &mut Bench| {
        let last = cycle + MOST_CYCLES;
        host::run(&mut rtl, bench, &mut cycle, |c| {
            if c.index > last {
                Err(anyhow::anyhow!("RTL: expected the pass to end within {MOST_CYCLES} cycles, found it running"))
            } else {
                Ok(())
            }
        })
    };
    go(&mut bench)?;
    run(target, tokens, about, fed, &mut |pass| {
        let count = pass.x.len() / hw.shape.dim;
        bench.results.clear();
        let descriptor = image.layout.descriptor(pass.layer, pass.slot, pass.pos, count);
        bench.push(host::run_pass(&image.layout, vec![descriptor], pass.x.clone(), count));
        go(&mut bench)?;
        let ran = bench.ran();
        if ran.failed() {
            bail!("RTL, layer {}, position {}: the hardware reported an error", pass.layer, pass.pos);
        }
        Ok(ran.y)
    })
}

/// Prefill in passes of at most the hardware's batch; layers in order, the host in between. With `fed` each sub-layer and the head take their
/// rows from there.
fn run(target: &Target, tokens: &[u32], about: About, fed: Option<&Trace>, attend: &mut Attend<'_>) -> anyhow::Result<Trace> {
    let (hw, int) = (&target.hw, &target.int);
    let context = hw.context().min(int.shape.context);
    if tokens.len() > context {
        bail!("tokens: expected at most {context} positions (model and configuration), found {}; give fewer tokens", tokens.len());
    }
    let reference = Reference::new(int, hw.config.rom_log2, hw.config.rom_bits);
    let mut seen = IntegerRecorder::new(int, &reference.softmax_rom, tokens.len());
    let mut ignored = Saturations::default();
    let mut row = 0;
    for (at, chunk) in tokens.chunks(hw.config.batch).enumerate() {
        let pos = at * hw.config.batch;
        let rows = |place: Place, own: Vec<i32>| match fed.and_then(|fed| fed.get(place)) {
            Some(given) => to_fixed(&given.values[pos * int.shape.dim..][..chunk.len() * int.shape.dim], int.res_frac),
            None => own,
        };
        let mut x: Vec<i32> = chunk.iter().flat_map(|&id| int.embedding_row(id as usize)).copied().collect();
        seen.add_residual(None, Stage::InpEmbd, &x);
        for layer in 0..int.layers.len() {
            let y = attend(&Pass { layer, slot: 0, pos, x: rows(stream(layer), x) })?;
            seen.add_residual(Some(layer), Stage::AttnResid, &y);
            let y = rows(Place { layer: Some(layer), stage: Stage::AttnResid }, y);
            x = reference.feed_forward(layer, &y, &mut seen, &mut ignored);
        }
        for x in rows(stream(int.layers.len()), x).chunks_exact(int.shape.dim) {
            reference.head_full(row, x, &mut seen, &mut ignored);
            row += 1;
        }
    }
    Ok(seen.finish(about, tokens))
}
