//! The agent of vmscope: samples a hypervisor host and its VMs.

pub mod host;
pub mod libvirt;
pub mod sampler;
