//! Pages of the operations that list.

use serde_json::{Value, json};

use super::request::{Request, invalid};
use crate::api::aws_json::Fault;

/// Items of a page, at most and by default.
const ITEMS_MAX: usize = 50;

/// Part of a listing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page {
    start: usize,
    items_max: usize,
}

impl Page {
    pub(super) fn parse(request: &Request) -> Result<Self, Fault> {
        Self::parse_within(request, ITEMS_MAX)
    }

    pub(super) fn parse_within(request: &Request, items_max: usize) -> Result<Self, Fault> {
        let items = match request.max_results {
            None => Ok(items_max),
            Some(given) => usize::try_from(given)
                .ok()
                .filter(|it| (1..=items_max).contains(it))
                .ok_or_else(|| invalid(format!("MaxResults is from 1 to {items_max}."))),
        };
        let start = match &request.next_token {
            None => Ok(0),
            Some(token) => token.parse().map_err(|_| {
                Fault::new(
                    "InvalidNextTokenException",
                    "The next token is not of this listing.",
                )
            }),
        };
        Ok(Self {
            start: start?,
            items_max: items?,
        })
    }

    /// This part of all items, in a member of the answer.
    pub(super) fn of(self, member: &str, items: impl Iterator<Item = Value>) -> Value {
        let mut items = items.skip(self.start).peekable();
        let page: Vec<Value> = items.by_ref().take(self.items_max).collect();
        let mut answer = json!({member: page});
        if items.peek().is_some() {
            answer["NextToken"] = (self.start + self.items_max).to_string().into();
        }
        answer
    }
}
