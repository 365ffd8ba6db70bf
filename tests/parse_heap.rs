//! Peak heap of a parse is at most 4 times the metadata plus 16 MiB, on friendly and on hostile files. An allocator that
//! counts measures it, so this file holds one test.

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use support::{embedded, test_data};
use tritforge::model::Tokenizer;
use tritforge::model::gguf::{Gguf, GgufFile};

struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn count(bytes: usize) {
    let live = LIVE.fetch_add(bytes, Relaxed) + bytes;
    PEAK.fetch_max(live, Relaxed);
}

// SAFETY: passes every request on to the system's allocator, and only counts.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
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
fn peak<T>(work: impl FnOnce() -> T) -> (usize, T) {
    let start = LIVE.load(Relaxed);
    PEAK.store(start, Relaxed);
    let result = work();
    (PEAK.load(Relaxed) - start, result)
}

const FREE: usize = 16 << 20;

/// Parses, then reads the tokenizer where there is one; asserts the bound for both together.
fn check(name: &str, bytes: &[u8], metadata_bytes: usize) {
    let (peak, outcome) = peak(|| {
        let file = Gguf::parse(bytes).map_err(|error| error.to_string())?;
        assert_eq!(file.metadata_bytes(), metadata_bytes);
        Ok::<_, String>((file.tensors().len(), Tokenizer::from_gguf(&file).map_or(0, |t| t.len())))
    });
    println!("{name}: {metadata_bytes} bytes of metadata, peak heap {peak} ({:.2} x), {outcome:?}", peak as f64 / metadata_bytes as f64);
    assert!(peak <= 4 * metadata_bytes + FREE, "{name}");
}

fn header(tensors: u64, entries: u64) -> Vec<u8> {
    let mut out = b"GGUF\x03\0\0\0".to_vec();
    out.extend(tensors.to_le_bytes());
    out.extend(entries.to_le_bytes());
    out
}

/// As many of the smallest metadata entries as possible: keys of few bytes, values of one.
fn small_entries(count: u64) -> Vec<u8> {
    let mut out = header(0, count);
    for index in 0..count {
        let key = format!("{index:x}");
        out.extend((key.len() as u64).to_le_bytes());
        out.extend(key.bytes());
        out.extend(0u32.to_le_bytes());
        out.push(1);
    }
    out
}

/// As many of the smallest tensors as possible.
fn small_tensors(count: u64) -> (Vec<u8>, usize) {
    let mut out = header(count, 0);
    for index in 0..count {
        let name = format!("{index:x}");
        out.extend((name.len() as u64).to_le_bytes());
        out.extend(name.bytes());
        out.extend(1u32.to_le_bytes());
        out.extend(1u64.to_le_bytes());
        out.extend(0u32.to_le_bytes());
        out.extend((32 * index).to_le_bytes());
    }
    let metadata_bytes = out.len();
    out.resize(out.len().next_multiple_of(32) + 32 * count as usize, 0);
    (out, metadata_bytes)
}

#[test]
fn peak_heap_of_a_parse_is_at_most_four_times_the_metadata_and_16_mib() {
    // Large enough that the free 16 MiB do not hide the factor.
    let entries = small_entries(2_000_000);
    check("small entries", &entries, entries.len());
    drop(entries);
    let (tensors, metadata_bytes) = small_tensors(1_000_000);
    check("small tensors", &tensors, metadata_bytes);
    drop(tensors);
    for (tensors, entries) in [(u64::MAX, 0), (0, u64::MAX), (1 << 40, 1 << 40)] {
        let mut hostile = header(tensors, entries);
        hostile.resize(1 << 20, 0);
        check("absurd counts", &hostile, hostile.len());
    }
    let path = embedded("stories3m.tq1_0.gguf");
    let mut paths = vec![(path, 14298)];
    paths.extend(test_data("vocab/ggml-vocab-llama-spm.gguf").map(|path| (path, 723_869)));
    paths.extend(test_data("vocab/ggml-vocab-gpt-2.gguf").map(|path| (path, 1_766_807)));
    for (path, metadata_bytes) in paths {
        let file = GgufFile::open(&path).unwrap();
        check(path.file_name().unwrap().to_str().unwrap(), file.bytes(), metadata_bytes);
    }
}
