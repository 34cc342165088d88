//! Buffered file for nearly sequential small reads: the directory and entries of a zip.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

/// Read-ahead: headers and contents of many small entries.
const BUFFER_BYTES: usize = 64 << 10;

/// Buffered file. The zip reader seeks before each header, mostly to the current position or
/// slightly ahead; unlike `BufReader`, this then keeps its buffer.
#[derive(Debug)]
pub(super) struct Buffered {
    file: BufReader<File>,
    at: u64,
}

impl Buffered {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: BufReader::with_capacity(BUFFER_BYTES, File::open(path)?),
            at: 0,
        })
    }
}

impl Read for Buffered {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(bytes)?;
        self.at += u64::try_from(read).expect("a length fits in 64 bits");
        Ok(read)
    }
}

impl Seek for Buffered {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let distance = match to {
            SeekFrom::Start(at) => i64::try_from(i128::from(at) - i128::from(self.at)).ok(),
            SeekFrom::Current(distance) => Some(distance),
            SeekFrom::End(_) => None,
        };
        let target = distance.and_then(|distance| self.at.checked_add_signed(distance));
        match (distance, target) {
            (Some(distance), Some(target)) => {
                self.file.seek_relative(distance)?;
                self.at = target;
            }
            // From the end, or out of the range of a file.
            _ => self.at = self.file.seek(to)?,
        }
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn seeks_behave_like_those_of_a_file() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let content: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
        file.write_all(&content).unwrap();
        let mut buffered = Buffered::open(file.path()).unwrap();
        let mut plain = File::open(file.path()).unwrap();
        for to in [
            SeekFrom::Start(10),
            SeekFrom::Current(5),
            SeekFrom::Current(-3),
            SeekFrom::Start(150_000),
            SeekFrom::End(-7),
            SeekFrom::Start(0),
            SeekFrom::Current(-1),
            SeekFrom::Start(300_000),
            SeekFrom::Start(65_530),
        ] {
            let (one, other) = (buffered.seek(to), plain.seek(to));
            assert_eq!(one.as_ref().ok(), other.as_ref().ok(), "{to:?}");
            let (mut one, mut other) = ([0; 20], [0; 20]);
            let read = plain.read(&mut other).unwrap();
            buffered.read_exact(&mut one[..read]).unwrap();
            assert_eq!(one, other, "{to:?}");
        }
    }
}
