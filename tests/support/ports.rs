//! Free ports that stay free.

use std::net::{Ipv4Addr, TcpListener};

/// A port on loopback that nobody listens on.
///
/// Below the ephemeral range: a server that is killed and restarted must find its port again, and a client that
/// keeps knocking on a closed ephemeral port will, sooner or later, be connected to itself.
pub fn free() -> u16 {
    loop {
        let port = rand::random_range(10_000..30_000);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}
