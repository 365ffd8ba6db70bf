//! Backends that run the contract, and the drivers that talk to hardware.
