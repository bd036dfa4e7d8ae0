//! What a device runs: command streams, micro-kernels, DRAM layout and the program container.
