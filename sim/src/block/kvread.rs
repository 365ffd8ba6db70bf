//! `kvread`: cycle model.

use crate::{
    block::skid::Skid,
    clocked::{Block, PowerUp},
    ports,
};
use tritforge_spec::{
    bits::Bits,
    block::{
        attn::{HEADER_FIRST, HEADER_LAST, KIND_HEADER, KIND_K, KIND_SCALES, KIND_V},
        ctrl::aux_dest,
        kvread::Params,
        kvwrite::SCALE_WORD,
    },
    hw::KV_BLOCK,
};

ports! {
    /// Inputs of `kvread`.
    pub struct In {
        rst: bool, cmd_valid: bool, cmd_layer: u32, cmd_slot: u32, cmd_pos: u32, cmd_n: u32,
        pb_valid: bool, pb_kind: u32, pb_head: u32, pb_token: u32, pb_word: u32, pb_data: Bits,
        in_valid: bool, in_data: Bits, pt_valid: bool, pt_index: u32, pt_entry: u32, kseg_ready: bool, kv_ready: bool,
    }
    /// Outputs of `kvread`.
    pub struct Out {
        cmd_ready: bool, pb_ready: bool, in_ready: bool, pt_ready: bool,
        kseg_valid: bool, kseg_off: u32, kseg_beats: u32, kseg_dest: u8, kv_valid: bool, kv_kind: u8, kv_data: Bits,
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Command {
    layer: u32,
    slot: u32,
    pos: u32,
    n: u32,
}

impl Command {
    /// Blocks of a head that lie in memory.
    fn blocks(&self) -> usize {
        (self.pos as usize).div_ceil(KV_BLOCK)
    }

    /// Positions of memory block `b`.
    fn positions(&self, b: usize) -> usize {
        (self.pos as usize - b * KV_BLOCK).min(KV_BLOCK)
    }
}

/// A word of a vector, or its scale.
#[derive(Clone, Debug, Default)]
struct PassWord {
    kind: u32,
    head: u32,
    token: u32,
    word: u32,
    data: Bits,
}

/// A block of the pass: token, KV head, number.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Place {
    token: usize,
    head: usize,
    block: usize,
}

impl Place {
    /// The place after this one, where a head has `blocks` of them and a pass `heads` and `n` tokens.
    fn next(mut self, blocks: usize, heads: usize, n: u32) -> Option<Self> {
        self.block += 1;
        if self.block == blocks {
            (self.block, self.head) = (0, self.head + 1);
        }
        if self.head == heads {
            (self.head, self.token) = (0, self.token + 1);
        }
        (self.token < n as usize).then_some(self)
    }
}

/// What the segment side does for its block.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Segment {
    Page,
    Sum,
    First,
    Second,
}

/// The command under way.
#[derive(Clone, Copy, Debug)]
struct Pass {
    command: Command,
    /// Scales that have not come on `pb`.
    missing: usize,
    segment: Option<(Place, Segment)>,
    out: Place,
    /// Part of the block: a value of `kv_kind`; words of it that have been issued.
    part: u8,
    word: usize,
}

/// Reader of KV blocks.
pub struct KvRead {
    params: Params,
    cmd: Skid<Command>,
    pb: Skid<PassWord>,
    input: Skid<Bits>,
    pt: Skid<(u32, u32)>,
    pages: Vec<u32>,
    pass: Option<Pass>,
    /// The page entry read, and the offset of the segment offered.
    entry: u32,
    offset: u32,
    /// Words on their way into the pass buffer.
    writes: [Option<PassWord>; 2],
    /// Words by (kind, head, token, word); scales by (kind, head, token).
    vectors: Vec<Bits>,
    scales: Vec<u32>,
    output: Option<(u8, Bits)>,
}

impl KvRead {
    fn vector_index(&self, kind: usize, head: usize, token: usize) -> usize {
        let k = &self.params.kv;
        ((kind * k.kv_heads + head) * k.batch + token) * k.vector_words()
    }

    fn scale_index(&self, kind: usize, head: usize, token: usize) -> usize {
        (kind * self.params.kv.kv_heads + head) * KV_BLOCK + token
    }

    fn store(&mut self, w: &PassWord) {
        let (kind, head, token) = (w.kind as usize, w.head as usize, w.token as usize);
        if w.word == SCALE_WORD {
            let at = self.scale_index(kind, head, token);
            self.scales[at] = w.data.get(0, 32) as u32;
        } else {
            let at = self.vector_index(kind, head, token) + w.word as usize;
            self.vectors[at] = w.data.clone();
        }
    }

    /// Segment offered for `place`: super-words of it.
    fn beats(&self, command: &Command, place: &Place, segment: Segment) -> u32 {
        let k = &self.params.kv;
        let words = command.positions(place.block) * k.vector_words();
        (match (segment, command.positions(place.block) == KV_BLOCK) {
            (Segment::Second, _) => words,
            (_, true) => k.block_words(),
            (_, false) => k.scale_words() + words,
        }) as u32
    }

    /// The segment side after this cycle.
    fn segments(&mut self, pass: &Pass, ready: bool) -> Option<(Place, Segment)> {
        let (place, segment) = pass.segment?;
        let (k, command) = (&self.params.kv, &pass.command);
        let full = command.positions(place.block) == KV_BLOCK;
        let following = || place.next(command.blocks(), k.kv_heads, command.n).map(|p| (p, Segment::Page));
        match segment {
            Segment::Page => {
                let index = command.slot as usize * k.pages_per_slot() + place.block;
                self.entry = self.pages.get(index).copied().unwrap_or_default();
                Some((place, Segment::Sum))
            }
            Segment::Sum => {
                self.offset = self.entry.wrapping_add(k.block_at(command.layer as usize, place.head) as u32);
                Some((place, Segment::First))
            }
            Segment::First if ready && !full => {
                self.offset = self.offset.wrapping_add(k.vector_at(1, 0) as u32);
                Some((place, Segment::Second))
            }
            Segment::First | Segment::Second if ready => following(),
            waiting => Some((place, waiting)),
        }
    }

    /// A word of scales of the block of tokens 0..=t.
    fn scale_word(&self, head: usize, token: usize, word: usize) -> Bits {
        let lanes = self.params.kv.scales_per_word();
        let scale = |lane| {
            let number = word * lanes + lane;
            let (kind, i) = (number / KV_BLOCK, number % KV_BLOCK);
            if kind < 2 && i <= token { u64::from(self.scales[self.scale_index(kind, head, i)]) } else { 0 }
        };
        Bits::pack(32, &(0..lanes).map(scale).collect::<Vec<_>>())
    }

    /// The word that `pass` issues next, if its data are there; whether it comes from `in`.
    fn issue(&self, pass: &Pass) -> Option<(Bits, bool)> {
        let Place { token, head, block } = pass.out;
        let memory = block != pass.command.blocks();
        let complete = pass.missing == 0 && self.writes.iter().all(Option::is_none);
        if !memory && !complete {
            return None;
        }
        let buffered = |kind| self.vectors[self.vector_index(kind, head, 0) + pass.word].clone();
        match pass.part {
            KIND_HEADER => {
                let positions = if memory { pass.command.positions(block) } else { token + 1 } as u64;
                let flags = if block == 0 { HEADER_FIRST } else { 0 } | if memory { 0 } else { HEADER_LAST };
                Some((Bits::from_u64(self.params.kv.word_bits, positions | flags), false))
            }
            _ if memory => self.input.peek().map(|w| (w.clone(), true)),
            KIND_SCALES => Some((self.scale_word(head, token, pass.word), false)),
            KIND_K => Some((buffered(0), false)),
            _ => Some((buffered(1), false)),
        }
    }

    /// Counts one issued word; false when it was the last of the pass.
    fn advance(&self, pass: &mut Pass) -> bool {
        let k = &self.params.kv;
        let blocks = pass.command.blocks();
        let positions = if pass.out.block == blocks { pass.out.token + 1 } else { pass.command.positions(pass.out.block) };
        let words = match pass.part {
            KIND_HEADER => 1,
            KIND_SCALES => k.scale_words(),
            _ => positions * k.vector_words(),
        };
        pass.word += 1;
        if pass.word < words {
            return true;
        }
        pass.word = 0;
        if pass.part != KIND_V {
            pass.part += 1;
            return true;
        }
        pass.part = KIND_HEADER;
        let next = pass.out.next(blocks + 1, k.kv_heads, pass.command.n);
        pass.out = next.unwrap_or_default();
        next.is_some()
    }
}

impl Block for KvRead {
    type Params = Params;
    type In = In;
    type Out = Out;

    fn new(params: &Params, _power_up: PowerUp) -> Self {
        let k = &params.kv;
        let tokens = 1usize << k.token_bits();
        Self {
            params: params.clone(),
            cmd: Skid::new(),
            pb: Skid::new(),
            input: Skid::new(),
            pt: Skid::new(),
            pages: vec![0; k.pages()],
            pass: None,
            entry: 0,
            offset: 0,
            writes: [None, None],
            vectors: vec![Bits::zeros(k.word_bits); 2 * k.kv_heads * tokens * k.vector_words()],
            scales: vec![0; 2 * k.kv_heads * KV_BLOCK],
            output: None,
        }
    }

    fn out(&self) -> Out {
        let offered = self.pass.and_then(|p| Some((p, p.segment?)));
        let offered = offered.filter(|(_, (_, s))| matches!(s, Segment::First | Segment::Second));
        let (kv_kind, kv_data) = self.output.clone().unwrap_or_default();
        Out {
            cmd_ready: self.cmd.ready(),
            pb_ready: self.pb.ready(),
            in_ready: self.input.ready(),
            pt_ready: self.pt.ready(),
            kseg_valid: offered.is_some(),
            kseg_off: self.offset,
            kseg_beats: offered.map_or(0, |(pass, (place, segment))| self.beats(&pass.command, &place, segment)),
            kseg_dest: aux_dest::KV,
            kv_valid: self.output.is_some(),
            kv_kind,
            kv_data,
        }
    }

    fn step(&mut self, i: &In) {
        let mut next = self.pass;
        let enable = self.output.is_none() || i.kv_ready;
        let issued = self.pass.filter(|_| enable).and_then(|p| self.issue(&p));
        let take_input = issued.as_ref().is_some_and(|(_, from_input)| *from_input);
        let take_pass = self.pass.is_some_and(|p| p.missing != 0);
        let arrived = self.pb.peek().filter(|_| take_pass).cloned();
        if let Some(pass) = &mut next {
            pass.segment = self.segments(pass, i.kseg_ready);
            pass.missing -= arrived.as_ref().is_some_and(|w| w.word == SCALE_WORD) as usize;
        }
        let part = self.pass.map(|p| p.part).unwrap_or_default();
        let mut finished = false;
        if let (Some(_), Some(pass)) = (&issued, &mut next) {
            finished = !self.advance(pass);
        }
        if enable {
            self.output = issued.map(|(data, _)| (part, data));
        }
        let [first, second] = std::mem::take(&mut self.writes);
        if let Some(w) = &second {
            self.store(w);
        }
        self.writes = [arrived, first];
        let take_cmd = self.pass.is_none() || finished;
        if take_cmd {
            let missing = |c: &Command| 2 * self.params.kv.kv_heads * c.n as usize;
            let segment = |c: &Command| (c.pos != 0).then_some((Place::default(), Segment::Page));
            next = self.cmd.peek().map(|c| Pass {
                command: *c,
                missing: missing(c),
                segment: segment(c),
                out: Place::default(),
                part: KIND_HEADER,
                word: 0,
            });
        }
        if let Some(&(index, entry)) = self.pt.peek()
            && let Some(page) = self.pages.get_mut(index as usize)
        {
            *page = entry;
        }
        self.pass = next;
        let command = || Command { layer: i.cmd_layer, slot: i.cmd_slot, pos: i.cmd_pos, n: i.cmd_n };
        self.cmd.step(i.rst, i.cmd_valid, command, take_cmd);
        let word = || PassWord { kind: i.pb_kind, head: i.pb_head, token: i.pb_token, word: i.pb_word, data: i.pb_data.clone() };
        self.pb.step(i.rst, i.pb_valid, word, take_pass);
        self.input.step(i.rst, i.in_valid, || i.in_data.clone(), take_input);
        self.pt.step(i.rst, i.pt_valid, || (i.pt_index, i.pt_entry), true);
        if i.rst {
            self.pass = None;
            self.writes = [None, None];
            self.output = None;
        }
    }
}
