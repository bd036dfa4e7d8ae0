//! Devices and the execution of compiled networks.
