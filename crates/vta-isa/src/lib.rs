//! The design template and the instruction set of VTA.
