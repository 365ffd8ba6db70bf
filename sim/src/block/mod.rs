//! One file a block, the stem of its contract and of its Verilog.

pub mod ctrl;
pub mod fifo;
pub mod headq;
pub mod ram_sdp;
pub mod regs;
pub mod rope;
pub mod skid;
pub mod softmax;
pub mod tmac;
pub mod unpack;
