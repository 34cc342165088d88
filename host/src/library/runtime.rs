//! Runtime registry: this host's runtimes, and those that AWS has ended. A new runtime is a new
//! row.

/// A runtime of this host.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Runtime {
    /// Value of `Runtime`.
    pub name: &'static str,
    /// Execution model.
    pub kind: Kind,
}

/// Execution model of a runtime.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// The package contains a component, selected by `Handler`.
    Component,
}

/// Runtimes of this host. `provided` runtimes bring their own program, which is a component here.
const RUNTIMES: [Runtime; 4] = [
    Runtime {
        name: "provided",
        kind: Kind::Component,
    },
    Runtime {
        name: "provided.al2",
        kind: Kind::Component,
    },
    Runtime {
        name: "provided.al2023",
        kind: Kind::Component,
    },
    Runtime {
        name: "wasip2",
        kind: Kind::Component,
    },
];

/// Runtimes that AWS has ended for new functions.
const ENDED: [&str; 18] = [
    "dotnet5.0",
    "dotnetcore1.0",
    "dotnetcore2.0",
    "dotnetcore2.1",
    "dotnetcore3.1",
    "go1.x",
    "java8",
    "nodejs",
    "nodejs10.x",
    "nodejs12.x",
    "nodejs14.x",
    "nodejs4.3",
    "nodejs4.3-edge",
    "nodejs6.10",
    "nodejs8.10",
    "python2.7",
    "python3.6",
    "python3.7",
];

/// Runtime by name, if this host has it.
pub fn find(name: &str) -> Option<Runtime> {
    RUNTIMES.into_iter().find(|runtime| runtime.name == name)
}

/// True if AWS has ended a runtime for new functions.
pub fn is_ended(name: &str) -> bool {
    ENDED.contains(&name) || name.starts_with("ruby2")
}

/// Error message for a missing runtime.
pub fn not_available(name: &str) -> String {
    let names = RUNTIMES.map(|runtime| runtime.name).join(", ");
    format!(
        "Runtime {name} is not available on this host. Functions here are WebAssembly components: \
         choose one of {names} and upload a component."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runtime_is_found_by_name() {
        let own = find("provided.al2023").unwrap();
        assert_eq!(own.kind, Kind::Component);
        assert_eq!(find("python3.13"), None);
        assert!(is_ended("python3.7") && is_ended("ruby2.7") && !is_ended("python3.13"));
        assert!(not_available("python3.13").contains("wasip2"));
    }
}
