//! AXI4 memory ports as the blocks and the top carry them: `n` ports side by side in flat vectors, port 0 lowest.
//! One ID a port (no ID signals), INCR bursts of the full bus width; RREADY and BREADY are constant 1.

use super::{Dir, Port};
use crate::bits::clog2;

/// Bits of a super-word offset: of a segment, a page table entry, a descriptor.
pub const OFFSET_BITS: usize = 32;
/// Bits of a segment's length in super-words, to read and to write.
pub const READ_BEATS_BITS: usize = 32;
pub const WRITE_BEATS_BITS: usize = 16;
/// Bits of the destination that a read segment's words carry to `route`.
pub const DEST_BITS: usize = 2;
/// Field widths of a stream of segments to read {off, beats, dest}, and to write {off, beats}.
pub const READ_SEGMENT: &[usize] = &[OFFSET_BITS, READ_BEATS_BITS, DEST_BITS];
pub const WRITE_SEGMENT: &[usize] = &[OFFSET_BITS, WRITE_BEATS_BITS];

/// Bytes that no burst may cross a multiple of (AXI4 A3.4.1).
pub const BOUNDARY: u64 = 4096;
/// AxBURST of an incrementing burst.
pub const INCR: u64 = 1;
/// xRESP of a transfer that went well.
pub const OKAY: u8 = 0;
/// xRESP of a transfer that the slave failed. Bit 1 marks an error.
pub const SLVERR: u8 = 2;

/// A port with work moves something at least once in this many cycles (a segment, a burst's address, a beat in or out, a response), when
/// no peer is late for more than `wait` cycles on end and `stop` is low (to read: each class of its own, whatever the other's sink does): the wait, the movement, a segment from skid to burst register to
/// address register. Proven for a `wait` of 1 and 3 (docs/formal.md).
pub const fn progress_bound(wait: u64) -> u64 {
    wait + 1 + 3
}

/// `axi_read` (each class of its own) and `axi_write` with a segment move something at least once in this many cycles, when no port, client
/// or sink is late for more than `wait` cycles on end. Proven for any `wait` (docs/formal.md).
pub const fn join_bound(wait: u64) -> u64 {
    wait + 1
}

/// AxSIZE of a beat of `port_bits` bits.
pub const fn size(port_bits: usize) -> u64 {
    clog2(port_bits / 8) as u64
}

/// `value` in `width` bits for each of `n` ports (AxSIZE and AxBURST of all ports).
pub fn repeat(n: usize, width: usize, value: u64) -> crate::bits::Bits {
    crate::bits::Bits::pack(width, &vec![value; n])
}

/// AR of `n` ports, without AxSIZE and AxBURST.
fn ar(n: usize) -> Vec<Port> {
    vec![
        Port::level_out("m_arvalid", n),
        Port::level_in("m_arready", n),
        Port::lanes("m_araddr", Dir::Out, 64 * n, "m_arvalid"),
        Port::lanes("m_arlen", Dir::Out, 8 * n, "m_arvalid"),
    ]
}

fn r_payload(n: usize, port_bits: usize) -> Vec<Port> {
    vec![
        Port::lanes("m_rdata", Dir::In, n * port_bits, "m_rvalid"),
        Port::lanes("m_rresp", Dir::In, 2 * n, "m_rvalid"),
        Port::lanes("m_rlast", Dir::In, n, "m_rvalid"),
    ]
}

/// AR and R of `n` ports as the top has them.
pub fn read_ports(n: usize, port_bits: usize) -> Vec<Port> {
    let mut ports = ar(n);
    ports.push(Port::level_out("m_arsize", 3 * n));
    ports.push(Port::level_out("m_arburst", 2 * n));
    ports.push(Port::level_in("m_rvalid", n));
    ports.push(Port::level_out("m_rready", n));
    ports.extend(r_payload(n, port_bits));
    ports
}

/// AR and R of one port inside the core: what is constant is left out.
pub fn read_port(port_bits: usize) -> Vec<Port> {
    let mut ports = ar(1);
    ports.push(Port::level_in("m_rvalid", 1));
    ports.extend(r_payload(1, port_bits));
    ports
}

fn aw(n: usize) -> Vec<Port> {
    vec![
        Port::level_out("m_awvalid", n),
        Port::level_in("m_awready", n),
        Port::lanes("m_awaddr", Dir::Out, 64 * n, "m_awvalid"),
        Port::lanes("m_awlen", Dir::Out, 8 * n, "m_awvalid"),
    ]
}

fn w(n: usize, port_bits: usize) -> Vec<Port> {
    vec![
        Port::level_out("m_wvalid", n),
        Port::level_in("m_wready", n),
        Port::lanes("m_wdata", Dir::Out, n * port_bits, "m_wvalid"),
        Port::lanes("m_wstrb", Dir::Out, n * port_bits / 8, "m_wvalid"),
        Port::lanes("m_wlast", Dir::Out, n, "m_wvalid"),
    ]
}

/// AW, W and B of `n` ports as the top has them.
pub fn write_ports(n: usize, port_bits: usize) -> Vec<Port> {
    let mut ports = aw(n);
    ports.push(Port::level_out("m_awsize", 3 * n));
    ports.push(Port::level_out("m_awburst", 2 * n));
    ports.extend(w(n, port_bits));
    ports.push(Port::level_in("m_bvalid", n));
    ports.push(Port::level_out("m_bready", n));
    ports.push(Port::lanes("m_bresp", Dir::In, 2 * n, "m_bvalid"));
    ports
}

/// AW, W and B of one port inside the core: what is constant is left out.
pub fn write_port(port_bits: usize) -> Vec<Port> {
    let mut ports = aw(1);
    ports.extend(w(1, port_bits));
    ports.push(Port::level_in("m_bvalid", 1));
    ports.push(Port::lanes("m_bresp", Dir::In, 2, "m_bvalid"));
    ports
}
