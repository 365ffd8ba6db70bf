//! The contract: everything the cycle model, the Verilog and the hosts must agree on. No I/O, no clocks.
<<<<<<< HEAD

pub mod config;
pub mod hw;
=======
>>>>>>> 694d3a2 (GGUF reader, ternary weights, model shape, SentencePiece tokenizer, text files)
