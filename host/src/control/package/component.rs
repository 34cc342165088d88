//! Which file of an unpacked package is the function's component.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::Error;

/// What follows `\0asm` in a component, and in a core module.
const COMPONENT_VERSION: [u8; 4] = [0x0d, 0x00, 0x01, 0x00];
const MODULE_VERSION: [u8; 4] = [0x01, 0x00, 0x00, 0x00];

/// What a file is, by its first bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Component,
    Module,
    Native,
    Other,
}

/// Whether these bytes begin as WebAssembly does.
pub(super) fn is_wasm(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\0asm")
}

/// The component in an unpacked package: the one the handler names, else `bootstrap`, else the
/// only one there is. A native executable beside it is passed over: `cargo lambda` insists on one.
///
/// # Errors
/// Where there is none, or several and the handler names none of them.
pub fn choose(tree: &Path, handler: &str) -> Result<PathBuf, Error> {
    let mut seen = Seen::default();
    for name in [handler, "bootstrap"] {
        for candidate in [name.to_owned(), format!("{name}.wasm")] {
            if let Some(path) = below(tree, &candidate)
                && seen.look(&path)? == Kind::Component
            {
                return Ok(path);
            }
        }
    }
    let mut components = Vec::new();
    let mut names: Vec<PathBuf> = fs::read_dir(tree)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_, Error>>()?;
    names.sort();
    for path in names {
        if path
            .extension()
            .is_some_and(|extension| extension == "wasm")
            && seen.look(&path)? == Kind::Component
        {
            components.push(path);
        }
    }
    match components.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(Error::NoComponent(seen.why_none(handler))),
        several => {
            let names: Vec<_> = several
                .iter()
                .filter_map(|path| path.file_name()?.to_str())
                .collect();
            Err(Error::NoComponent(format!(
                "The package has several components ({}) and Handler {handler:?} names none of \
                 them. Set Handler to the name of the one to run.",
                names.join(", ")
            )))
        }
    }
}

/// A file below the tree. A handler of another form, such as `index.handler`, names none.
fn below(tree: &Path, name: &str) -> Option<PathBuf> {
    let inside =
        !name.is_empty() && !name.starts_with('/') && !name.split('/').any(|it| it == "..");
    let path = tree.join(name);
    (inside && path.is_file()).then_some(path)
}

/// What was found instead of a component.
#[derive(Default)]
struct Seen {
    module: Option<String>,
    native: Option<String>,
}

impl Seen {
    fn look(&mut self, path: &Path) -> Result<Kind, Error> {
        let mut head = Vec::with_capacity(8);
        fs::File::open(path)?.take(8).read_to_end(&mut head)?;
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
                    "The package has no component: there is none named {}, and no other .wasm file at its \
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
