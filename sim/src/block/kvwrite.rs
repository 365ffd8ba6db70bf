//! `kvwrite`: cycle model.

use crate::{
    block::skid::Skid,
    clocked::{Block, PowerUp},
    ports,
};
use tritforge_spec::{
    bits::Bits,
    block::kvwrite::{Params, SCALE_WORD},
    hw::KV_BLOCK,
};

ports! {
    /// Inputs of `kvwrite`.
    pub struct In {
        rst: bool, cmd_valid: bool, cmd_layer: u32, cmd_slot: u32, cmd_pos: u32, cmd_n: u32,
        kv_valid: bool, kv_kind: u32, kv_head: u32, kv_token: u32, kv_index: u32, kv_last: bool, kv_scale: u32, kv_data: Bits,
        pt_valid: bool, pt_index: u32, pt_entry: u32, pb_ready: bool, wseg_ready: bool, wd_ready: bool,
    }
    /// Outputs of `kvwrite`.
    pub struct Out {
        cmd_ready: bool, kv_ready: bool, pt_ready: bool,
        pb_valid: bool, pb_kind: u32, pb_head: u32, pb_token: u32, pb_word: u32, pb_data: Bits,
        wseg_valid: bool, wseg_off: u32, wseg_beats: u32, wd_valid: bool, wd_data: Bits, wd_strb: Bits,
        idle: bool,
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Command {
    layer: u32,
    slot: u32,
    pos: u32,
    n: u32,
}

#[derive(Clone, Debug, Default)]
struct Beat {
    kind: u32,
    head: u32,
    token: u32,
    index: u32,
    last: bool,
    scale: u32,
    data: Bits,
}

/// The command under way and the vectors still to come.
#[derive(Clone, Copy, Debug)]
struct Pass {
    command: Command,
    left: usize,
}

/// A super-word and what it is.
#[derive(Clone, Debug, Default)]
struct Word {
    kind: u32,
    head: u32,
    token: u32,
    word: u32,
    data: Bits,
    strobe: Bits,
}

/// A vector's way to its two segments: cycles of computation left, then what is offered.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Address {
    Free,
    /// Place, page read, sum, offsets: cycles left.
    Computing(u32),
    Vector,
    Scale,
}

/// Cycles of `Address::Computing`, and how many are left in the one that reads the page.
const COMPUTING: u32 = 4;
const PAGE_READ: u32 = 3;

/// Writer of K and V vectors.
pub struct KvWrite {
    params: Params,
    cmd: Skid<Command>,
    kv: Skid<Beat>,
    pt: Skid<(u32, u32)>,
    pages: Vec<u32>,
    pass: Option<Pass>,
    /// The word in the making, its next group of codes, and whether it is full.
    making: Word,
    group: usize,
    full: bool,
    /// Number of the next word of the vector.
    word: u32,
    /// The next cycle takes the scale of the vector that has ended.
    scale_turn: Option<u32>,
    output: Word,
    pb: bool,
    wd: bool,
    address: Address,
    /// Kind, head and token of the vector whose address is computed.
    vector: (u32, u32, u32),
    /// Offsets of its two segments.
    offsets: (u32, u32),
}

impl KvWrite {
    /// Offsets of the vector and of its scale's super-word.
    fn offsets(&self, command: &Command) -> (u32, u32) {
        let shape = &self.params.kv;
        let (kind, head, token) = self.vector;
        let pos = (command.pos + token) as usize;
        let index = command.slot as usize * shape.pages_per_slot() + pos / KV_BLOCK;
        let page = self.pages.get(index).copied().unwrap_or_default();
        let block = page.wrapping_add(shape.block_at(command.layer as usize, head as usize) as u32);
        let (kind, i) = (kind as usize, pos % KV_BLOCK);
        (block.wrapping_add(shape.vector_at(kind, i) as u32), block.wrapping_add(shape.scale_at(kind, i).0 as u32))
    }

    /// A beat goes to its group; the first one of a word clears the others.
    fn assemble(&mut self, beat: &Beat) -> bool {
        let shape = &self.params.kv;
        let (vec, bits) = (shape.vec, shape.kv_bits);
        if self.group == 0 {
            self.making.data = Bits::zeros(shape.word_bits);
            self.making.strobe = Bits::from_words(shape.word_bits / 8, &[u64::MAX; 8]);
        }
        for v in 0..vec {
            self.making.data.set((self.group * vec + v) * bits, bits, beat.data.get(8 * v, bits));
        }
        (self.making.kind, self.making.head, self.making.token, self.making.word) = (beat.kind, beat.head, beat.token, self.word);
        let complete = beat.last || self.group + 1 == shape.codes_per_word() / vec;
        self.group = if complete { 0 } else { self.group + 1 };
        if complete {
            self.word = if beat.last { 0 } else { self.word + 1 };
        }
        complete
    }

    /// The word of a scale: in every lane, with the strobes of its own.
    fn scale_word(&mut self, scale: u32, pos: u32) {
        let shape = &self.params.kv;
        let lanes = shape.scales_per_word();
        let i = (pos + self.making.token) as usize % KV_BLOCK;
        let (_, lane) = shape.scale_at(self.making.kind as usize, i);
        self.making.word = SCALE_WORD;
        self.making.data = Bits::pack(32, &vec![u64::from(scale); lanes]);
        self.making.strobe = Bits::zeros(4 * lanes);
        self.making.strobe.set(4 * lane, 4, 0xf);
    }
}

impl Block for KvWrite {
    type Params = Params;
    type In = In;
    type Out = Out;

    fn new(params: &Params, _power_up: PowerUp) -> Self {
        Self {
            params: params.clone(),
            cmd: Skid::new(),
            kv: Skid::new(),
            pt: Skid::new(),
            pages: vec![0; params.kv.pages()],
            pass: None,
            making: Word::default(),
            group: 0,
            full: false,
            word: 0,
            scale_turn: None,
            output: Word::default(),
            pb: false,
            wd: false,
            address: Address::Free,
            vector: (0, 0, 0),
            offsets: (0, 0),
        }
    }

    fn out(&self) -> Out {
        let o = &self.output;
        let segment = match self.address {
            Address::Vector => Some((self.offsets.0, self.params.kv.vector_words() as u32)),
            Address::Scale => Some((self.offsets.1, 1)),
            _ => None,
        };
        let (wseg_off, wseg_beats) = segment.unwrap_or_default();
        Out {
            cmd_ready: self.cmd.ready(),
            kv_ready: self.kv.ready(),
            pt_ready: self.pt.ready(),
            pb_valid: self.pb,
            pb_kind: o.kind,
            pb_head: o.head,
            pb_token: o.token,
            pb_word: o.word,
            pb_data: if self.pb { o.data.clone() } else { Bits::default() },
            wseg_valid: segment.is_some(),
            wseg_off,
            wseg_beats,
            wd_valid: self.wd,
            wd_data: if self.wd { o.data.clone() } else { Bits::default() },
            wd_strb: if self.wd { o.strobe.clone() } else { Bits::default() },
            idle: self.pass.is_none() && !self.cmd.valid() && !self.kv.valid(),
        }
    }

    fn step(&mut self, i: &In) {
        let drained = !self.full && self.scale_turn.is_none() && !self.pb && !self.wd && self.address == Address::Free;
        let done = drained && self.pass.is_some_and(|p| p.left == 0);
        let moves = self.full && (!self.pb || i.pb_ready) && (!self.wd || i.wd_ready);
        let room = !self.full || moves;
        let open = self.pass.is_some_and(|p| p.left != 0) && room && self.scale_turn.is_none();
        let beat = self.kv.peek().filter(|b| open && (b.index != 0 || self.address == Address::Free)).cloned();
        // Output register.
        if moves {
            self.output = self.making.clone();
        }
        self.pb = moves || self.pb && !i.pb_ready;
        self.wd = moves || self.wd && !i.wd_ready;
        // Addresses.
        if let (Address::Computing(PAGE_READ), Some(pass)) = (self.address, &self.pass) {
            self.offsets = self.offsets(&pass.command);
        }
        self.address = match self.address {
            Address::Free if beat.as_ref().is_some_and(|b| b.index == 0) => Address::Computing(COMPUTING),
            Address::Computing(1) => Address::Vector,
            Address::Computing(n) => Address::Computing(n - 1),
            Address::Vector if i.wseg_ready => Address::Scale,
            Address::Scale if i.wseg_ready => Address::Free,
            other => other,
        };
        // Assembly.
        let mut next = self.pass;
        let mut complete = false;
        if let Some(beat) = &beat {
            if beat.index == 0 {
                self.vector = (beat.kind, beat.head, beat.token);
            }
            complete = self.assemble(beat);
            if beat.last {
                self.scale_turn = Some(beat.scale);
                next.iter_mut().for_each(|p| p.left -= 1);
            }
        } else if room && let (Some(scale), Some(pass)) = (self.scale_turn.take(), self.pass) {
            self.scale_word(scale, pass.command.pos);
            complete = true;
        }
        if room {
            self.full = complete;
        }
        if done {
            next = None;
        }
        if self.pass.is_none() {
            next = self.cmd.peek().map(|&command| Pass { command, left: 2 * self.params.kv.kv_heads * command.n as usize });
            (self.group, self.word) = (0, 0);
        }
        if let Some(&(index, entry)) = self.pt.peek()
            && let Some(page) = self.pages.get_mut(index as usize)
        {
            *page = entry;
        }
        let take_cmd = self.pass.is_none();
        self.pass = next;
        let command = || Command { layer: i.cmd_layer, slot: i.cmd_slot, pos: i.cmd_pos, n: i.cmd_n };
        self.cmd.step(i.rst, i.cmd_valid, command, take_cmd);
        let word = || Beat {
            kind: i.kv_kind,
            head: i.kv_head,
            token: i.kv_token,
            index: i.kv_index,
            last: i.kv_last,
            scale: i.kv_scale,
            data: i.kv_data.clone(),
        };
        self.kv.step(i.rst, i.kv_valid, word, beat.is_some());
        self.pt.step(i.rst, i.pt_valid, || (i.pt_index, i.pt_entry), true);
        if i.rst {
            self.pass = None;
            self.full = false;
            self.scale_turn = None;
            (self.pb, self.wd) = (false, false);
            self.address = Address::Free;
        }
    }
}
