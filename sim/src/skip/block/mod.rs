//! Timing blocks: what the blocks of the same names do in time, without their data.

pub mod attn;
pub mod attn_out;
mod axi_burst;
pub mod axi_read;
pub mod axi_write;
pub mod ctrl;
pub mod headq;
pub mod kvread;
pub mod kvwrite;
pub mod norm;
pub mod resid;
pub mod rope;
pub mod route;
pub mod softmax;
pub mod tmac;
pub mod unpack;
pub mod xload;
pub mod xstore;
