//! A model that runs keeps no copy of its matrices: what it holds and needs besides the mapped file is small. An allocator that counts
//! measures it, so this file holds one test.

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use support::parts::Parts;
use support::program::Folder;
use tritforge::model::gguf::{GgufFile, Metadata, TensorType};
use tritforge::model::quant::Arithmetic;
use tritforge::model::synth::{Synth, parse_shape};
use tritforge::model::{AnyModel, Engine};

struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: passes every request on to the system's allocator, and only counts.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(live, Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Much less than the smallest matrix that matters, the embedding: 8192 x 1024.
const MOST: usize = 3 << 20;

#[test]
fn a_running_model_needs_little_heap_besides_the_mapped_file() {
    let folder = Folder::new("run-heap");
    let text = "layers=3,dim=1024,heads=8,kv=2,head_dim=128,ffn=4096,vocab=8192,ctx=256";
    let file = |architecture: &str, kind| {
        let (shape, tied) = parse_shape(text).unwrap();
        let mut parts = Parts::read(&Synth { shape, tied, seed: 7, kind }.build());
        for (key, value) in &mut parts.metadata {
            *key = key.replace("bitnet-b1.58.", &format!("{architecture}."));
            if key == "general.architecture" {
                *value = Metadata::Text(architecture.into());
            }
        }
        let path = folder.file(&format!("{architecture}-{kind:?}.gguf"));
        std::fs::write(&path, parts.write()).unwrap();
        path
    };
    // The pool's own memory is no part of a model.
    rayon_warm();
    for (architecture, kind) in [
        ("bitnet-b1.58", TensorType::Tq2_0),
        ("bitnet-b1.58", TensorType::Tq1_0),
        ("bitnet-b1.58", TensorType::I2S),
        ("bitnet-b1.58", TensorType::F16),
        ("bitnet", TensorType::Tq2_0),
        ("bitnet", TensorType::Q8_0),
    ] {
        let path = file(architecture, kind);
        let start = LIVE.load(Relaxed);
        PEAK.store(start, Relaxed);
        let map = GgufFile::open(path.as_ref()).unwrap();
        let parsed = map.parse().unwrap();
        let model = AnyModel::from_gguf(&parsed).unwrap();
        let mut engine = Engine::new(&model, Arithmetic::Ggml);
        let logits = engine.forward(&[3, 1, 4, 1, 5]).unwrap();
        assert_eq!(logits.len(), 8192);
        let peak = PEAK.load(Relaxed) - start;
        println!("{architecture} {kind:?}: file {} bytes, peak heap {peak}", map.total_bytes());
        assert!(peak <= MOST, "{architecture} {kind:?}: {peak}");
    }
}

/// Lets the first parallel loop start the threads.
fn rayon_warm() {
    let (shape, tied) = parse_shape("layers=1,dim=256,heads=2,ffn=256,vocab=512").unwrap();
    let bytes = Synth { shape, tied, seed: 1, kind: TensorType::Tq2_0 }.build();
    let file = tritforge::model::gguf::Gguf::parse(&bytes).unwrap();
    Engine::new(&AnyModel::from_gguf(&file).unwrap(), Arithmetic::Ggml).forward(&[1]).unwrap();
}
