//! What the commands measure and how it is shown: results as serialisable structs, tables and plots.

pub mod accuracy;
pub mod area;
pub mod context;
pub mod cycles;
pub mod gantt;
pub mod html;
pub mod sweep;
pub mod timeline;
pub mod wave;
