//! What a bundle's testbench runs and must find: the first passes of the model, all behind one doorbell, recorded on the cycle
//! model with ideal memory and checked against the integer reference. In: [`Target`], its image. Out: [`Vectors`].

use anyhow::bail;
use tritforge_rtl::bundle::Vectors;
use tritforge_sim::clocked::PowerUp;
use tritforge_sim::memory::{MemConfig, Memory};
use tritforge_sim::system::System;
use tritforge_spec::descriptor::Descriptor;
use tritforge_spec::hw::{Hw, KV_BLOCK};
use tritforge_spec::image::{Image, SEGMENT_ALIGN, words_to_bytes};
use tritforge_spec::reference::{IntModel, KvCache, Reference, Saturations};

use super::Target;
use crate::CheckFailed;
use crate::model::Tokenizer;

/// Layers that run, at most.
const LAYERS: usize = 2;
/// Tokens of the prefill, at most the batch; one token is decoded behind it.
const PREFILL: usize = 2;

/// One descriptor's work.
struct Run {
    layer: usize,
    pos: usize,
    tokens: usize,
    x: Vec<i32>,
    y: Vec<i32>,
}

/// The passes with what must come out: prefill, then one more token, through the first layers; feed-forward in the reference.
fn runs(model: &IntModel, hw: &Hw, layers: usize, ids: &[u32]) -> Vec<Run> {
    let reference = Reference::new(model, hw.config.rom_log2, hw.config.rom_bits);
    let mut cache = KvCache::new(model);
    let mut saturations = Saturations::default();
    let prefill = PREFILL.min(hw.config.batch).min(ids.len() - 1);
    let mut runs = Vec::new();
    for (pos, tokens) in [(0, prefill), (prefill, 1)] {
        let mut x: Vec<i32> = ids[pos..pos + tokens].iter().flat_map(|&t| model.embedding_row(t as usize)).copied().collect();
        for layer in 0..layers {
            let y = reference.attention(layer, &x, pos, &mut cache.layers[layer], &mut (), &mut saturations);
            let next = reference.feed_forward(layer, &y, &mut (), &mut saturations);
            runs.push(Run { layer, pos, tokens, x, y });
            x = next;
        }
    }
    runs
}

/// Token vectors as they lie in memory: each padded to whole super-words.
fn vector_bytes(hw: &Hw, values: &[i32]) -> Vec<u8> {
    let row = |v: &[i32]| words_to_bytes(hw, &v.iter().map(|&v| v as u32).collect::<Vec<_>>());
    values.chunks(hw.shape.dim).flat_map(row).collect()
}

/// Records the vectors of a bundle.
///
/// # Errors
/// The cycle model reported an error, or a result that is not the integer reference's.
pub fn vectors(target: &Target, image: &Image) -> anyhow::Result<Vectors> {
    let (hw, model, layout) = (&target.hw, &target.int, &image.layout);
    let bos = target.tokenizer().ok().and_then(Tokenizer::bos).unwrap_or(0);
    let ids: Vec<u32> = (0..=PREFILL as u32).map(|i| if i == 0 { bos } else { i * 7919 % model.vocab as u32 }).collect();
    if hw.context() < ids.len() {
        bail!("context: expected at least {} positions for the testbench's passes, found {}", ids.len(), hw.context());
    }
    let layers = LAYERS.min(hw.shape.layers);
    let runs = runs(model, hw, layers, &ids);

    // The memory of the testbench ends behind the layers that run: image, descriptors, inputs; results and KV pages are not initialised.
    let word_bytes = hw.word_bits() / 8;
    let align = (SEGMENT_ALIGN * 8 / hw.port_bits()) as u32;
    let mut at = layout.layers.get(layers).copied().unwrap_or(layout.descriptors);
    let mut place = |words: u32| {
        let here = at;
        at = (at + words).next_multiple_of(align);
        here
    };
    let tokens: u32 = runs.iter().map(|r| r.tokens as u32).sum();
    let descriptors = place(runs.len() as u32 * layout.descriptor_words);
    let x_off = place(tokens * layout.vector_words);
    let y_off = place(tokens * layout.vector_words);
    let blocks = ids.len().div_ceil(KV_BLOCK) as u32;
    let first_page = place(blocks * layout.page_words);
    let words = place(0);

    let mut memory = vec![0; y_off as usize * word_bytes];
    let image_part = descriptors as usize * word_bytes;
    memory[..image_part].copy_from_slice(&image.bytes[..image_part]);
    let mut put = |off: u32, bytes: &[u8]| memory[off as usize * word_bytes..][..bytes.len()].copy_from_slice(bytes);
    let (mut y, mut done) = (Vec::new(), 0);
    for (i, run) in runs.iter().enumerate() {
        let descriptor = Descriptor {
            x_in: x_off + done * layout.vector_words,
            x_out: y_off + done * layout.vector_words,
            ..layout.descriptor(run.layer, 0, run.pos, run.tokens)
        };
        put(descriptors + i as u32 * layout.descriptor_words, &words_to_bytes(hw, &descriptor.words()));
        put(x_off + done * layout.vector_words, &vector_bytes(hw, &run.x));
        y.extend(vector_bytes(hw, &run.y));
        done += run.tokens as u32;
    }
    let pages: Vec<u32> = (0..blocks).map(|b| first_page + b * layout.page_words).collect();

    let mut system = System::new(hw, image, Memory::new(MemConfig::ideal(hw.ports(), hw.port_bits()))?, PowerUp::Zero)?;
    system.bench.load(0, &memory);
    // A pass that writes nothing is noticed.
    system.bench.load(y_off, &vec![0xa5; y.len()]);
    let cycles = system.run_descriptors(&pages, descriptors, runs.len() as u32)?;
    let found = system.bench.take(y_off, y.len() / word_bytes);
    if let Some(i) = (0..y.len()).find(|&i| found[i] != y[i]) {
        let (model, reference) = (found[i], y[i]);
        let what = format!("byte {i} of the results is {model:#04x} in the cycle model, {reference:#04x} in the integer reference");
        return Err(CheckFailed(format!("testbench vectors: {what}")).into());
    }
    let summary = format!(
        "{} passes behind one doorbell (layers 0 to {}, {} token(s) at position 0, then 1 token)",
        runs.len(),
        layers - 1,
        runs[0].tokens
    );
    Ok(Vectors { memory, words, descriptors, count: runs.len() as u32, y_off, y, pages, cycles, summary })
}
