//! Bytes at 64-bit addresses, kept in pages that exist once something was written to them. Unwritten bytes read as zero.
//! A clone shares its pages with the original until one of them writes.

use std::{collections::BTreeMap, sync::Arc};

/// Bytes of a page.
pub const PAGE: usize = 4096;

/// Sparse byte storage. Equal when every byte is equal.
#[derive(Clone, Debug, Default)]
pub struct Storage {
    pages: BTreeMap<u64, Arc<[u8; PAGE]>>,
}

/// Page number and byte within the page.
fn place(addr: u64) -> (u64, usize) {
    (addr / PAGE as u64, (addr % PAGE as u64) as usize)
}

impl Storage {
    /// Nothing written.
    pub fn new() -> Self {
        Self::default()
    }

    /// The byte at `addr`.
    pub fn byte(&self, addr: u64) -> u8 {
        let (page, at) = place(addr);
        self.pages.get(&page).map_or(0, |p| p[at])
    }

    /// Fills `bytes` from `addr` on. Addresses wrap at 2^64.
    pub fn read(&self, addr: u64, bytes: &mut [u8]) {
        let mut done = 0;
        while done < bytes.len() {
            let (page, at) = place(addr.wrapping_add(done as u64));
            let n = (PAGE - at).min(bytes.len() - done);
            let to = &mut bytes[done..done + n];
            match self.pages.get(&page) {
                Some(p) => to.copy_from_slice(&p[at..at + n]),
                None => to.fill(0),
            }
            done += n;
        }
    }

    /// Writes `bytes` from `addr` on. Addresses wrap at 2^64.
    pub fn write(&mut self, addr: u64, bytes: &[u8]) {
        let mut done = 0;
        while done < bytes.len() {
            let (page, at) = place(addr.wrapping_add(done as u64));
            let n = (PAGE - at).min(bytes.len() - done);
            self.page(page)[at..at + n].copy_from_slice(&bytes[done..done + n]);
            done += n;
        }
    }

    /// Writes one byte.
    pub fn write_byte(&mut self, addr: u64, byte: u8) {
        let (page, at) = place(addr);
        self.page(page)[at] = byte;
    }

    /// The page of number `page` (address / [`PAGE`]), if something was written to it. A write to a page that someone else holds makes a
    /// new one: who keeps the `Arc` sees by [`Arc::ptr_eq`] whether anything was written since.
    pub fn shared_page(&self, page: u64) -> Option<&Arc<[u8; PAGE]>> {
        self.pages.get(&page)
    }

    fn page(&mut self, page: u64) -> &mut [u8; PAGE] {
        Arc::make_mut(self.pages.entry(page).or_insert_with(|| Arc::new([0; PAGE])))
    }

    /// Lowest address whose byte differs, with the byte here and there.
    pub fn first_difference(&self, other: &Self) -> Option<(u64, u8, u8)> {
        const ZERO: [u8; PAGE] = [0; PAGE];
        let mut numbers: Vec<u64> = self.pages.keys().chain(other.pages.keys()).copied().collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers.into_iter().find_map(|n| {
            let (a, b) = (self.pages.get(&n), other.pages.get(&n));
            if let (Some(a), Some(b)) = (a, b)
                && Arc::ptr_eq(a, b)
            {
                return None;
            }
            let (a, b) = (a.map_or(&ZERO, |p| p), b.map_or(&ZERO, |p| p));
            let at = (0..PAGE).find(|&i| a[i] != b[i])?;
            Some((n * PAGE as u64 + at as u64, a[at], b[at]))
        })
    }
}

impl PartialEq for Storage {
    fn eq(&self, other: &Self) -> bool {
        self.first_difference(other).is_none()
    }
}

impl Eq for Storage {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_read_back_across_pages_and_at_the_top_of_the_address_space() {
        for addr in [0, 4090, 0x7fff_ffff_fff9, u64::MAX - 5] {
            let mut s = Storage::new();
            let bytes: Vec<u8> = (1..=9000).map(|i| i as u8).collect();
            s.write(addr, &bytes);
            let mut back = vec![0; 9002];
            s.read(addr.wrapping_sub(1), &mut back);
            assert_eq!((back[0], back[9001]), (0, 0));
            assert_eq!(back[1..9001], bytes);
        }
    }

    #[test]
    fn a_clone_is_equal_until_one_byte_differs_and_an_unwritten_byte_equals_a_written_zero() {
        let mut a = Storage::new();
        a.write(5000, &[1, 2, 3]);
        let mut b = a.clone();
        b.write(1 << 40, &[0; 10]);
        assert_eq!(a, b);
        b.write_byte(5001, 7);
        assert_eq!(a.byte(5001), 2);
        assert_eq!(a.first_difference(&b), Some((5001, 2, 7)));
    }
}
