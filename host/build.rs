//! Turns AWS's service model into the closed set of operations this host routes.
fn main() {}
