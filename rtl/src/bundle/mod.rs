//! The bundle: everything that a hardware engineer needs to simulate and synthesise one top without Rust. In: top, image with
//! recorded vectors. Out: files with their paths below the bundle's folder.

mod scripts;
mod testbench;

use crate::{generate, leaves, top};
use tritforge_spec::{
    block::{Contract, RomFile},
    hw::Hw,
    image::Image,
    top::Params,
};

/// What the testbench runs and must find: descriptors and inputs lie in `memory`, results are compared from `y_off` on.
#[derive(Clone, Debug)]
pub struct Vectors {
    /// Super-words from 0 on, in super-word order: image, descriptors, inputs; zero elsewhere.
    pub memory: Vec<u8>,
    /// Super-words of memory that the testbench holds.
    pub words: u32,
    /// First descriptor and how many.
    pub descriptors: u32,
    pub count: u32,
    /// Expected results, in super-word order.
    pub y_off: u32,
    pub y: Vec<u8>,
    /// Page table: entry by index.
    pub pages: Vec<u32>,
    /// Cycles from the doorbell's write to the interrupt on the cycle model with ideal memory.
    pub cycles: u64,
    /// What the passes are, for the README.
    pub summary: String,
}

/// One file of the bundle.
#[derive(Clone, Debug)]
pub struct BundleFile {
    pub path: String,
    pub bytes: Vec<u8>,
}

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    #[error(transparent)]
    Wiring(#[from] top::WiringError),
    #[error("bundle: no module {0} among the leaves")]
    Missing(String),
}

/// Sources of the top in compile order: (file name, text).
///
/// # Errors
/// A module that is not among the leaves, or wiring that does not fit.
pub fn sources(params: &Params) -> Result<Vec<(String, String)>, BundleError> {
    let mut files: Vec<(String, String)> = Vec::new();
    for instance in params.instances() {
        let stem = instance.interface.stem;
        for (name, text) in leaves::with_dependencies(stem).ok_or_else(|| BundleError::Missing(stem.to_owned()))? {
            let file = format!("{name}.sv");
            if !files.iter().any(|f| f.0 == file) {
                files.push((file, text.into_owned()));
            }
        }
    }
    files.push((format!("{}.sv", tritforge_spec::top::STEM), top::emit(params)?));
    Ok(files)
}

/// One port's bytes as `$readmemh` text, a beat a line, the last byte of a beat first.
fn port_hex(hw: &Hw, bytes: &[u8], port: usize) -> String {
    use std::fmt::Write;
    let (word, beat) = (hw.word_bits() / 8, hw.port_bits() / 8);
    let mut text = String::with_capacity(bytes.len() / hw.ports() * 3);
    for w in bytes.chunks_exact(word) {
        for b in w[port * beat..(port + 1) * beat].iter().rev() {
            let _ = write!(text, "{b:02x}");
        }
        text.push('\n');
    }
    text
}

/// All files of the bundle.
///
/// # Errors
/// As [`sources`].
pub fn files(params: &Params, image: &Image, vectors: &Vectors, command: &str) -> Result<Vec<BundleFile>, BundleError> {
    let hw = &params.hw;
    let mut out: Vec<BundleFile> = Vec::new();
    let mut add = |path: String, bytes: Vec<u8>| out.push(BundleFile { path, bytes });
    let sources = sources(params)?;
    let names: Vec<&str> = sources.iter().map(|s| s.0.as_str()).collect();
    let roms: Vec<RomFile> = params.roms();
    let scripts = scripts::Scripts { params, names: &names, roms: &roms, vectors, image, command };
    for (path, text) in scripts.all() {
        add(path, text.into_bytes());
    }
    add("tb/tritforge_tb.sv".into(), testbench::emit(params, vectors).into_bytes());
    for (name, text) in &sources {
        add(format!("rtl/{name}"), text.clone().into_bytes());
    }
    for rom in &roms {
        add(format!("rom/{}", rom.file), rom.text.clone().into_bytes());
    }
    for port in 0..hw.ports() {
        add(format!("image/port{port}.bin"), image.port_bytes(hw, port));
        add(format!("tb/memory_port{port}.hex"), port_hex(hw, &vectors.memory, port).into_bytes());
        add(format!("tb/expected_port{port}.hex"), port_hex(hw, &vectors.y, port).into_bytes());
    }
    add("image/image.bin".into(), image.bytes.clone());
    for file in generate::software_files() {
        let path = match file.path.rsplit('/').next() {
            Some(name) if name.ends_with(".h") => format!("include/{name}"),
            Some(name) => format!("docs/{name}"),
            None => continue,
        };
        add(path, file.text.into_bytes());
    }
    Ok(out)
}
