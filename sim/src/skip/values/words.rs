//! Super-words in the memory behind the ports: whole runs of them at once. Bytes are in super-word order (port 0's beat lowest).

use crate::{
    host::PORT_SHIFT,
    memory::{PAGE, Storage},
};
use std::sync::Arc;
use tritforge_spec::hw::Hw;

/// How super-words lie in the memory.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    ports: usize,
    /// Bytes of a beat of one port, a power of two of at most 64: no beat straddles two pages.
    beat: usize,
}

impl Words {
    /// Of this hardware.
    pub fn new(hw: &Hw) -> Self {
        Words { ports: hw.ports(), beat: hw.port_bits() / 8 }
    }

    /// Bytes of a super-word.
    pub fn bytes(&self) -> usize {
        self.ports * self.beat
    }

    fn addr(&self, port: usize, off: u32) -> u64 {
        ((port as u64) << PORT_SHIFT) + u64::from(off) * self.beat as u64
    }

    /// Fills `bytes` (whole super-words) from super-word `off` on.
    pub fn read(&self, storage: &Storage, off: u32, bytes: &mut [u8]) {
        if self.ports == 1 {
            return storage.read(self.addr(0, off), bytes);
        }
        match self.beat {
            4 => self.gather::<4>(storage, off, bytes),
            8 => self.gather::<8>(storage, off, bytes),
            16 => self.gather::<16>(storage, off, bytes),
            32 => self.gather::<32>(storage, off, bytes),
            _ => self.gather::<64>(storage, off, bytes),
        }
    }

    /// [`Words::read`] with the beat's bytes known to the compiler: a beat is a load and a store.
    fn gather<const BEAT: usize>(&self, storage: &Storage, off: u32, bytes: &mut [u8]) {
        let words = bytes.len() / self.bytes();
        for port in 0..self.ports {
            let mut addr = self.addr(port, off);
            let mut done = 0;
            while done < words {
                let at = (addr % PAGE as u64) as usize;
                let n = ((PAGE - at) / BEAT).min(words - done);
                let to = bytes[done * self.bytes()..].chunks_mut(self.bytes()).take(n).map(|w| &mut w[port * BEAT..][..BEAT]);
                match storage.shared_page(addr / PAGE as u64) {
                    Some(page) => to.zip(page[at..].chunks_exact(BEAT)).for_each(|(to, from)| to.copy_from_slice(from)),
                    None => to.for_each(|to| to.fill(0)),
                }
                done += n;
                addr = addr.wrapping_add((n * BEAT) as u64);
            }
        }
    }

    /// Writes `bytes` (whole super-words) from super-word `off` on.
    pub fn write(&self, storage: &mut Storage, off: u32, bytes: &[u8]) {
        if self.ports == 1 {
            return storage.write(self.addr(0, off), bytes);
        }
        for port in 0..self.ports {
            let mut addr = self.addr(port, off);
            for word in bytes.chunks_exact(self.bytes()) {
                storage.write(addr, &word[port * self.beat..][..self.beat]);
                addr = addr.wrapping_add(self.beat as u64);
            }
        }
    }

    /// Writes 32 bits in lane `lane` of super-word `off`; the word's other bytes stay.
    pub fn write_lane(&self, storage: &mut Storage, off: u32, lane: usize, value: u32) {
        let (port, at) = (4 * lane / self.beat, 4 * lane % self.beat);
        storage.write(self.addr(port, off).wrapping_add(at as u64), &value.to_le_bytes());
    }

    /// The pages under `words` super-words from `off` on, port by port, with the bytes of each that belong to them.
    fn pages(&self, off: u32, words: usize) -> impl Iterator<Item = (u64, std::ops::Range<usize>)> {
        let (beat, me) = (self.beat, *self);
        (0..self.ports).flat_map(move |port| {
            let from = me.addr(port, off);
            let to = from + (words * beat) as u64;
            let size = PAGE as u64;
            (from / size..to.div_ceil(size)).map(move |page| {
                let start = page * size;
                (page, from.saturating_sub(start) as usize..(to - start).min(size) as usize)
            })
        })
    }
}

/// The pages under a run of super-words, held; `None` was never written.
#[derive(Clone, Debug)]
pub struct Pins {
    off: u32,
    words: usize,
    pages: Vec<Option<Arc<[u8; PAGE]>>>,
}

impl Pins {
    /// Holds the pages under `words` super-words from `off` on.
    pub fn new(place: &Words, storage: &Storage, off: u32, words: usize) -> Self {
        let pages = place.pages(off, words).map(|(page, _)| storage.shared_page(page).cloned()).collect();
        Pins { off, words, pages }
    }

    /// Whether the super-words are still those in `storage`. A page that was written since but holds the same bytes there is held from
    /// now on.
    pub fn stand(&mut self, place: &Words, storage: &Storage) -> bool {
        const ZERO: &[u8; PAGE] = &[0; PAGE];
        place.pages(self.off, self.words).zip(&mut self.pages).all(|((page, range), pin)| {
            let now = storage.shared_page(page);
            let held = match (now, pin.as_ref()) {
                (None, None) => true,
                (Some(now), Some(then)) => Arc::ptr_eq(now, then),
                _ => false,
            };
            if held {
                return true;
            }
            let same = now.map_or(ZERO, |p| p)[range.clone()] == pin.as_deref().unwrap_or(ZERO)[range];
            if same {
                *pin = now.cloned();
            }
            same
        })
    }
}
