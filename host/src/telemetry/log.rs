//! Function logs: groups of streams of events, bounded, kept on disk, followed live.

/// One environment's log.
#[derive(Debug)]
pub struct EnvironmentLog {}
