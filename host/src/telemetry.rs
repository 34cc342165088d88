//! What the host tells about itself and its functions: function logs. It knows groups, streams and
//! lines; what a function is, it does not know.

pub mod log;
