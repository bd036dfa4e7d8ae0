//! Functional simulator and stream checker.
