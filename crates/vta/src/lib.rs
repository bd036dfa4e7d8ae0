//! VTA as a library: what the command line and the Python module both do.
//!
//! For: going from files and names that a user gives to designs, networks and results, with
//! errors that say what to do. Not for: arguments, tables and progress bars, which belong to the
//! command line, nor any algorithm, which belongs to the crate that it is named after.
//!
//! The way is [`Model`] (from ONNX), [`Recipe`] and [`Samples`] (from raw data to inputs),
//! [`compile`], [`Module`] (a program that runs), [`evaluate`].

mod build;
mod causes;
mod design;
mod device;
pub mod digits;
pub mod dump;
mod error;
mod evaluate;
mod experiment;
mod fault;
mod file;
pub mod fuzz;
mod labels;
mod model;
mod module;
mod npy;
mod own_graph;
mod photo;
mod profile;
mod progress;
mod quantize;
mod recipe;
mod samples;
mod schedule;
pub mod score;
mod table;
pub mod timeline;

pub use build::{Built, Calibration, Options, compile, compile_watched};
pub use design::design;
pub use device::{DeviceKind, Devices, hardware};
pub use error::{Error, Kind, Result};
pub use evaluate::{Evaluation, Judge, Judgement, evaluate};
pub use experiment::{Configuration, Experiment, Pair};
pub use file::{read, read_records, read_text, try_write, write};
pub use labels::{parse_labels, read_labels};
pub use model::Model;
pub use module::{Module, to_bytes};
pub use npy::parse_npy;
pub use own_graph::{Inexact, OwnGraph};
pub use photo::parse_image;
pub use profile::{Arranged, Body, Layer, Operator, Profile, Spent, Total};
pub use progress::Progress;
pub use quantize::{parse_ranges, quant_report, quantize};
pub use recipe::Recipe;
pub use samples::Samples;
pub use schedule::{Trial, Tried};
pub use vta_compiler::{CompileOptions, Offload};
pub use vta_program::Preprocess;
