//! A client of libvirt's own RPC, and what its statistics mean.
