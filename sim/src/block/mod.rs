//! One file a block, the stem of its contract and of its Verilog.

pub mod attn;
pub mod attn_out;
pub mod axi_burst;
pub mod axi_read;
pub mod axi_read_port;
pub mod axi_write;
pub mod axi_write_port;
pub mod ctrl;
pub mod fifo;
pub mod headq;
pub mod kvwrite;
pub mod norm;
pub mod ram_sdp;
pub mod regs;
pub mod resid;
pub mod rhe_div;
pub mod rope;
pub mod route;
pub mod scale_mul;
pub mod scale_norm;
pub mod skid;
pub mod softmax;
pub mod tmac;
pub mod unpack;
pub mod xload;
pub mod xstore;
