//! Kinds of engines. Settings on which compiled code depends belong to an engine, so there is one for each combination
//! that components need.

use wasmparser::{CanonicalFunction, Data, DataKind, Parser, Payload};

/// Smallest data size to map. For guests that write to few pages, 60 KiB cost the same either way,
/// and copying 30 KiB is 20 % cheaper; but copied pages are held by every idle environment.
const MAPPED_BYTES_MIN: usize = 32 << 10;

/// Kind of the engine that runs a component.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum EngineKind {
    /// Data segments are copied: pages belong to the environment from the start.
    Copied,
    /// Data segments are mapped copy-on-write: the first write to a page costs a fault and a TLB shootdown on the
    /// host's other cores. For components with much data, such as interpreters.
    Mapped,
    /// Tasks of a component run concurrently, as WASI 0.3 demands. A call costs more than twice as much.
    Concurrent,
}

/// One value per kind.
#[derive(Debug)]
pub(super) struct Each<T> {
    copied: T,
    mapped: T,
    concurrent: T,
}

impl<T> Each<T> {
    pub(super) fn make<E>(of: impl Fn(EngineKind) -> Result<T, E>) -> Result<Self, E> {
        Ok(Self {
            copied: of(EngineKind::Copied)?,
            mapped: of(EngineKind::Mapped)?,
            concurrent: of(EngineKind::Concurrent)?,
        })
    }

    pub(super) fn get(&self, kind: EngineKind) -> &T {
        match kind {
            EngineKind::Copied => &self.copied,
            EngineKind::Mapped => &self.mapped,
            EngineKind::Concurrent => &self.concurrent,
        }
    }

    pub(super) fn all(&self) -> [&T; EngineKind::COUNT] {
        EngineKind::ALL.map(|kind| self.get(kind))
    }
}

impl EngineKind {
    pub(super) const COUNT: usize = 3;
    pub const ALL: [Self; Self::COUNT] = [Self::Copied, Self::Mapped, Self::Concurrent];
}

/// Parts of a component that decide about its engine.
#[derive(Debug, Default)]
pub(super) struct Shape {
    /// Bytes of active data segments of all modules.
    data_bytes: usize,
    /// It imports or exports an interface of WASI 0.3.
    is_concurrent: bool,
    /// A component within it has functions of its own.
    is_composed: bool,
}

impl Shape {
    pub(super) fn of(component: &[u8]) -> wasmparser::Result<Self> {
        let mut shape = Self::default();
        // Payloads of nested modules and components come between those of the component.
        let mut depth = 0_usize;
        for payload in Parser::new(0).parse_all(component) {
            match payload? {
                Payload::Version { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::DataSection(segments) => {
                    for segment in segments {
                        shape.data_bytes += active_bytes(&segment?);
                    }
                }
                Payload::ComponentImportSection(imports) if depth == 1 => {
                    for import in imports {
                        shape.is_concurrent |= is_wasi_3(import?.name.name);
                    }
                }
                Payload::ComponentExportSection(exports) if depth == 1 => {
                    for export in exports {
                        shape.is_concurrent |= is_wasi_3(export?.name.name);
                    }
                }
                Payload::ComponentCanonicalSection(functions) if depth > 1 => {
                    for function in functions {
                        let is_lift = matches!(function?, CanonicalFunction::Lift { .. });
                        shape.is_composed |= is_lift;
                    }
                }
                _ => {}
            }
        }
        Ok(shape)
    }

    /// Kind that the component needs, or that suits it better.
    pub(super) fn kind(&self) -> EngineKind {
        if self.is_concurrent {
            EngineKind::Concurrent
        } else if self.data_bytes < MAPPED_BYTES_MIN {
            EngineKind::Copied
        } else {
            EngineKind::Mapped
        }
    }

    /// True for components of WASI 0.3 in one. Each of them may suspend a task with a stack of its own.
    pub(super) fn has_many_stacks(&self) -> bool {
        self.is_concurrent && self.is_composed
    }
}

/// True for the name of an interface of WASI 0.3.
pub(super) fn is_wasi_3(name: &str) -> bool {
    name.starts_with("wasi:") && name.contains("@0.3.")
}

fn active_bytes(segment: &Data<'_>) -> usize {
    match segment.kind {
        DataKind::Active { .. } => segment.data.len(),
        DataKind::Passive => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Component with one module, a memory, two active segments and a passive one.
    fn component(segment_bytes: usize) -> Vec<u8> {
        let data = vec![7; segment_bytes];
        let active = [&[0, 0x41, 0, 0x0b], length(data.len()).as_slice(), &data].concat();
        let passive = [&[1], length(data.len()).as_slice(), &data].concat();
        let segments = [&[3], active.as_slice(), &active, &passive].concat();
        let memory = [5, 3, 1, 0, 16];
        let module = [
            b"\0asm\x01\0\0\0",
            memory.as_slice(),
            &[11],
            &length(segments.len()),
            &segments,
        ]
        .concat();
        [
            b"\0asm\x0d\0\x01\0",
            [1].as_slice(),
            &length(module.len()),
            &module,
        ]
        .concat()
    }

    /// LEB128 length.
    fn length(of: usize) -> [u8; 4] {
        let byte = |shift: u32, more: u8| u8::try_from(of >> shift & 0x7f).unwrap() | more;
        [byte(0, 0x80), byte(7, 0x80), byte(14, 0x80), byte(21, 0)]
    }

    fn kind(component: &[u8]) -> EngineKind {
        Shape::of(component).unwrap().kind()
    }

    /// Component that exports a component within it by this name.
    fn exporting(name: &str, nested: &[u8]) -> Vec<u8> {
        let length = |bytes: usize| u8::try_from(bytes).unwrap();
        let export = [&[1, 0, length(name.len())], name.as_bytes(), &[4, 0, 0]].concat();
        [
            b"\0asm\x0d\0\x01\0".as_slice(),
            &[4, length(nested.len())],
            nested,
            &[11, length(export.len())],
            &export,
        ]
        .concat()
    }

    #[test]
    fn component_of_wasi_3_is_concurrent() {
        let empty = b"\0asm\x0d\0\x01\0";
        for (name, expected) in [
            ("wasi:http/handler@0.3.0", EngineKind::Concurrent),
            ("wasi:http/incoming-handler@0.2.0", EngineKind::Copied),
            ("acme:http/handler@0.3.0", EngineKind::Copied),
        ] {
            assert_eq!(kind(&exporting(name, empty)), expected, "{name}");
        }
        let nested = exporting("wasi:http/handler@0.3.0", empty);
        assert_eq!(kind(&exporting("acme:own/x", &nested)), EngineKind::Copied);
    }

    #[test]
    fn functions_of_nested_component_have_stacks_of_their_own() {
        let lifting = b"\0asm\x0d\0\x01\0\x08\x06\x01\0\0\0\0\0";
        for (name, nested, expected) in [
            ("wasi:http/handler@0.3.0", lifting.as_slice(), true),
            ("wasi:http/handler@0.3.0", &lifting[..8], false),
            ("wasi:http/incoming-handler@0.2.0", lifting, false),
        ] {
            let shape = Shape::of(&exporting(name, nested)).unwrap();
            assert_eq!(shape.has_many_stacks(), expected, "{name}");
        }
    }

    #[test]
    fn small_data_is_copied_and_large_is_mapped() {
        let half = MAPPED_BYTES_MIN / 2;
        let data_bytes = Shape::of(&component(half)).unwrap().data_bytes;
        assert_eq!(data_bytes, MAPPED_BYTES_MIN);
        assert_eq!(kind(&component(0)), EngineKind::Copied);
        assert_eq!(kind(&component(half - 1)), EngineKind::Copied);
        assert_eq!(kind(&component(half)), EngineKind::Mapped);
        assert!(Shape::of(b"\0asm\x0d\0\x01\0\xff").is_err());
    }
}
