//! Free ports that stay free.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Mutex;

/// A port on loopback that nobody listens on, and that nobody else in this process was given: theirs may not be listened
/// on yet, or is about to be again.
///
/// Below the ephemeral range: a server that is killed and restarted must find its port again, and a client that
/// keeps knocking on a closed ephemeral port will, sooner or later, be connected to itself.
pub fn free() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let port = rand::random_range(10_000..30_000);
        let is_new = GIVEN.lock().unwrap().insert(port);
        if is_new && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}
