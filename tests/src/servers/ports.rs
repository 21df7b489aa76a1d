//! Ports for private servers.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Result, bail};
use uuid::Uuid;

/// Below every system's ephemeral range: a client that keeps reconnecting to a server that is down
/// could otherwise be given the server's own port as its source, and connect to itself.
const FIRST_PORT: u16 = 15_000;
const LAST_PORT: u16 = 32_000;
const ATTEMPTS: usize = 100;

/// A loopback port that nobody listens on at this moment. It may be taken before the server gets
/// to it, so whoever starts a server tries again with another.
pub fn free_port() -> Result<u16> {
    for _ in 0..ATTEMPTS {
        let port = FIRST_PORT + random_below(LAST_PORT - FIRST_PORT);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("found no free port between {FIRST_PORT} and {LAST_PORT} on 127.0.0.1")
}

/// The last 62 bits of a version 7 id are random.
fn random_below(limit: u16) -> u16 {
    let [.., high, low] = Uuid::now_v7().into_bytes();
    u16::from_be_bytes([high, low]) % limit
}
