//! Events and responses, and their JSON.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Context, Diagnostic};

/// How much of the event before the mistake an error message shows, in bytes.
const SHOWN_BYTES: usize = 40;

/// One event and its context.
#[derive(Clone, Debug)]
pub struct LambdaEvent<T> {
    /// The event.
    pub payload: T,
    /// Facts about the invocation.
    pub context: Context,
}

impl<T> LambdaEvent<T> {
    /// Puts the two together; for tests of a handler.
    pub fn new(payload: T, context: Context) -> Self {
        Self { payload, context }
    }

    /// Takes the two apart.
    pub fn into_parts(self) -> (T, Context) {
        (self.payload, self.context)
    }
}

/// Reads the event into the type that the handler asks for.
pub fn read_event<T: DeserializeOwned>(
    event: &str,
    context: Context,
) -> Result<LambdaEvent<T>, Diagnostic> {
    match serde_json::from_str(event) {
        Ok(payload) => Ok(LambdaEvent::new(payload, context)),
        Err(error) => Err(misfit(event, std::any::type_name::<T>(), &error)),
    }
}

/// Writes the handler's response.
pub fn write_response<R: Serialize>(response: &R) -> Result<String, Diagnostic> {
    serde_json::to_string(response).map_err(|error| Diagnostic {
        error_type: "Runtime.MarshalError".to_owned(),
        error_message: format!("the response cannot be written as JSON: {error}"),
    })
}

/// Says what did not fit and where. An event is mostly one long line, in which a column says
/// little, so the text that leads up to the mistake is shown.
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

/// The last few characters up to a place that serde names: lines from 1, columns in bytes.
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
    fn an_event_that_fits_is_read() {
        let event = read_event::<Vec<u8>>("[1,2]", Context::default()).unwrap();
        assert_eq!(event.payload, [1, 2]);
    }

    #[test]
    fn an_event_that_does_not_fit_is_refused_with_what_and_where() {
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
    fn the_text_before_a_mistake_is_short_and_whole_characters() {
        let event = "é".repeat(100);
        let before = text_before(&event, 1, 151);
        assert!(before.len() <= SHOWN_BYTES + 1 && before.chars().all(|c| c == 'é'));
        assert_eq!(text_before("a\nbcd", 2, 2), "bc");
        assert_eq!(text_before("a", 9, 2), "");
        assert_eq!(text_before("ab", 1, 99), "ab");
    }

    #[test]
    fn a_response_that_is_no_json_is_an_error() {
        let odd = std::collections::HashMap::from([(vec![1], 1)]);
        let error = write_response(&odd).unwrap_err();
        assert_eq!(error.error_type, "Runtime.MarshalError");
    }
}
