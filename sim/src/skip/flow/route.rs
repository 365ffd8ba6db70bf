//! `route_w` and `route_a`: words from memory go where their segment's dest says.

use super::{kvread::KvRead, link::Link, net::Net, norm::Norm, read::Side, resid::Resid, times::Time, xload::Xload};
use crate::skip::outside::Asked;
use tritforge_spec::block::ctrl::{aux_dest, weight_dest};

/// Gains go all the way into the norm, where it takes them at once.
pub fn gains(from: &mut Side, norm: &mut Norm, net: &mut Net) {
    while net.route_w.is_empty()
        && net.gain.is_empty()
        && let Some((arrived, offered, weight_dest::GAIN)) = from.run()
        && arrived > 0
    {
        let (arrival, run) = from.arrival();
        let t = offered.max(arrival).max(net.route_w.open());
        let moved = (t + 1).max(net.route_w.after()).max(net.gain.open());
        let there = (moved + 1).max(net.gain.after());
        // Where the first waits for nothing, those that come behind it a cycle after each other do not either.
        let still = (moved, there) == (t + 1, t + 2) && net.gain.log.is_none();
        let n = if still { norm.gains(there, run.min(arrived), net) } else { 0 };
        if n > 1 {
            let k = n as Time;
            net.route_w.pass_run(n, t, (t + k, [t + k, t + k + 1]));
            net.gain.pass_run(n, moved, (moved + k, [moved + k, moved + k + 1]));
            from.left.push_run(t, n);
            from.passed(n, t + k - 1, &mut net.wake);
            continue;
        }
        let Some(taken) = norm.gain(there, net) else { return };
        net.route_w.pass_one(t, moved);
        net.gain.pass_one(moved, taken);
        from.moved(t, &mut net.wake);
    }
}

/// Words of weights go where their segment's dest says; whether any did.
pub fn weights(net: &mut Net) -> bool {
    let mut moved = false;
    while let Some((from, dest)) = net.route_w.head() {
        let link = match dest {
            weight_dest::CONST => &mut net.consts,
            weight_dest::GAIN => &mut net.gain,
            _ => &mut net.packed,
        };
        if !link.room() {
            return moved;
        }
        let t = link.offer(from, (), &mut net.wake);
        net.route_w.take(t, &mut net.wake);
        moved = true;
    }
    moved
}

/// The auxiliary stream and `route_a`.
#[inline(never)]
pub fn aux(side: &mut Side, kvread: &mut KvRead, (xload, resid): (&mut Xload, &mut Resid), net: &mut Net, outside: &mut Asked) {
    loop {
        let mut moved = false;
        // Most often KV words go on at once.
        while net.route_a.is_empty()
            && net.kv_in.is_empty()
            && let Some((arrived, offered, aux_dest::KV)) = side.run()
            && arrived > 0
            && kvread.takes(net, outside)
            && kvread.stream(side, arrived, offered, net)
        {
            moved = true;
        }
        while net.route_a.room()
            && let Some((from, dest)) = side.word()
        {
            if dest == aux_dest::X && !net.x.room() {
                xload.advance(&mut kvread.attn.attn_out.norm, resid, net);
            }
            let t = if net.route_a.is_empty() && out(net, dest).room() {
                // It goes on at once.
                let t = from.max(net.route_a.open());
                let on = (t + 1).max(net.route_a.after());
                let mut wake = net.wake;
                let on = out(net, dest).offer(on, (), &mut wake);
                net.wake = wake;
                net.route_a.pass_one(t, on);
                t
            } else {
                net.route_a.offer(from, dest, &mut net.wake)
            };
            side.moved(t, &mut net.wake);
            moved = true;
        }
        while let Some((from, dest)) = net.route_a.head() {
            let mut wake = net.wake;
            let link = out(net, dest);
            if !link.room() {
                break;
            }
            let t = link.offer(from, (), &mut wake);
            net.wake = wake;
            net.route_a.take(t, &mut net.wake);
            moved = true;
        }
        if !moved {
            return;
        }
    }
}

/// Where `route_a` sends a word.
#[inline(always)]
fn out(net: &mut Net, dest: u8) -> &mut Link<()> {
    match dest {
        aux_dest::DESCRIPTOR => &mut net.desc,
        aux_dest::X => &mut net.x,
        _ => &mut net.kv_in,
    }
}
