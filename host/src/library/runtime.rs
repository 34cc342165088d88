//! Runtime registry: runtimes that functions may name, and those that AWS has ended. A new runtime is a new row.

use crate::sandbox::Failures;

/// A value of `Runtime`, and the execution model behind it.
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
    /// The package contains source code, which an installed component runs.
    Managed(&'static Managed),
}

/// A runtime that is installed once and serves all functions of a language.
#[derive(Debug, Eq, PartialEq)]
pub struct Managed {
    /// Name under which it is installed.
    pub name: &'static str,
    /// Name of the language in AWS's runtime versions.
    pub language: &'static str,
    /// Directory of its library in functions.
    pub library: &'static str,
    /// Directory below which the library has compiled files, each at the path of its source. None for a language
    /// without such files.
    pub compiled: Option<Compiled>,
    /// Form of its failures.
    pub failures: Failures,
    /// Packages that its build needs.
    pub origin: &'static str,
}

/// Directories in functions of files that are compiled when a function is deployed: of its package, and of its layers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Compiled {
    /// For files of `/var/task`.
    pub task: &'static str,
    /// For files of `/opt`.
    pub opt: &'static str,
}

/// CPython. Code of other 3.x versions runs in it too: the language is compatible, and packages that AWS's layers
/// install by version are found by the version that the function names.
pub const PYTHON: Managed = Managed {
    name: "python3.14",
    language: "python",
    library: "/python",
    compiled: Some(Compiled {
        task: "/python/.pyc/var/task",
        opt: "/python/.pyc/opt",
    }),
    failures: Failures::Python,
    origin: "packages of PyPI",
};

/// QuickJS with the modules of Node.js. Code of other versions runs in it too, as far as it goes.
pub const NODEJS: Managed = Managed {
    name: "nodejs22.x",
    language: "nodejs",
    // Its files are a root directory, below which the other mounts are found when paths are resolved from `/`.
    library: "/",
    compiled: None,
    failures: Failures::Node,
    origin: "packages of PyPI and crates.io",
};

/// Runtimes of this host. `provided` runtimes bring their own program, which is a component here.
const RUNTIMES: [Runtime; 16] = [
    component("provided"),
    component("provided.al2"),
    component("provided.al2023"),
    component("wasip2"),
    managed("python3.9", &PYTHON),
    managed("python3.10", &PYTHON),
    managed("python3.11", &PYTHON),
    managed("python3.12", &PYTHON),
    managed("python3.13", &PYTHON),
    managed("python3.14", &PYTHON),
    managed("python3.15", &PYTHON),
    managed("nodejs18.x", &NODEJS),
    managed("nodejs20.x", &NODEJS),
    managed("nodejs22.x", &NODEJS),
    managed("nodejs24.x", &NODEJS),
    managed("nodejs26.x", &NODEJS),
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

const fn component(name: &'static str) -> Runtime {
    Runtime {
        name,
        kind: Kind::Component,
    }
}

const fn managed(name: &'static str, managed: &'static Managed) -> Runtime {
    Runtime {
        name,
        kind: Kind::Managed(managed),
    }
}

/// Runtime by name, if this host has it.
pub fn find(name: &str) -> Option<Runtime> {
    RUNTIMES.into_iter().find(|runtime| runtime.name == name)
}

/// Managed runtime by the name under which it is installed.
pub fn find_managed(name: &str) -> Option<&'static Managed> {
    match find(name)?.kind {
        Kind::Managed(managed) if managed.name == name => Some(managed),
        Kind::Managed(_) | Kind::Component => None,
    }
}

/// All managed runtimes, each under the name that it is installed by.
pub fn all_managed() -> impl Iterator<Item = &'static Managed> {
    RUNTIMES.iter().filter_map(|it| find_managed(it.name))
}

/// True if AWS has ended a runtime for new functions.
pub fn is_ended(name: &str) -> bool {
    ENDED.contains(&name) || name.starts_with("ruby2")
}

/// Error message for a missing runtime.
pub fn not_available(name: &str) -> String {
    let names = |wanted: fn(&Kind) -> bool| {
        let all = RUNTIMES.iter().filter(|runtime| wanted(&runtime.kind));
        all.map(|runtime| runtime.name)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let components = names(|kind| matches!(kind, Kind::Component));
    let managed = names(|kind| matches!(kind, Kind::Managed(_)));
    format!(
        "Runtime {name} is not available on this host. Choose {managed} for source code, or one of {components} \
         for a WebAssembly component."
    )
}

/// Error message for a runtime that is not installed.
pub fn not_installed(managed: &Managed) -> String {
    let name = managed.name;
    format!(
        "Runtime {name} is not installed on this host: install it by `lamina runtime install {name}`."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runtime_is_found_by_name() {
        let own = find("provided.al2023").unwrap();
        assert_eq!(own.kind, Kind::Component);
        assert_eq!(find("java21"), None);
        assert!(is_ended("python3.7") && is_ended("ruby2.7") && !is_ended("python3.13"));
        let refused = not_available("java21");
        assert!(refused.contains("wasip2") && refused.contains("python3.14"));
    }

    #[test]
    fn python_versions_share_one_runtime() {
        for name in ["python3.9", "python3.13", "python3.14", "python3.15"] {
            assert_eq!(find(name).unwrap().kind, Kind::Managed(&PYTHON), "{name}");
        }
        assert_eq!(find("python3.8"), None);
        assert_eq!(find_managed("python3.14"), Some(&PYTHON));
        assert_eq!(find_managed("python3.13"), None);
        assert_eq!(find_managed("provided"), None);
    }

    #[test]
    fn nodejs_versions_share_one_runtime() {
        for name in [
            "nodejs18.x",
            "nodejs20.x",
            "nodejs22.x",
            "nodejs24.x",
            "nodejs26.x",
        ] {
            assert_eq!(find(name).unwrap().kind, Kind::Managed(&NODEJS), "{name}");
        }
        assert_eq!(find("nodejs16.x"), None);
        let names: Vec<_> = all_managed().map(|it| it.name).collect();
        assert_eq!(names, ["python3.14", "nodejs22.x"]);
    }
}
