//! Events and responses, as JSON.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Context, Diagnostic};

/// Bytes of the event shown before a parse error.
const SHOWN_BYTES: usize = 40;

/// An event with its context.
#[derive(Clone, Debug)]
pub struct LambdaEvent<T> {
    /// Deserialized event.
    pub payload: T,
    /// Invocation context.
    pub context: Context,
}

impl<T> LambdaEvent<T> {
    /// Combines event and context, for tests of a handler.
    pub fn new(payload: T, context: Context) -> Self {
        Self { payload, context }
    }

    /// Splits into event and context.
    pub fn into_parts(self) -> (T, Context) {
        (self.payload, self.context)
    }
}

/// Deserializes the event.
pub fn read_event<T: DeserializeOwned>(
    event: &str,
    context: Context,
) -> Result<LambdaEvent<T>, Diagnostic> {
    match serde_json::from_str(event) {
        Ok(payload) => Ok(LambdaEvent::new(payload, context)),
        Err(error) => Err(misfit(event, std::any::type_name::<T>(), &error)),
    }
}

/// Serializes the response.
pub fn write_response<R: Serialize>(response: &R) -> Result<String, Diagnostic> {
    serde_json::to_string(response).map_err(|error| Diagnostic {
        error_type: "Runtime.MarshalError".to_owned(),
        error_message: format!("the response cannot be written as JSON: {error}"),
    })
}

/// Error of an event that does not fit its type. It quotes the text before the error, because
/// events are mostly one long line in which a column number helps little.
fn misfit(event: &str, expected: &str, error: &serde_json::Error) -> Diagnostic {
    let mut error_message = format!("the event does not fit `{expected}`: {error}");
    let before = text_before(event, error.line(), error.column());
    if !before.is_empty() {
        error_message.push_str(&format!(", after `{before}`"));
    }
    Diagnostic {
        error_type: "Runtime.UnmarshalError".to_owned(),
        error_message,
    }
}

/// Last characters before a position; serde counts lines from 1 and columns in bytes.
fn text_before(event: &str, line: usize, column: usize) -> &str {
    let Some(line) = line
        .checked_sub(1)
        .and_then(|index| event.lines().nth(index))
    else {
        return "";
    };
    let end = line.floor_char_boundary(column);
    let start = line.floor_char_boundary(end.saturating_sub(SHOWN_BYTES));
    &line[start..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    struct Order {
        #[expect(dead_code, reason = "only read to be refused")]
        item: String,
    }

    #[test]
    fn fitting_event_is_deserialized() {
        let event = read_event::<Vec<u8>>("[1,2]", Context::default()).unwrap();
        assert_eq!(event.payload, [1, 2]);
    }

    #[test]
    fn unfitting_event_is_refused_with_position() {
        for (event, message) in [
            (
                r#"{"item":7}"#,
                "the event does not fit `lamina_sdk::event::tests::Order`: invalid type: integer \
                 `7`, expected a string at line 1 column 9, after `{\"item\":7`",
            ),
            (
                r#"{}"#,
                "the event does not fit `lamina_sdk::event::tests::Order`: missing field `item` \
                 at line 1 column 2, after `{}`",
            ),
            (
                "",
                "the event does not fit `lamina_sdk::event::tests::Order`: EOF while parsing a \
                 value at line 1 column 0",
            ),
        ] {
            let error = read_event::<Order>(event, Context::default()).unwrap_err();
            assert_eq!(error.error_type, "Runtime.UnmarshalError");
            assert_eq!(error.error_message, message);
        }
    }

    #[test]
    fn quoted_text_is_short_and_cut_at_characters() {
        let event = "é".repeat(100);
        let before = text_before(&event, 1, 151);
        assert!(before.len() <= SHOWN_BYTES + 1 && before.chars().all(|c| c == 'é'));
        assert_eq!(text_before("a\nbcd", 2, 2), "bc");
        assert_eq!(text_before("a", 9, 2), "");
        assert_eq!(text_before("ab", 1, 99), "ab");
    }

    #[test]
    fn unserializable_response_is_an_error() {
        let odd = std::collections::HashMap::from([(vec![1], 1)]);
        let error = write_response(&odd).unwrap_err();
        assert_eq!(error.error_type, "Runtime.MarshalError");
    }
}
