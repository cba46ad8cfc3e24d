//! The address at the other end of a connection. A request that is asked in the process itself has
//! none.

use std::net::IpAddr;

/// The sender of a request, as its connection knows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);
