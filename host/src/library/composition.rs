//! Code layers: components in layers that satisfy imports of a function (`lib/`) or wrap its exports (`wrappers/`),
//! composed with the function into one component when it is deployed.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wac_graph::types::{Package, SubtypeChecker, are_semver_compatible};
use wac_graph::{CompositionGraph, EncodeOptions, NodeId, PackageId};

use super::artifact::Input;
use super::hold::Hold;
use super::{CodeRef, ComponentRef, Digest, Error, Library, Requester, blocking, layered};
use crate::disk;
use crate::sandbox::compile;

/// Directory of components that satisfy imports.
const LIBRARIES: &str = "lib";
/// Directory of components that wrap the function.
const WRAPPERS: &str = "wrappers";
/// Name of a composed component in its tree.
const FILE: &str = "composed.wasm";
/// Components of a function's layers that are composed with it. With the function's they are as many as one
/// environment has memories.
const PARTS_MAX: usize = 7;

/// Component that an environment runs, and a guard on it.
#[derive(Debug)]
pub(super) struct Runnable {
    pub(super) digest: Digest,
    pub(super) input: Input,
    pub(super) hold: Hold,
}

/// Name of the composition of a component with the code of layers; None without layers.
pub(super) fn digest(component: Digest, layers: &[Digest]) -> Option<Digest> {
    let layers = layers.iter().map(Digest::to_string);
    let layers: Vec<_> = layers.collect();
    let text = || format!("composition of {component} with {}", layers.join(" "));
    (!layers.is_empty()).then(|| Digest::of(text().as_bytes()))
}

impl Library {
    /// The component that runs for this code with these packages of layers: its own where they have no code.
    pub(super) async fn runnable(
        &self,
        code: &CodeRef,
        component: &ComponentRef,
        layers: &[Digest],
        requester: &Requester,
    ) -> Result<Runnable, Error> {
        let own = self.component_file(code, component);
        let (inner, packages) = (Arc::clone(&self.0), layers.to_vec());
        let parts = blocking(move || {
            let trees = packages.iter().map(|package| inner.tree(package));
            Ok(Parts::find(&trees.collect::<Result<Vec<_>, _>>()?)?)
        });
        let parts = parts.await?;
        let composed = digest(component.digest, layers).filter(|_| !parts.is_empty());
        let Some(digest) = composed else {
            let hold = self.0.holds.hold(component.digest).await;
            return Ok(Runnable {
                digest: component.digest,
                input: own,
                hold,
            });
        };
        let hold = self.0.holds.hold(digest).await;
        let function = own.tree.join(&own.path);
        let fill = move |into: &Path| {
            let composed = parts.compose(&function)?;
            Ok(disk::create_new(&into.join(FILE))?.write_all(&composed)?)
        };
        self.make_tree(&hold, requester, fill).await?;
        let input = Input {
            tree: self.0.trees.path(&digest),
            path: FILE.to_owned(),
            package: digest,
        };
        Ok(Runnable {
            digest,
            input,
            hold,
        })
    }
}

/// Components of layers, in the order of the layers and of their names.
#[derive(Debug, Default)]
struct Parts {
    libraries: Vec<Part>,
    wrappers: Vec<Part>,
}

#[derive(Debug)]
struct Part {
    /// Path below `/opt`.
    name: String,
    path: PathBuf,
}

/// Components that are composed, and where each export comes from.
#[derive(Default)]
struct Composer {
    graph: CompositionGraph,
    packages: usize,
}

/// Instance of a component in a composition.
struct Instance {
    name: String,
    package: PackageId,
    node: NodeId,
}

impl Parts {
    fn find(trees: &[PathBuf]) -> io::Result<Self> {
        Ok(Self {
            libraries: parts(trees, LIBRARIES)?,
            wrappers: parts(trees, WRAPPERS)?,
        })
    }

    fn is_empty(&self) -> bool {
        self.libraries.is_empty() && self.wrappers.is_empty()
    }

    /// Composes a function with these components: the first wrapper is the outermost.
    fn compose(&self, function: &Path) -> Result<Vec<u8>, Error> {
        let count = self.libraries.len() + self.wrappers.len();
        if count > PARTS_MAX {
            return Err(refused(format!(
                "The layers have {count} components in {LIBRARIES}/ and {WRAPPERS}/; a function has {PARTS_MAX} at most."
            )));
        }
        let mut composer = Composer::default();
        // The last first: a library may import those of later layers, so that there is no circle.
        let mut libraries: Vec<Instance> = Vec::new();
        for part in self.libraries.iter().rev() {
            let library = composer.instantiate(&part.name, &part.path)?;
            composer.satisfy(&library, &libraries)?;
            libraries.insert(0, library);
        }
        let function = composer.instantiate("the function", function)?;
        composer.satisfy(&function, &libraries)?;
        let mut exports: HashMap<String, NodeId> = HashMap::new();
        composer.take_exports(&function, &mut exports)?;
        let mut inner = function;
        for part in self.wrappers.iter().rev() {
            let wrapper = composer.instantiate(&part.name, &part.path)?;
            composer.satisfy(&wrapper, &libraries)?;
            composer.wrap(&wrapper, &exports, &inner)?;
            composer.take_exports(&wrapper, &mut exports)?;
            inner = wrapper;
        }
        composer.encode(exports)
    }
}

impl Composer {
    fn instantiate(&mut self, name: &str, path: &Path) -> Result<Instance, Error> {
        let bytes = fs::read(path)?;
        // Names of packages are unique in a graph.
        self.packages += 1;
        let unique = format!("lamina:part{}", self.packages);
        let package = Package::from_bytes(&unique, None, bytes, self.graph.types_mut());
        let package = package.map_err(|error| refused(format!("{name}: {error:#}")))?;
        let registered = self.graph.register_package(package);
        let package = registered.map_err(|error| refused(format!("{name}: {error}")))?;
        Ok(Instance {
            name: name.to_owned(),
            package,
            node: self.graph.instantiate(package),
        })
    }

    fn imports(&self, of: &Instance) -> Vec<String> {
        let world = &self.graph.types()[self.graph[of.package].ty()];
        world.imports.keys().cloned().collect()
    }

    fn exports(&self, of: &Instance) -> Vec<String> {
        let world = &self.graph.types()[self.graph[of.package].ty()];
        world.exports.keys().cloned().collect()
    }

    /// Connects imports to the first library that exports them.
    fn satisfy(&mut self, instance: &Instance, libraries: &[Instance]) -> Result<(), Error> {
        for import in self.imports(instance) {
            for library in libraries {
                let exports = self.exports(library);
                let Some(export) = matching(exports.iter(), &import) else {
                    continue;
                };
                let node = self.graph.alias_instance_export(library.node, export);
                let node = node.map_err(|error| refused(format!("{}: {error}", library.name)))?;
                self.connect(instance, &import, node, &library.name)?;
                break;
            }
        }
        Ok(())
    }

    /// Connects imports of a wrapper to exports of the component that it wraps.
    fn wrap(
        &mut self,
        wrapper: &Instance,
        exports: &HashMap<String, NodeId>,
        inner: &Instance,
    ) -> Result<(), Error> {
        let mut has_wrapped = false;
        for import in self.imports(wrapper) {
            let Some(export) = matching(exports.keys(), &import) else {
                continue;
            };
            self.connect(wrapper, &import, exports[export], &inner.name)?;
            has_wrapped = true;
        }
        if has_wrapped {
            return Ok(());
        }
        let mut names: Vec<_> = exports.keys().map(String::as_str).collect();
        names.sort_unstable();
        Err(refused(format!(
            "{} wraps nothing: it imports none of {}, which {} exports.",
            wrapper.name,
            names.join(", "),
            inner.name
        )))
    }

    fn connect(
        &mut self,
        instance: &Instance,
        import: &str,
        export: NodeId,
        from: &str,
    ) -> Result<(), Error> {
        let world = &self.graph.types()[self.graph[instance.package].ty()];
        let wanted = world.imports[import];
        let given = self.graph[export].item_kind();
        let mut cache = Default::default();
        let types = self.graph.types();
        let fits = SubtypeChecker::new(&mut cache).is_subtype(given, types, wanted, types);
        let fits = fits.map_err(|error| format!("{error:#}"));
        let connected = fits.and_then(|()| {
            let set = self
                .graph
                .set_instantiation_argument(instance.node, import, export);
            set.map_err(|error| error.to_string())
        });
        connected.map_err(|error| {
            let instance = &instance.name;
            refused(format!(
                "{instance} imports {import}, and {from} exports it with another type: {error}"
            ))
        })
    }

    /// Exports of an instance, in place of those of the same name.
    fn take_exports(
        &mut self,
        of: &Instance,
        exports: &mut HashMap<String, NodeId>,
    ) -> Result<(), Error> {
        for name in self.exports(of) {
            let node = self.graph.alias_instance_export(of.node, &name);
            let node = node.map_err(|error| refused(format!("{}: {error}", of.name)))?;
            exports.insert(name, node);
        }
        Ok(())
    }

    fn encode(mut self, exports: HashMap<String, NodeId>) -> Result<Vec<u8>, Error> {
        for (name, node) in exports {
            let exported = self.graph.export(node, &name);
            exported.map_err(|error| refused(format!("{name}: {error}")))?;
        }
        let encoded = self.graph.encode(EncodeOptions::default());
        encoded.map_err(|error| {
            refused(format!(
                "The layers and the function do not fit together: {error}."
            ))
        })
    }
}

/// Name that is the same, or one of a compatible version.
fn matching<'a>(
    mut names: impl Iterator<Item = &'a String> + Clone,
    wanted: &str,
) -> Option<&'a str> {
    let same = names.clone().find(|name| *name == wanted);
    let found = same.or_else(|| names.find(|name| are_semver_compatible(name, wanted)));
    found.map(String::as_str)
}

/// Components of one directory of the layers. A file hides that of the same path in an earlier layer, as below `/opt`.
fn parts(trees: &[PathBuf], dir: &str) -> io::Result<Vec<Part>> {
    let mut parts: Vec<Part> = Vec::new();
    for tree in trees {
        for (name, path) in layered::components(tree, dir)? {
            parts.retain(|part| part.name != name);
            parts.push(Part { name, path });
        }
    }
    Ok(parts)
}

fn refused(text: String) -> Error {
    Error::Component(compile::Error::Component(text))
}
