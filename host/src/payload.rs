//! Shapes of what goes into functions and comes out of them: JSON documents, and HTTP as events. On the
//! ground floor, pure, and without an engine, so that every layer reads the same documents the same way.

pub mod body;
pub mod decision;
#[cfg(test)]
pub mod fuzz;
pub mod http;
pub mod json;
pub mod pattern;
pub mod record;
pub mod trace;

pub use body::Body;
pub use http::HttpEvent;
pub use json::Document;

/// Input of an invocation.
#[derive(Debug)]
pub enum Event {
    /// A JSON document.
    Json(Document),
    /// An HTTP request. A function that takes events gets the event that a function URL makes of it.
    Http(Box<HttpEvent>),
}

impl Default for Event {
    fn default() -> Self {
        Self::Json(Document::default())
    }
}
