//! The address at the other end of a connection. A request that is asked in the process itself has
//! none.

use std::net::IpAddr;

/// Where a request comes from, as its connection knows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);
