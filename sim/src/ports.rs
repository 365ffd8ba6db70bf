//! Rust structs whose fields are Verilog ports: field `i` to and from words of 64 bits, lowest first.

use tritforge_spec::bits::{Bits, mask, sign_extend};

/// A type that a port's value can have.
pub trait PortValue {
    /// Writes the lowest `width` bits to `words`, zeros above; false when the value does not fit into them.
    fn load(&self, width: usize, words: &mut [u64]) -> bool;
    /// Takes the value of the lowest `width` bits of `words`.
    fn store(&mut self, width: usize, words: &[u64]);
}

/// A struct of ports; made by [`ports!`](crate::ports!).
pub trait Ports: Clone + std::fmt::Debug + Default + PartialEq {
    /// Field names, which are the port names.
    const NAMES: &'static [&'static str];
    /// [`PortValue::load`] of field `field`.
    fn load(&self, field: usize, width: usize, words: &mut [u64]) -> bool;
    /// [`PortValue::store`] of field `field`.
    fn store(&mut self, field: usize, width: usize, words: &[u64]);
}

/// Defines structs of ports with public fields: `ports! { pub struct In { rst: bool, in_valid: bool, in_data: Bits } }`.
/// Field types: `bool`, integers up to 128 bits (signed ones in two's complement of the port's width), `Bits`.
#[macro_export]
macro_rules! ports {
    ($($(#[$meta:meta])* $vis:vis struct $name:ident { $($(#[$fmeta:meta])* $field:ident : $type:ty),* $(,)? })+) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq)]
        $vis struct $name { $($(#[$fmeta])* pub $field: $type),* }

        impl $crate::ports::Ports for $name {
            const NAMES: &'static [&'static str] = &[$(stringify!($field)),*];

            #[allow(unused_assignments, unused_mut, unused_variables)]
            fn load(&self, field: usize, width: usize, words: &mut [u64]) -> bool {
                let mut i = 0usize;
                $(if field == i { return $crate::ports::PortValue::load(&self.$field, width, words); } i += 1;)*
                false
            }

            #[allow(unused_assignments, unused_mut, unused_variables)]
            fn store(&mut self, field: usize, width: usize, words: &[u64]) {
                let mut i = 0usize;
                $(if field == i { return $crate::ports::PortValue::store(&mut self.$field, width, words); } i += 1;)*
            }
        }
    )+};
}

impl PortValue for bool {
    fn load(&self, _width: usize, words: &mut [u64]) -> bool {
        words[0] = *self as u64;
        true
    }
    fn store(&mut self, _width: usize, words: &[u64]) {
        *self = words[0] & 1 != 0;
    }
}

macro_rules! unsigned {
    ($($t:ty)*) => {$(
        impl PortValue for $t {
            fn load(&self, width: usize, words: &mut [u64]) -> bool {
                words[0] = *self as u64 & mask(width);
                words[0] == *self as u64
            }
            fn store(&mut self, width: usize, words: &[u64]) {
                *self = (words[0] & mask(width)) as $t;
            }
        }
    )*};
}
unsigned!(u8 u16 u32 u64 usize);

macro_rules! signed {
    ($($t:ty)*) => {$(
        impl PortValue for $t {
            fn load(&self, width: usize, words: &mut [u64]) -> bool {
                words[0] = *self as u64 & mask(width);
                sign_extend(words[0], width) == *self as i64
            }
            fn store(&mut self, width: usize, words: &[u64]) {
                *self = sign_extend(words[0] & mask(width), width) as $t;
            }
        }
    )*};
}
signed!(i8 i16 i32 i64);

impl PortValue for u128 {
    fn load(&self, width: usize, words: &mut [u64]) -> bool {
        words[0] = *self as u64 & mask(width);
        if width > 64 {
            words[1] = (*self >> 64) as u64 & mask(width - 64);
        }
        width >= 128 || *self >> width == 0
    }
    fn store(&mut self, width: usize, words: &[u64]) {
        *self = (words[0] & mask(width)) as u128;
        if width > 64 {
            *self |= ((words[1] & mask(width - 64)) as u128) << 64;
        }
    }
}

impl PortValue for i128 {
    fn load(&self, width: usize, words: &mut [u64]) -> bool {
        let unused = 128 - width as u32;
        (((*self as u128) << unused) >> unused).load(width, words);
        (*self << unused) >> unused == *self
    }
    fn store(&mut self, width: usize, words: &[u64]) {
        let mut raw = 0u128;
        raw.store(width, words);
        let unused = 128 - width as u32;
        *self = ((raw << unused) as i128) >> unused;
    }
}

impl PortValue for Bits {
    fn load(&self, width: usize, words: &mut [u64]) -> bool {
        let n = width.div_ceil(64);
        for (i, word) in words.iter_mut().enumerate().take(n) {
            *word = self.words().get(i).copied().unwrap_or(0);
        }
        let top = mask(width - 64 * (n - 1));
        let fits = words[n - 1] & !top == 0 && self.words().iter().skip(n).all(|&w| w == 0);
        words[n - 1] &= top;
        fits
    }
    fn store(&mut self, width: usize, words: &[u64]) {
        *self = Bits::from_words(width, words);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    ports! {
        /// One port of each kind.
        struct Example { flag: bool, count: u32, sum: i64, wide: Bits, root: u128 }
    }

    #[test]
    fn fields_go_by_their_port_names_and_widths() {
        assert_eq!(Example::NAMES, ["flag", "count", "sum", "wide", "root"]);
        let e = Example { flag: true, count: 5, sum: -3, wide: Bits::from_words(70, &[9, 33]), root: 1 << 76 };
        let mut words = [u64::MAX; 3];
        assert!(e.load(2, 22, &mut words));
        assert_eq!(words[0], 0x3f_fffd);
        assert!(e.load(3, 70, &mut words));
        assert_eq!(words[..2], [9, 33]);
        let mut back = Example::default();
        for (field, width) in [1, 3, 22, 70, 77].into_iter().enumerate() {
            assert!(e.load(field, width, &mut words), "field {field}");
            back.store(field, width, &words);
        }
        assert_eq!(back, e);
    }

    #[test]
    fn a_value_wider_than_its_port_is_noticed() {
        let mut words = [0; 2];
        assert!(3u32.load(2, &mut words));
        assert!(!4u32.load(2, &mut words));
        assert!((-2i64).load(2, &mut words));
        assert!(!2i64.load(2, &mut words));
        assert!(!(1u128 << 77).load(77, &mut words));
        assert!(!Bits::from_u64(70, 1 << 9).load(9, &mut words));
        assert!((-1i128).load(70, &mut words));
        assert_eq!(words, [u64::MAX, 0x3f]);
        assert!(!(1i128 << 69).load(70, &mut words));
    }
}
