//! Selection of a function's component among the files of an unzipped package.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::Error;

/// Version fields of a component and of a core module, after `\0asm`.
const COMPONENT_VERSION: [u8; 4] = [0x0d, 0x00, 0x01, 0x00];
const MODULE_VERSION: [u8; 4] = [0x01, 0x00, 0x00, 0x00];

/// File type by magic bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Component,
    Module,
    Native,
    Other,
}

/// True for WebAssembly's magic bytes.
pub(super) fn is_wasm(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\0asm")
}

/// Path of the component: the file named by the handler, else `bootstrap`, else the only component
/// at the root. Native executables are ignored, because `cargo lambda` requires one. Symbolic links
/// are followed inside the package only.
///
/// # Errors
/// If there is none, or several and the handler names none of them.
pub fn choose(tree: &Path, handler: &str) -> Result<PathBuf, Error> {
    let tree = &fs::canonicalize(tree)?;
    let mut seen = Seen::default();
    for name in [handler, "bootstrap"] {
        for candidate in [name.to_owned(), format!("{name}.wasm")] {
            if let Some(path) = below(tree, &candidate)
                && seen.look(tree, &path)? == Kind::Component
            {
                return Ok(path);
            }
        }
    }
    let components = at_root(tree, &mut seen)?;
    match components.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(Error::NoComponent(seen.why_none(handler))),
        several => {
            let names: Vec<_> = several.iter().filter_map(|path| path.to_str()).collect();
            Err(Error::NoComponent(format!(
                "The package has several components ({}) and Handler {handler:?} names none of \
                 them. Set Handler to the name of the one to run.",
                names.join(", ")
            )))
        }
    }
}

/// Path of the component that a path in an image names.
///
/// # Errors
/// If there is no such file, or it is no component.
pub fn named(tree: &Path, path: &str) -> Result<PathBuf, Error> {
    let tree = &fs::canonicalize(tree)?;
    let mut seen = Seen::default();
    let Some(found) = below(tree, path) else {
        let text = format!("The image has no file /{path}, which its entry point names.");
        return Err(Error::NoComponent(text));
    };
    match seen.look(tree, &found)? {
        Kind::Component => Ok(found),
        Kind::Module | Kind::Native => Err(Error::NoComponent(seen.why_none(path))),
        Kind::Other => Err(Error::NoComponent(format!(
            "/{path}, which the image's entry point names, is no WebAssembly component."
        ))),
    }
}

/// Path of `bootstrap`, else of the only component of a directory in an image. `None` if there is no such directory, or
/// not one component in it.
///
/// # Errors
/// If the disk fails.
pub fn choose_below(tree: &Path, dir: &Path) -> Result<Option<PathBuf>, Error> {
    let tree = &fs::canonicalize(tree)?;
    let Ok(dir) = fs::canonicalize(tree.join(dir)) else {
        return Ok(None);
    };
    let Ok(prefix) = dir.strip_prefix(tree).map(Path::to_owned) else {
        return Ok(None);
    };
    if !dir.is_dir() {
        return Ok(None);
    }
    match choose(&dir, "bootstrap") {
        Ok(found) => Ok(Some(prefix.join(found))),
        Err(Error::NoComponent(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Distinct components at the package's root.
fn at_root(tree: &Path, seen: &mut Seen) -> Result<Vec<PathBuf>, Error> {
    let mut names = Vec::new();
    for entry in fs::read_dir(tree)? {
        let name = entry?.file_name();
        let is_named = Path::new(&name).extension().is_some_and(|it| it == "wasm");
        names.extend(name.to_str().filter(|_| is_named).map(str::to_owned));
    }
    names.sort();
    let mut components = Vec::new();
    for path in names.iter().filter_map(|name| below(tree, name)) {
        if !components.contains(&path) && seen.look(tree, &path)? == Kind::Component {
            components.push(path);
        }
    }
    Ok(components)
}

/// Path of a named file in the tree, with symbolic links resolved inside the tree. Handlers of
/// other forms, such as `index.handler`, name no file.
fn below(tree: &Path, name: &str) -> Option<PathBuf> {
    let is_inside =
        !name.is_empty() && !name.starts_with('/') && !name.split('/').any(|it| it == "..");
    if !is_inside {
        return None;
    }
    let path = fs::canonicalize(tree.join(name)).ok()?;
    let inside = path.strip_prefix(tree).ok()?;
    path.is_file().then(|| inside.to_owned())
}

/// Files found instead of a component.
#[derive(Default)]
struct Seen {
    module: Option<String>,
    native: Option<String>,
}

impl Seen {
    fn look(&mut self, tree: &Path, path: &Path) -> Result<Kind, Error> {
        let mut head = Vec::with_capacity(8);
        fs::File::open(tree.join(path))?
            .take(8)
            .read_to_end(&mut head)?;
        let kind = kind(&head);
        let name = || {
            path.file_name()
                .map(|name| name.to_string_lossy().into_owned())
        };
        match kind {
            Kind::Module => self.module = name(),
            Kind::Native => self.native = name(),
            Kind::Component | Kind::Other => {}
        }
        Ok(kind)
    }

    fn why_none(&self, handler: &str) -> String {
        match (&self.module, &self.native) {
            (Some(name), _) => format!(
                "{name} is a core WebAssembly module, not a component. Build for \
                 wasm32-wasip2 (cargo build --release --target wasm32-wasip2), or make a \
                 component of it with `wasm-tools component new`."
            ),
            (None, Some(name)) => format!(
                "{name} is a native executable. Functions of this host are WebAssembly \
                 components: build with `cargo build --release --target wasm32-wasip2` and upload \
                 the .wasm file."
            ),
            (None, None) => {
                let named = format!("{handler}.wasm");
                let mut names = vec![handler, named.as_str(), "bootstrap.wasm"];
                names.dedup();
                format!(
                    "The package has no component: neither a file named {} nor another .wasm file at its \
                     root is one.",
                    names.join(" or ")
                )
            }
        }
    }
}

fn kind(head: &[u8]) -> Kind {
    match head.split_at_checked(4) {
        Some((b"\0asm", version)) if version == COMPONENT_VERSION => Kind::Component,
        Some((b"\0asm", version)) if version == MODULE_VERSION => Kind::Module,
        Some((b"\x7fELF", _)) => Kind::Native,
        _ => Kind::Other,
    }
}
