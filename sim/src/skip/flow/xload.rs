//! `xload`: super-words become groups, each for the norm and for the residual.

use super::{
    link::Link,
    net::{Net, process},
    norm::Norm,
    resid::Resid,
    times::Time,
};
use crate::skip::block::xload;

/// State.
#[derive(Clone)]
pub struct Xload {
    p: xload::Params,
    token: u8,
    group: u32,
    sub: u32,
    next: Time,
    /// Its own two buffers at its outputs.
    outputs: [Link<()>; 2],
}

impl Xload {
    pub fn new(p: xload::Params) -> Self {
        let link = || Link::new(process::XLOAD, process::XLOAD);
        Self { p, token: 0, group: 0, sub: 0, next: 0, outputs: [link(), link()] }
    }

    #[inline(never)]
    pub fn advance(&mut self, norm: &mut Norm, resid: &mut Resid, net: &mut Net) {
        loop {
            for (own, out) in self.outputs.iter_mut().zip([&mut net.x0, &mut net.xr]) {
                while out.room()
                    && let Some((from, ())) = own.head()
                {
                    let t = out.offer(from, (), &mut net.wake);
                    own.take(t, &mut net.wake);
                }
            }
            if !self.take(norm, resid, net) {
                return;
            }
        }
    }

    fn take(&mut self, norm: &mut Norm, resid: &mut Resid, net: &mut Net) -> bool {
        let (Some((command, cmd)), Some((word, ()))) = (net.xload_cmd.head(), net.x.head()) else { return false };
        let [a, b] = &mut self.outputs;
        if !a.room() || !b.room() {
            return false;
        }
        let at = command.max(word).max(self.next).max(a.open()).max(b.open());
        // Most often both consumers take it at once.
        let [to_norm, to_resid] = [hand(a, &net.x0, at), hand(b, &net.xr, at)];
        match to_norm.and_then(|(t, from)| Some((t, norm.x(false, from, net)?))) {
            Some((t, taken)) => {
                a.pass_one(at, t);
                net.x0.pass_one(t, taken);
            }
            None => _ = a.offer(at, (), &mut net.wake),
        }
        match to_resid.and_then(|(t, from)| Some((t, resid.x(from, net)?))) {
            Some((t, taken)) => {
                b.pass_one(at, t);
                net.xr.pass_one(t, taken);
            }
            None => _ = b.offer(at, (), &mut net.wake),
        }
        self.next = at + 1;
        let vector_last = self.group + 1 == self.p.groups;
        let word_last = vector_last || self.sub + 1 == self.p.per_word;
        self.sub = if word_last { 0 } else { self.sub + 1 };
        self.group = if vector_last { 0 } else { self.group + 1 };
        self.token += vector_last as u8;
        if word_last {
            net.x.take(at, &mut net.wake);
        }
        if self.token == cmd.n {
            self.token = 0;
            net.xload_cmd.take(at, &mut net.wake);
        }
        true
    }
}

/// When a word that comes into an empty buffer in cycle `at` moves on into another, empty too, and from when on it is there.
fn hand(own: &Link<()>, out: &Link<()>, at: Time) -> Option<(Time, Time)> {
    let t = (at + 1).max(own.after()).max(out.open());
    (own.is_empty() && out.is_empty()).then(|| (t, (t + 1).max(out.after())))
}
