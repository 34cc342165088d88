//! Exhaustion of network resources.

use std::net::UdpSocket;

use serde_json::{Value, json};
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::ip_name_lookup::resolve_addresses;

/// Opens sockets until the host refuses, and leaks them.
pub fn sockets() -> Value {
    let mut opened = 0_u64;
    loop {
        match UdpSocket::bind("0.0.0.0:0") {
            Ok(socket) => std::mem::forget(socket),
            Err(error) => return json!({"opened": opened, "error": format!("{error}")}),
        }
        opened += 1;
    }
}

/// Starts look-ups of different names without waiting, and keeps them pending.
pub fn lookups(count: usize) -> Value {
    let network = instance_network();
    for begun in 0..count {
        match resolve_addresses(&network, &format!("n{begun}.example.com")) {
            Ok(lookup) => std::mem::forget(lookup),
            Err(error) => return json!({"begun": begun, "error": error.name()}),
        }
    }
    json!({"begun": count})
}
