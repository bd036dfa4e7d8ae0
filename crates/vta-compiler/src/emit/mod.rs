//! From the end form of a loop nest to instructions.

pub mod dma;
pub mod fold;
mod linear;
mod overwrite;
mod preset;
mod rotate;
mod walk;

pub use fold::Folded;
pub use preset::Contents;
pub use rotate::Rotation;
pub use walk::{Command, EmitError, End, Places, walk};
