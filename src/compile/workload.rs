//! What the hardware is given to do: the passes of a prompt and its continuation, with the inputs and the results of every
//! attention sub-layer as the integer reference computes them. The rest of the model runs in the reference in between.

use anyhow::bail;
use tritforge_sim::system::Pass;
use tritforge_spec::hw::Hw;
use tritforge_spec::numerics::head::arg_max;
use tritforge_spec::reference::{IntModel, KvCache, Reference, Saturations};

/// A pass with what must come out.
#[derive(Clone, Debug)]
pub struct Job {
    pub pass: Pass,
    /// tokens x D; nothing where only time is of interest.
    pub expected: Vec<i32>,
    pub count: usize,
    /// Prefill, or the n-th decoded token.
    pub decode: Option<usize>,
}

/// A prompt and its continuation as passes.
#[derive(Clone, Debug)]
pub struct Workload {
    /// In the order of execution: pass by pass, layer by layer.
    pub jobs: Vec<Job>,
    /// Prompt and what was decoded.
    pub tokens: Vec<u32>,
    pub prompt: usize,
    /// Passes over all layers.
    pub passes: usize,
    pub saturations: Saturations,
}

impl Workload {
    /// Prefill of `prompt` in passes of at most `hw`'s batch, then `decode` greedy tokens.
    ///
    /// # Errors
    /// An empty prompt, an id outside the vocabulary, or more positions than model or hardware hold.
    pub fn new(model: &IntModel, hw: &Hw, prompt: &[u32], decode: usize) -> anyhow::Result<Self> {
        check(model, hw, prompt, decode)?;
        let reference = Reference::new(model, hw.config.rom_log2, hw.config.rom_bits);
        let mut cache = KvCache::new(model);
        let mut w =
            Workload { jobs: Vec::new(), tokens: prompt.to_vec(), prompt: prompt.len(), passes: 0, saturations: Saturations::default() };
        let mut pos = 0;
        let mut last = Vec::new();
        for chunk in prompt.chunks(hw.config.batch) {
            last = w.pass(model, &reference, &mut cache, chunk, pos, None);
            pos += chunk.len();
        }
        for n in 0..decode {
            let logits = reference.head_full(0, &last, &mut (), &mut w.saturations);
            let next = arg_max(&logits).unwrap_or(0) as u32;
            w.tokens.push(next);
            last = w.pass(model, &reference, &mut cache, &[next], pos, Some(n));
            pos += 1;
        }
        Ok(w)
    }

    /// The same passes without values: time depends on positions and numbers of tokens alone, so the continuation's tokens are
    /// unknown here.
    ///
    /// # Errors
    /// As [`Workload::new`].
    pub fn shape_only(model: &IntModel, hw: &Hw, prompt: &[u32], decode: usize) -> anyhow::Result<Self> {
        check(model, hw, prompt, decode)?;
        let chunks = prompt.chunks(hw.config.batch).map(|c| (c.len(), None)).chain((0..decode).map(|n| (1, Some(n))));
        let (mut jobs, mut pos, mut passes) = (Vec::new(), 0, 0);
        for (count, decode) in chunks {
            let pass = |layer| Pass { layer, slot: 0, pos, x: Vec::new() };
            jobs.extend((0..model.layers.len()).map(|layer| Job { pass: pass(layer), expected: Vec::new(), decode, count }));
            pos += count;
            passes += 1;
        }
        Ok(Workload { jobs, tokens: prompt.to_vec(), prompt: prompt.len(), passes, saturations: Saturations::default() })
    }

    /// Tokens of the continuation.
    pub fn decoded(&self) -> usize {
        self.jobs.iter().filter_map(|j| j.decode).max().map_or(0, |n| n + 1)
    }

    /// Appends one pass over all layers; gives the last token's residual row.
    fn pass(
        &mut self,
        model: &IntModel,
        reference: &Reference<'_>,
        cache: &mut KvCache,
        tokens: &[u32],
        pos: usize,
        decode: Option<usize>,
    ) -> Vec<i32> {
        let mut x: Vec<i32> = tokens.iter().flat_map(|&t| model.embedding_row(t as usize)).copied().collect();
        for layer in 0..model.layers.len() {
            let expected = reference.attention(layer, &x, pos, &mut cache.layers[layer], &mut (), &mut self.saturations);
            let next = reference.feed_forward(layer, &expected, &mut (), &mut self.saturations);
            self.jobs.push(Job { pass: Pass { layer, slot: 0, pos, x }, expected, decode, count: tokens.len() });
            x = next;
        }
        self.passes += 1;
        x.split_off(x.len() - model.shape.dim)
    }
}

/// A prompt and a continuation that model and hardware hold.
fn check(model: &IntModel, hw: &Hw, prompt: &[u32], decode: usize) -> anyhow::Result<()> {
    let context = hw.context().min(model.shape.context);
    if prompt.is_empty() {
        bail!("prompt: expected at least one token, found none; give --prompt or --tokens");
    }
    if let Some(id) = prompt.iter().find(|&&t| t as usize >= model.vocab) {
        bail!("token id {id}: expected below the vocabulary's {}; use ids of this model", model.vocab);
    }
    let total = prompt.len().saturating_add(decode);
    if total > context {
        bail!(
            "prompt and continuation: expected at most {context} positions (model and configuration), found {total}; shorten the prompt, decode fewer tokens, or raise `context` in the configuration"
        );
    }
    Ok(())
}
