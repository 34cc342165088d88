//! Initialization of linear memories. It is an engine setting, so there is one engine per variant.

use wasmparser::{DataKind, Parser, Payload};

/// Smallest data size to map. For guests that write to few pages, 60 KiB cost the same either way,
/// and copying 30 KiB is 20 % cheaper; but copied pages are held by every idle environment.
const MAPPED_BYTES_MIN: usize = 32 << 10;

/// Initialization of data segments.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum MemoryImage {
    /// Copied: pages belong to the environment from the start.
    Copied,
    /// Mapped copy-on-write: the first write to a page costs a fault and a TLB shootdown on the
    /// host's other cores. For components with much data, such as interpreters.
    Mapped,
}

/// One value per variant.
#[derive(Debug)]
pub(super) struct Each<T> {
    copied: T,
    mapped: T,
}

impl<T> Each<T> {
    pub(super) fn make<E>(of: impl Fn(MemoryImage) -> Result<T, E>) -> Result<Self, E> {
        Ok(Self {
            copied: of(MemoryImage::Copied)?,
            mapped: of(MemoryImage::Mapped)?,
        })
    }

    pub(super) fn get(&self, image: MemoryImage) -> &T {
        match image {
            MemoryImage::Copied => &self.copied,
            MemoryImage::Mapped => &self.mapped,
        }
    }

    pub(super) fn both(&self) -> [&T; 2] {
        MemoryImage::ALL.map(|image| self.get(image))
    }
}

impl MemoryImage {
    pub const ALL: [Self; 2] = [Self::Copied, Self::Mapped];

    /// Better variant for a component.
    pub(super) fn of(component: &[u8]) -> wasmparser::Result<Self> {
        let bytes = data_bytes(component)?;
        Ok(if bytes < MAPPED_BYTES_MIN {
            Self::Copied
        } else {
            Self::Mapped
        })
    }
}

/// Bytes of active data segments of all modules in a component.
fn data_bytes(component: &[u8]) -> wasmparser::Result<usize> {
    let mut bytes = 0;
    for payload in Parser::new(0).parse_all(component) {
        let Payload::DataSection(segments) = payload? else {
            continue;
        };
        for segment in segments {
            let segment = segment?;
            if matches!(segment.kind, DataKind::Active { .. }) {
                bytes += segment.data.len();
            }
        }
    }
    Ok(bytes)
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

    #[test]
    fn small_data_is_copied_and_large_is_mapped() {
        let half = MAPPED_BYTES_MIN / 2;
        assert_eq!(data_bytes(&component(half)).unwrap(), MAPPED_BYTES_MIN);
        let of = |bytes| MemoryImage::of(&component(bytes)).unwrap();
        assert_eq!(of(0), MemoryImage::Copied);
        assert_eq!(of(half - 1), MemoryImage::Copied);
        assert_eq!(of(half), MemoryImage::Mapped);
        assert!(MemoryImage::of(b"\0asm\x0d\0\x01\0\xff").is_err());
    }
}
