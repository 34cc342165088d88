//! Detection of a component's interface from its exports and imports.

use wasmtime::component::Component;

use crate::sandbox::Interface;
use crate::sandbox::engine_kind::is_wasi_3;

/// Reason that a component cannot be a function.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No known export.
    #[error(
        "The component exports {exports}, and none of what a function must export: \
         lambda:function/handler, lambda:function/streaming-handler, wasi:http/incoming-handler, \
         wasi:http/handler or wasi:cli/run."
    )]
    NoEntry {
        /// Exports found.
        exports: String,
    },
    /// Another export of WASI 0.3 than its HTTP handler.
    #[error(
        "The component exports {0}, of WASI 0.3, of which this host runs wasi:http/handler only. Build \
         it for WASI 0.2."
    )]
    Wasi3(String),
}

impl Interface {
    /// Interface of a component.
    pub(in crate::sandbox) fn of(component: &Component) -> Result<Self, Error> {
        let engine = component.engine();
        let shape = component.component_type();
        let imports: Vec<&str> = shape.imports(engine).map(|(name, _)| name).collect();
        let exports: Vec<&str> = shape.exports(engine).map(|(name, _)| name).collect();
        Self::found(&imports, &exports)
    }

    fn found(imports: &[&str], exports: &[&str]) -> Result<Self, Error> {
        let has = |names: &[&str], prefix| names.iter().any(|name: &&str| name.starts_with(prefix));
        let entries = [
            ("lambda:function/handler@1.", Self::Handler),
            (
                "lambda:function/streaming-handler@1.",
                Self::StreamingHandler,
            ),
            ("wasi:http/incoming-handler@0.2.", Self::Http),
            ("wasi:http/handler@0.3.", Self::HttpService),
            ("wasi:cli/run@0.2.", Self::Command),
        ];
        let found = entries
            .into_iter()
            .find(|(prefix, _)| has(exports, *prefix));
        match found.map(|(_, interface)| interface) {
            Some(Self::Command) if has(imports, "lambda:function/runtime@1.") => {
                Ok(Self::CustomRuntime)
            }
            Some(Self::Command) if has(imports, "lambda:extension/lifecycle@1.") => {
                Ok(Self::Extension)
            }
            Some(interface) => Ok(interface),
            None => Err(Self::unknown(exports)),
        }
    }

    fn unknown(exports: &[&str]) -> Error {
        if let Some(name) = exports.iter().find(|name| is_wasi_3(name)) {
            return Error::Wasi3((*name).to_owned());
        }
        let exports = if exports.is_empty() {
            "nothing".into()
        } else {
            exports.join(", ")
        };
        Error::NoEntry { exports }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interface_is_detected_from_exports() {
        let runtime = "lambda:function/runtime@1.0.0";
        let cases = [
            (
                vec![],
                vec!["lambda:function/handler@1.0.0"],
                Some(Interface::Handler),
            ),
            (
                vec![],
                vec!["lambda:function/handler@1.4.0"],
                Some(Interface::Handler),
            ),
            (vec![], vec!["wasi:cli/run@0.2.6"], Some(Interface::Command)),
            (
                vec![runtime],
                vec!["wasi:cli/run@0.2.0"],
                Some(Interface::CustomRuntime),
            ),
            (
                vec![],
                vec!["wasi:http/incoming-handler@0.2.3"],
                Some(Interface::Http),
            ),
            (
                vec!["lambda:extension/lifecycle@1.0.0"],
                vec!["wasi:cli/run@0.2.0"],
                Some(Interface::Extension),
            ),
            (vec![], vec!["lambda:function/handler@2.0.0"], None),
            (
                vec![],
                vec!["wasi:http/handler@0.3.2"],
                Some(Interface::HttpService),
            ),
            (vec![], vec!["wasi:cli/run@0.3.0"], None),
            (vec![], vec![], None),
        ];
        for (imports, exports, expected) in cases {
            assert_eq!(
                Interface::found(&imports, &exports).ok(),
                expected,
                "{exports:?}"
            );
        }
    }

    #[test]
    fn unknown_exports_are_named_in_refusal() {
        let error = Interface::found(&[], &["acme:thing/api@0.1.0"])
            .unwrap_err()
            .to_string();
        assert!(error.contains("acme:thing/api@0.1.0"), "{error}");
        let error = Interface::found(&[], &["wasi:cli/run@0.3.0"])
            .unwrap_err()
            .to_string();
        assert!(error.contains("WASI 0.3"), "{error}");
    }
}
