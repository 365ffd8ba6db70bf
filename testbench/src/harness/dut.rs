//! A Verilated model as a Rust object. Cycle: `set`, `low` (inputs settle), `get`, `high` (the clock edge), `get`.

use anyhow::{Context, Result};
use libloading::os::unix::{Library as Loaded, RTLD_LOCAL, RTLD_NOW, Symbol};
use std::{
    ffi::{CString, c_char, c_int, c_void},
    path::Path,
    sync::Arc,
};

type New = unsafe extern "C" fn(c_int, c_int) -> *mut c_void;
type Set = unsafe extern "C" fn(*mut c_void, *const u64);
type Get = unsafe extern "C" fn(*mut c_void, *mut u64);
type Act = unsafe extern "C" fn(*mut c_void);
type Open = unsafe extern "C" fn(*mut c_void, *const c_char);

/// A loaded shared library of [`library`](super::library).
pub struct Library {
    new: Symbol<New>,
    set: Symbol<Set>,
    get: Symbol<Get>,
    low: Symbol<Act>,
    high: Symbol<Act>,
    free: Symbol<Act>,
    trace: Option<(Symbol<Open>, Symbol<Act>)>,
    in_words: usize,
    out_words: usize,
    /// Last field: the symbols above must not outlive it.
    _library: Loaded,
}

impl Library {
    /// Loads `path` for member `member` of its pack; `in_words` and `out_words` are the lengths of that member's port arrays.
    pub fn load(path: &Path, member: usize, in_words: usize, out_words: usize) -> Result<Arc<Self>> {
        // SAFETY: the file was built by this crate from its shim, whose functions have the types above; loading runs
        // only Verilator's own static initialisers.
        unsafe {
            let lib = Loaded::open(Some(path), RTLD_NOW | RTLD_LOCAL).with_context(|| format!("loading {}", path.display()))?;
            Ok(Arc::new(Self {
                new: lib.get(b"dut_new\0")?,
                set: lib.get(format!("dut_set_{member}\0").as_bytes())?,
                get: lib.get(format!("dut_get_{member}\0").as_bytes())?,
                low: lib.get(format!("dut_low_{member}\0").as_bytes())?,
                high: lib.get(format!("dut_high_{member}\0").as_bytes())?,
                free: lib.get(b"dut_free\0")?,
                trace: match (lib.get(b"dut_trace_open\0"), lib.get(b"dut_trace_close\0")) {
                    (Ok(open), Ok(close)) => Some((open, close)),
                    _ => None,
                },
                in_words,
                out_words,
                _library: lib,
            }))
        }
    }
}

/// One instance of the model.
pub struct Dut {
    library: Arc<Library>,
    model: *mut c_void,
}

impl Dut {
    /// Power-up with zeros, or with random registers and memories from `random`.
    pub fn new(library: &Arc<Library>, random: Option<u64>) -> Self {
        let seed = (random.unwrap_or(0) & 0x3fff_ffff) as c_int | 1;
        // SAFETY: dut_new takes any two integers.
        let model = unsafe { (library.new)(random.is_some() as c_int, seed) };
        Self { library: library.clone(), model }
    }

    /// Drives all inputs: each port in whole words, contract order, clock left out.
    pub fn set(&mut self, inputs: &[u64]) {
        assert_eq!(inputs.len(), self.library.in_words);
        // SAFETY: the shim reads in_words words.
        unsafe { (self.library.set)(self.model, inputs.as_ptr()) }
    }

    /// Reads all outputs, as [`Dut::set`].
    pub fn get(&mut self, outputs: &mut [u64]) {
        assert_eq!(outputs.len(), self.library.out_words);
        // SAFETY: the shim writes out_words words.
        unsafe { (self.library.get)(self.model, outputs.as_mut_ptr()) }
    }

    /// Clock low: the inputs settle.
    pub fn low(&mut self) {
        // SAFETY: model is alive until drop.
        unsafe { (self.library.low)(self.model) }
    }

    /// The rising clock edge.
    pub fn high(&mut self) {
        // SAFETY: model is alive until drop.
        unsafe { (self.library.high)(self.model) }
    }

    /// Writes a VCD file from here on; false when the library was built without traces.
    pub fn trace_to(&mut self, path: &Path) -> Result<bool> {
        let Some((open, _)) = &self.library.trace else {
            return Ok(false);
        };
        let path = CString::new(path.as_os_str().as_encoded_bytes())?;
        // SAFETY: path is a C string that lives through the call.
        unsafe { open(self.model, path.as_ptr()) };
        Ok(true)
    }
}

impl Drop for Dut {
    fn drop(&mut self) {
        // SAFETY: model came from dut_new of this library and is not used after.
        unsafe {
            if let Some((_, close)) = &self.library.trace {
                close(self.model);
            }
            (self.library.free)(self.model);
        }
    }
}
