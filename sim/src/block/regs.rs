//! `regs`: the register file, cycle-exact to `regs.sv`. In: AXI4-Lite, levels and pulses; out: doorbell, tables, reset, interrupt.

use crate::{
    clocked::{Block, PowerUp},
    ports,
};
use tritforge_spec::{
    bits::Bits,
    block::regs::{Params, RESET_CYCLES, SLVERR},
    descriptor::ErrorCode,
    regmap::{
        self, Access, CONTROL_SOFT_RESET, COUNTERS, DOORBELL_COUNT, ERR_CODE_CODE, ERR_CODE_PORT, IRQ_ALL, IRQ_STATUS_ERROR,
        IRQ_STATUS_IDLE, REGISTERS, Register, STATUS_BUSY, STATUS_ERROR, STATUS_SOFT_RESET, State,
    },
};

ports! {
    /// Inputs of `regs`.
    pub struct In {
        rst: bool, s_awvalid: bool, s_awaddr: u16, s_wvalid: bool, s_wdata: u32, s_wstrb: u8, s_bready: bool,
        s_arvalid: bool, s_araddr: u16, s_rready: bool, go_ready: bool, ptw_ready: bool, ptr_ready: bool,
        busy: bool, finished: bool, ctrl_err: bool, ctrl_err_field: bool, ctrl_err_off: u32,
        read_idle: bool, read_err: bool, read_err_port: u8, read_err_addr: u64,
        write_idle: bool, write_err: bool, write_err_port: u8, write_err_addr: u64, bad: bool, bad_word: u32,
        array_busy: bool, wait_w: bool, wait_act: bool, wait_out: bool, attn_busy: bool, sat0: u32, sat1: u32, sat2: u32, sat3: u32, sat4: u32,
        beats_inc: u32,
    }
    /// Outputs of `regs`.
    pub struct Out {
        s_awready: bool, s_wready: bool, s_bvalid: bool, s_bresp: u8, s_arready: bool, s_rvalid: bool, s_rdata: u32, s_rresp: u8,
        irq: bool, core_rst: bool, stop: bool, base: Bits, go_valid: bool, go_ptr: u32, go_count: u16,
        ptw_valid: bool, ptw_index: u16, ptw_entry: u32, ptr_valid: bool, ptr_index: u16, ptr_entry: u32,
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Reset {
    Run,
    Drain,
    Core(u64),
}

/// The register at this address, `None` where there is none.
fn register_at(addr: u16) -> Option<&'static Register> {
    REGISTERS.iter().find(|r| r.offset == u32::from(addr))
}

/// `regs` as a block.
pub struct Regs {
    p: Params,
    aw: Option<u16>,
    w: Option<(u32, bool)>,
    b: Option<bool>,
    r: Option<(u32, bool)>,
    reset: Reset,
    desc_ptr: u32,
    pt_index: u32,
    pt_slot: u16,
    pt_entry: u32,
    img_hw: u64,
    img_num: u64,
    port_sel: usize,
    irq_status: u32,
    irq_mask: u32,
    go: bool,
    go_count: u16,
    was_running: bool,
    ptw: bool,
    ptr: bool,
    err: Option<(ErrorCode, u8, u64)>,
    base: Vec<u64>,
    counts: [u64; COUNTERS.len()],
    snapshot: [u64; COUNTERS.len()],
    beats: Vec<u64>,
    beats_snapshot: Vec<u64>,
}

fn set_half(value: &mut u64, high: bool, data: u32) {
    let shift = if high { 32 } else { 0 };
    *value = (*value & !(0xffff_ffff << shift)) | u64::from(data) << shift;
}

fn half(value: u64, high: bool) -> u32 {
    (if high { value >> 32 } else { value }) as u32
}

impl Regs {
    fn read(&self, addr: u16, running: bool) -> (u32, bool) {
        let (code, port, at) = self.err.unwrap_or((ErrorCode::None, 0, 0));
        let Some(register) = register_at(addr) else {
            let word = u32::from(addr).wrapping_sub(regmap::COUNTER_BASE) as usize;
            let counter = word / 8;
            if u32::from(addr) >= regmap::COUNTER_BASE && word.is_multiple_of(4) && counter < COUNTERS.len() {
                return (half(self.snapshot[counter], word % 8 == 4), false);
            }
            return (0, true);
        };
        let at_port = |v: &[u64]| v.get(self.port_sel).copied().unwrap_or(0);
        let value = match register.name {
            "MAGIC" => regmap::MAGIC,
            "VERSION" => regmap::INTERFACE_VERSION,
            "HW_HASH_LO" => half(self.p.hw_hash, false),
            "HW_HASH_HI" => half(self.p.hw_hash, true),
            "NUM_HASH_LO" => half(self.p.numerics_hash, false),
            "NUM_HASH_HI" => half(self.p.numerics_hash, true),
            "CAPS0" => self.p.caps0(),
            "CAPS1" => self.p.caps1(),
            "STATUS" => {
                STATUS_BUSY.put(running.into())
                    | STATUS_ERROR.put(self.err.is_some().into())
                    | STATUS_SOFT_RESET.put((self.reset != Reset::Run).into())
            }
            "ERR_CODE" => ERR_CODE_CODE.put(code as u32) | ERR_CODE_PORT.put(port.into()),
            "ERR_ADDR_LO" => half(at, false),
            "ERR_ADDR_HI" => half(at, true),
            "IRQ_STATUS" => self.irq_status,
            "IRQ_MASK" => self.irq_mask,
            "DESC_PTR" => self.desc_ptr,
            "IMG_HW_HASH_LO" => half(self.img_hw, false),
            "IMG_HW_HASH_HI" => half(self.img_hw, true),
            "IMG_NUM_HASH_LO" => half(self.img_num, false),
            "IMG_NUM_HASH_HI" => half(self.img_num, true),
            "PT_INDEX" => self.pt_index,
            "PORT_SEL" => self.port_sel as u32,
            "PORT_BASE_LO" => half(at_port(&self.base), false),
            "PORT_BASE_HI" => half(at_port(&self.base), true),
            "PORT_BEATS_LO" => half(at_port(&self.beats_snapshot), false),
            "PORT_BEATS_HI" => half(at_port(&self.beats_snapshot), true),
            _ => 0,
        };
        (value, false)
    }

    fn core_rst(&self) -> bool {
        matches!(self.reset, Reset::Core(_))
    }

    fn new_error(&self, wrong_image: bool, i: &In) -> Option<(ErrorCode, u8, u64)> {
        if wrong_image {
            Some((ErrorCode::WrongImage, 0, 0))
        } else if i.ctrl_err {
            let code = if i.ctrl_err_field { ErrorCode::BadDescriptor } else { ErrorCode::BadOpcode };
            Some((code, 0, u64::from(i.ctrl_err_off)))
        } else if i.read_err {
            Some((ErrorCode::ReadError, i.read_err_port, i.read_err_addr))
        } else if i.write_err {
            Some((ErrorCode::WriteError, i.write_err_port, i.write_err_addr))
        } else if i.bad {
            Some((ErrorCode::BadWeight, 0, u64::from(i.bad_word)))
        } else {
            None
        }
    }

    /// A write that would do nothing, in this state or for its value.
    fn refuses(&self, register: &Register, data: u32, running: bool) -> bool {
        let state = register.refused.iter().any(|state| match state {
            State::Busy => running,
            State::SoftReset => self.reset != Reset::Run,
        });
        state
            || match register.name {
                "DOORBELL" => DOORBELL_COUNT.get(data) == 0,
                "PT_ENTRY" => self.pt_index as usize >= self.p.pages,
                "PORT_BASE_LO" | "PORT_BASE_HI" => self.port_sel >= self.p.ports,
                _ => false,
            }
    }

    fn write_plain(&mut self, name: &str, data: u32) {
        match name {
            "DESC_PTR" => self.desc_ptr = data,
            "PT_INDEX" => self.pt_index = data,
            "PT_ENTRY" => (self.pt_entry, self.pt_slot, self.ptw, self.ptr) = (data, self.pt_index as u16, true, true),
            "IMG_HW_HASH_LO" => set_half(&mut self.img_hw, false, data),
            "IMG_HW_HASH_HI" => set_half(&mut self.img_hw, true, data),
            "IMG_NUM_HASH_LO" => set_half(&mut self.img_num, false, data),
            "IMG_NUM_HASH_HI" => set_half(&mut self.img_num, true, data),
            "PORT_BASE_LO" | "PORT_BASE_HI" => {
                if let Some(base) = self.base.get_mut(self.port_sel) {
                    set_half(base, name == "PORT_BASE_HI", data);
                }
            }
            "PORT_SEL" => self.port_sel = (data & 31) as usize,
            "IRQ_MASK" => self.irq_mask = data & IRQ_ALL,
            _ => {}
        }
    }
}

impl Block for Regs {
    type Params = Params;
    type In = In;
    type Out = Out;

    fn new(params: &Params, _power_up: PowerUp) -> Self {
        let p = params.ports;
        Regs {
            p: params.clone(),
            aw: None,
            w: None,
            b: None,
            r: None,
            reset: Reset::Run,
            desc_ptr: 0,
            pt_index: 0,
            pt_slot: 0,
            pt_entry: 0,
            img_hw: 0,
            img_num: 0,
            port_sel: 0,
            irq_status: 0,
            irq_mask: 0,
            go: false,
            go_count: 0,
            was_running: false,
            ptw: false,
            ptr: false,
            err: None,
            base: vec![0; p],
            counts: Default::default(),
            snapshot: Default::default(),
            beats: vec![0; p],
            beats_snapshot: vec![0; p],
        }
    }

    fn out(&self) -> Out {
        let resp = |err| if err { SLVERR } else { 0 };
        let mut base = Bits::zeros(64 * self.p.ports);
        for (i, &b) in self.base.iter().enumerate() {
            base.set(64 * i, 64, b);
        }
        Out {
            s_awready: self.aw.is_none(),
            s_wready: self.w.is_none(),
            s_bvalid: self.b.is_some(),
            s_bresp: resp(self.b.unwrap_or(false)),
            s_arready: self.r.is_none(),
            s_rvalid: self.r.is_some(),
            s_rdata: self.r.map_or(0, |r| r.0),
            s_rresp: resp(self.r.is_some_and(|r| r.1)),
            irq: self.irq_status & self.irq_mask != 0,
            core_rst: self.core_rst(),
            stop: self.reset != Reset::Run,
            base,
            go_valid: self.go,
            go_ptr: self.desc_ptr,
            go_count: self.go_count,
            ptw_valid: self.ptw,
            ptw_index: self.pt_slot,
            ptw_entry: self.pt_entry,
            ptr_valid: self.ptr,
            ptr_index: self.pt_slot,
            ptr_entry: self.pt_entry,
        }
    }

    fn step(&mut self, i: &In) {
        let running = i.busy || self.go;
        let clear = self.core_rst();
        // The write that acts in this cycle.
        let target = self.aw.and_then(register_at);
        let blocked = target.is_some_and(|r| r.name == "PT_ENTRY") && (self.ptw || self.ptr);
        let commit = self.aw.is_some() && self.w.is_some() && self.b.is_none() && !blocked;
        let (data, full) = self.w.unwrap_or((0, false));
        let acts = |r: &&Register| commit && full && r.access != Access::ReadOnly && !self.refuses(r, data, running);
        let wr = target.filter(acts).map(|r| r.name);
        let image_ok = self.img_hw == self.p.hw_hash && self.img_num == self.p.numerics_hash;
        let bell = wr == Some("DOORBELL");
        let error = self.new_error(bell && !image_ok, i);

        let next_r = if i.s_arvalid && self.r.is_none() {
            Some(self.read(i.s_araddr, running))
        } else if i.s_rready {
            None
        } else {
            self.r
        };
        if wr == Some("SNAPSHOT") {
            self.snapshot = self.counts;
            self.beats_snapshot.clone_from(&self.beats);
        }
        let saturations: u64 = [i.sat0, i.sat1, i.sat2, i.sat3, i.sat4].map(u64::from).iter().sum();
        let ones = [i.busy, i.array_busy, i.wait_w, i.wait_act, i.wait_out, i.attn_busy].map(u64::from);
        let adds = [ones[0], ones[1], ones[2], ones[3], ones[4], ones[5], saturations, u64::from(i.finished)];
        for (count, add) in self.counts.iter_mut().zip(adds) {
            *count = count.wrapping_add(add);
        }
        for (port, beats) in self.beats.iter_mut().enumerate() {
            *beats += u64::from(i.beats_inc >> port & 1);
        }

        // Interrupt before the new state of what it watches.
        let acked = if wr == Some("IRQ_STATUS") { data } else { 0 };
        let done = self.was_running && !running && !clear;
        let failed = error.is_some() && self.err.is_none() && !clear;
        self.irq_status = IRQ_STATUS_IDLE.put(done.into()) | IRQ_STATUS_ERROR.put(failed.into()) | (self.irq_status & !acked);
        self.was_running = running;
        self.err = if clear { None } else { self.err.or(error) };

        // Streams to the core.
        let (go, ptw, ptr) = (self.go && !i.go_ready, self.ptw && !i.ptw_ready, self.ptr && !i.ptr_ready);
        (self.go, self.ptw, self.ptr) = (go, ptw, ptr);
        if let Some(name) = wr {
            self.write_plain(name, data);
        }
        if bell && image_ok {
            (self.go, self.go_count) = (true, DOORBELL_COUNT.get(data) as u16);
        }
        if clear {
            (self.go, self.ptw, self.ptr) = (false, false, false);
        }

        self.reset = match self.reset {
            Reset::Run if wr == Some("CONTROL") && CONTROL_SOFT_RESET.get(data) == 1 => Reset::Drain,
            Reset::Drain if i.read_idle && i.write_idle => Reset::Core(1),
            Reset::Core(RESET_CYCLES) => Reset::Run,
            Reset::Core(n) => Reset::Core(n + 1),
            other => other,
        };
        let (next_aw, next_w) = (
            if i.s_awvalid && self.aw.is_none() { Some(i.s_awaddr) } else { self.aw.filter(|_| !commit) },
            if i.s_wvalid && self.w.is_none() { Some((i.s_wdata, i.s_wstrb == 15)) } else { self.w.filter(|_| !commit) },
        );
        self.b = if commit { Some(wr.is_none()) } else { self.b.filter(|_| !i.s_bready) };
        (self.aw, self.w, self.r) = (next_aw, next_w, next_r);
        if i.rst {
            *self = Self::new(&self.p.clone(), PowerUp::Zero);
        }
    }
}
