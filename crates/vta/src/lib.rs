//! The command line and its library.
