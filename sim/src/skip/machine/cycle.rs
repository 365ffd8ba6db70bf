//! One cycle of the machine: which parts are due, and their steps.

use super::*;

impl Machine {
    /// One cycle; what happened on AXI, and what must be answered before the next.
    pub fn cycle(&self, st: &mut State) -> (Bus, u32) {
        let due = self.due(st);
        self.step(st, due)
    }

    /// The [`parts`] that this cycle may change.
    #[inline(always)]
    pub fn due(&self, st: &State) -> u32 {
        let mut due = st.awake;
        let mut moved = st.signals.moved;
        while moved != 0 {
            due |= parts::ENDS[moved.trailing_zeros() as usize];
            moved &= moved - 1;
        }
        // The two sides of `axi_read` share its ports, and a master that is at work is what wakes its channels.
        if st.axi_read.aux_beat() {
            due |= parts::AUX;
        }
        if due & (parts::AUX | parts::MEMORY_READ) != 0 {
            due |= parts::AXI_READ;
        }
        if due & parts::AXI_READ != 0 {
            due |= parts::MEMORY_READ;
        }
        if due & (parts::AXI_WRITE | parts::MEMORY_WRITE) != 0 {
            due |= parts::AXI_WRITE | parts::MEMORY_WRITE;
        }
        if due & parts::KVREAD != 0 && st.kvread.begins() {
            due |= parts::FILL;
        }
        due
    }

    /// One cycle in which `due` is what [`Machine::due`] gave.
    ///
    /// Valid, ready and levels are of the cycle before wherever they are read; payloads are written in place, so each block comes
    /// before those whose payloads it reads.
    pub fn step(&self, st: &mut State, due: u32) -> (Bus, u32) {
        let (mut bus, mut read, mut write) = (Bus::default(), Bus::default(), Bus::default());
        let now = st.now;
        st.now += 1;
        let (s, mut awake, mut asks) = (&mut st.signals, st.awake, 0);
        let bit = |mask: u32, p: usize| mask >> p & 1 != 0;
        let on = |part: u32| due & part != 0;
        if on(parts::MEMORY_READ) {
            let mut settled = true;
            for (p, (channel, port)) in st.memory_read.iter_mut().zip(&st.axi_read.ports).enumerate() {
                let ar = port.ar().filter(|_| channel.ready(&self.p.memory, now)).map(burst);
                let taken = channel.offer(now).is_some();
                if ar.is_some() || taken {
                    channel.step(&self.p.memory, now, ar, taken);
                }
                read.ar |= (ar.is_some() as u32) << p;
                read.r |= (taken as u32) << p;
                bus.r |= (port.beat() as u32) << p;
                settled &= channel.settled(&self.p.memory, now + 1);
            }
            bus.ar = read.ar;
            set(&mut awake, parts::MEMORY_READ, !settled);
        }
        if on(parts::MEMORY_WRITE) {
            let mut settled = true;
            for (p, (channel, port)) in st.memory_write.iter_mut().zip(&st.axi_write.ports).enumerate() {
                let aw = port.aw().filter(|_| channel.ready(&self.p.memory, now)).map(burst);
                let beat = (channel.wanted(now).is_some() && port.w(&self.p.axi_write)).then_some(0);
                let answered = channel.answer(now).is_some();
                if aw.is_some() || beat.is_some() || answered {
                    channel.step(&self.p.memory, now, aw, beat, answered);
                }
                write.aw |= (aw.is_some() as u32) << p;
                write.w |= (beat.is_some() as u32) << p;
                write.b |= (answered as u32) << p;
                settled &= channel.settled(&self.p.memory, now + 1);
            }
            (bus.aw, bus.w, bus.b) = (write.aw, write.w, write.b);
            set(&mut awake, parts::MEMORY_WRITE, !settled);
        }
        // A part whose cycle changed nothing although no word moved does the same again.
        macro_rules! step {
            ($part:ident, $field:ident, $call:expr) => {
                if on(parts::$part) {
                    const TOUCH: u64 = parts::streams(parts::$part);
                    let before = st.$field;
                    $call;
                    set(&mut awake, parts::$part, s.moved & TOUCH != 0 || st.$field != before);
                }
            };
        }
        if on(parts::ROUTE_W) {
            let more = st.route_w.step(&ROUTE_W, s.payload.w_dest, s);
            set(&mut awake, parts::ROUTE_W, more);
        }
        if on(parts::ROUTE_A) {
            let more = st.route_a.step(&ROUTE_A, s.payload.a_dest, s);
            set(&mut awake, parts::ROUTE_A, more);
        }
        if on(parts::AXI_READ) {
            let crossing = st.axi_read.step(&self.p.axi_read, &mut st.aux, s, |p| (bit(read.ar, p), bit(read.r, p)));
            set(&mut awake, parts::AXI_READ, st.axi_read.awake(&self.p.axi_read));
            if on(parts::AUX) {
                st.aux.step(&self.p.axi_read, crossing, s, &mut asks);
                set(&mut awake, parts::AUX, st.aux.awake(&self.p.axi_read));
            }
        }
        if on(parts::AXI_WRITE) {
            st.axi_write.step(&self.p.axi_write, s, |p| (bit(write.aw, p), bit(write.w, p), bit(write.b, p)));
            set(&mut awake, parts::AXI_WRITE, !st.axi_write.idle());
        }
        step!(SOFTMAX, softmax, st.softmax.step(s));
        step!(ATTN_OUT, attn_out, st.attn_out.step(&self.p.attn_out, s));
        step!(ATTN, attn, st.attn.step(&self.p.attn, s, &mut asks));
        let mut scales = None;
        step!(KVREAD, kvread, scales = st.kvread.step(&self.p.kvread, s, &mut asks));
        step!(FILL, fill, st.fill.step(scales, s));
        step!(KVWRITE, kvwrite, st.kvwrite.step(&self.p.kvwrite, s, &mut asks));
        step!(HEADQ, headq, st.headq.step(&self.p.headq, s));
        step!(ROPE, rope, st.rope.step(&self.p.rope, s));
        step!(TMAC, tmac, st.tmac.step(&self.p.tmac, s));
        step!(UNPACK, unpack, st.unpack.step(&self.p.unpack, s));
        step!(NORM, norm, st.norm.step(&self.p.norm, s));
        step!(XLOAD, xload, st.xload.step(&self.p.xload, s));
        step!(RESID, resid, st.resid.step(&self.p.resid, s));
        step!(XSTORE, xstore, st.xstore.step(&self.p.xstore, s));
        step!(CTRL, ctrl, st.ctrl.step(&self.p.ctrl, self.p.burst, s, &mut asks));
        if s.moves(GO) {
            s.offer(GO, false);
        }
        let levels = s.levels;
        s.edge();
        const IDLE: u32 = level::XSTORE_IDLE | level::KVWRITE_IDLE | level::WRITE_IDLE;
        let changed = levels ^ s.levels;
        if changed & IDLE != 0 {
            awake |= parts::CTRL;
        }
        if changed & level::KV_COMPLETE != 0 {
            awake |= parts::KVREAD;
        }
        st.awake = awake;
        (bus, asks)
    }
}

/// A burst of this many beats; where it lies has no effect on timing.
fn burst(beats: u16) -> Burst {
    Burst { addr: 0, len: (beats - 1) as u8 }
}

/// Sets the bits of `part`, or clears them.
#[inline(always)]
fn set(mask: &mut u32, part: u32, on: bool) {
    *mask = if on { *mask | part } else { *mask & !part };
}
