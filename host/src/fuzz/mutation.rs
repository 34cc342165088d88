//! Mutations of a corpus, as a strategy of proptest, so that a failure shrinks to few edits.

use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Edits of one input, at most.
const EDITS_MAX: usize = 8;
/// An input that grows beyond this is cut: no property needs a larger one.
const BYTES_MAX: usize = 1 << 20;
/// Bytes that mean something to one of the readers.
const MEANINGFUL: &[u8] = b" \t\r\n\0:;,./\\\"'{}[]()*?$%+-=&#@~!_0129aAzZ\x7f\x80\xbf\xc3\xed\xff";

/// A file of the corpus, and what is done to it.
#[derive(Clone, Debug)]
pub(super) struct Mutation {
    file: Index,
    edits: Vec<Edit>,
}

#[derive(Clone, Debug)]
enum Edit {
    /// Another byte instead of one.
    Set { at: Index, byte: u8 },
    /// One bit the other way.
    Flip { at: Index, bit: u8 },
    /// A byte put in, once or more.
    Insert { at: Index, byte: u8, times: usize },
    /// Bytes taken out.
    Remove { at: Index, bytes: usize },
    /// Bytes once more, right after themselves or more often.
    Repeat {
        at: Index,
        bytes: usize,
        times: usize,
    },
    /// A piece of a file of the corpus, instead of as many bytes or between them.
    Splice {
        at: Index,
        file: Index,
        from: Index,
        bytes: usize,
        overwrites: bool,
    },
    /// Only what comes before.
    Cut { at: Index },
}

impl Mutation {
    /// The input. The corpus must not be empty.
    pub(super) fn apply(&self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut input = self.file.get(corpus).clone();
        for edit in &self.edits {
            edit.apply(&mut input, corpus);
            input.truncate(BYTES_MAX);
        }
        input
    }
}

impl Edit {
    fn apply(&self, input: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let place = |at: &Index, input: &[u8]| at.index(input.len() + 1);
        match self {
            Self::Set { at, byte } => {
                if !input.is_empty() {
                    *at.get_mut(input) = *byte;
                }
            }
            Self::Flip { at, bit } => {
                if !input.is_empty() {
                    *at.get_mut(input) ^= 1 << bit;
                }
            }
            Self::Insert { at, byte, times } => {
                let at = place(at, input);
                input.splice(at..at, std::iter::repeat_n(*byte, *times));
            }
            Self::Remove { at, bytes } => {
                let at = place(at, input);
                input.drain(at..(at + bytes).min(input.len()));
            }
            Self::Repeat { at, bytes, times } => {
                let at = place(at, input);
                let end = (at + bytes).min(input.len());
                let piece = input[at..end].repeat(*times);
                input.splice(end..end, piece);
            }
            Self::Splice {
                at,
                file,
                from,
                bytes,
                overwrites,
            } => {
                let file = file.get(corpus);
                let from = place(from, file);
                let piece = &file[from..(from + bytes).min(file.len())];
                let at = place(at, input);
                let end = if *overwrites { at + piece.len() } else { at };
                input.splice(at..end.min(input.len()), piece.iter().copied());
            }
            Self::Cut { at } => input.truncate(place(at, input)),
        }
    }
}

/// Mutations, most of them few and small edits.
pub(super) fn mutations() -> impl Strategy<Value = Mutation> {
    let edits = proptest::collection::vec(edit(), 1..=EDITS_MAX);
    (any::<Index>(), edits).prop_map(|(file, edits)| Mutation { file, edits })
}

fn edit() -> impl Strategy<Value = Edit> {
    let at = any::<Index>;
    let byte = || prop_oneof![4 => select(MEANINGFUL), 1 => any::<u8>()];
    let bytes = || prop_oneof![4 => 1_usize..5, 4 => 5_usize..64, 1 => 64_usize..4_096];
    prop_oneof![
        4 => (at(), byte()).prop_map(|(at, byte)| Edit::Set { at, byte }),
        2 => (at(), 0_u8..8).prop_map(|(at, bit)| Edit::Flip { at, bit }),
        4 => (at(), byte(), prop_oneof![8 => 1_usize..3, 1 => 3_usize..2_000])
            .prop_map(|(at, byte, times)| Edit::Insert { at, byte, times }),
        4 => (at(), bytes()).prop_map(|(at, bytes)| Edit::Remove { at, bytes }),
        2 => (at(), bytes(), 1_usize..5)
            .prop_map(|(at, bytes, times)| Edit::Repeat { at, bytes, times }),
        6 => (at(), at(), at(), bytes(), any::<bool>()).prop_map(
            |(at, file, from, bytes, overwrites)| Edit::Splice { at, file, from, bytes, overwrites }
        ),
        1 => at().prop_map(|at| Edit::Cut { at }),
    ]
}
