//! What the commands measure and how it is shown: results as serialisable structs, tables and plots.

pub mod accuracy;
<<<<<<< HEAD
pub mod context;
=======
pub mod area;
>>>>>>> 6a49d5a (tritforge synth; Icarus runs the bundle)
pub mod cycles;
pub mod gantt;
pub mod html;
pub mod sweep;
pub mod timeline;
pub mod wave;
