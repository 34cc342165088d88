//! The runtimes that functions may name: those of this host, and those that AWS has ended. Adding a
//! runtime is adding a row.

/// A runtime of this host.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Runtime {
    /// The value of `Runtime`.
    pub name: &'static str,
    /// How functions of it are run.
    pub kind: Kind,
}

/// How functions of a runtime are run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// The package holds a component, which `Handler` names.
    Component,
}

/// The runtimes of this host. `provided` and its successors mean that a function brings its own program:
/// here, a component.
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

/// Runtimes that AWS knows and takes no new functions for.
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

/// The runtime of this name, if this host has it.
pub fn find(name: &str) -> Option<Runtime> {
    RUNTIMES.into_iter().find(|runtime| runtime.name == name)
}

/// Whether AWS takes no new functions for a runtime.
pub fn is_ended(name: &str) -> bool {
    ENDED.contains(&name) || name.starts_with("ruby2")
}

/// Error text for a runtime that this host does not have.
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
    fn runtimes_are_found_by_name() {
        let own = find("provided.al2023").unwrap();
        assert_eq!(own.kind, Kind::Component);
        assert_eq!(find("python3.13"), None);
        assert!(is_ended("python3.7") && is_ended("ruby2.7") && !is_ended("python3.13"));
        assert!(not_available("python3.13").contains("wasip2"));
    }
}
