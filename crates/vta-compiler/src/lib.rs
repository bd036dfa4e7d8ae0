//! From a quantized graph to instruction streams.
