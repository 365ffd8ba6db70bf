//! Writing a model and converting it take the memory of some rows, whatever the model's size. An allocator that counts measures it, so
//! this file holds one test.

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tritforge::model::Conversion;
use tritforge::model::convert::Options;
use tritforge::model::gguf::{GgufFile, TensorType};
use tritforge::model::synth::{Synth, parse_shape};

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

/// Peak of the heap above its level at the start, while `work` runs.
fn peak<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let start = LIVE.load(Relaxed);
    PEAK.store(start, Relaxed);
    let result = work();
    let peak = PEAK.load(Relaxed) - start;
    println!("{what}: peak heap {:.1} MiB", peak as f64 / 1048576.0);
    assert!(peak <= MOST, "{what}: {peak}");
    result
}

/// One piece of rows in f32 is 2 MiB; the rest is a row of numbers for each thread, the buffers of files, and the directory.
const MOST: usize = 6 << 20;

#[test]
fn a_model_of_any_size_is_written_and_converted_in_a_few_mebibytes() {
    let (shape, tied) = parse_shape("layers=1,dim=1024,heads=8,kv=2,ffn=4096,vocab=4096,ctx=16").unwrap();
    let synth = Synth { shape, tied, seed: 1, kind: TensorType::F16 };
    let folder = std::env::temp_dir().join(format!("tritforge-convert-heap-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("m.gguf");
    let bytes = peak("synth-model", || synth.write(io::BufWriter::new(File::create(&path).unwrap()), &|_| {}).unwrap());
    assert_eq!(bytes, std::fs::metadata(&path).unwrap().len());
    assert!(bytes > 5 * MOST as u64, "large enough that a whole model in memory would be seen: {bytes}");

    let mapped = GgufFile::open(&path).unwrap();
    let file = mapped.parse().unwrap();
    for (kind, ternarise) in [(TensorType::F32, false), (TensorType::Q8_0, false), (TensorType::Tq1_0, false), (TensorType::I2S, true)] {
        peak(kind.name(), || {
            let conversion = Conversion::plan(&file, Options { kind, ternarise }, &|_| {}).unwrap();
            conversion.write(io::sink(), &|_| {}).unwrap();
        });
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
