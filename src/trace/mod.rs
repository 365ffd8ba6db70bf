//! What an execution of a model computed, stage by stage: docs/trace.md. In: any path of ours ([`record`]), or a file ([`file`]). Out: a
//! [`Trace`]: tokens, and the tensors of all stages that the execution shows, in f64 whatever they were stored in.

pub mod file;
mod hardware;
mod integer;
pub mod path;
mod record;
mod types;

pub use integer::probabilities;
pub use path::{Loaded, Runner};
pub use record::Recorder;
pub use types::{About, Codes, Number, Tensor, Trace};
