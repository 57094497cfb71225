//! The order of an object's keys: by length, then by bytes; of equal keys only the last one counts.

use crate::pace::Pace;

/// Up to this many an insertion sort is faster than anything cleverer.
const FEW: usize = 24;

/// Where a value or key is.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Place {
    /// Its entry of the index.
    pub entry: u32,
    /// The first container at or after it.
    pub container: u32,
}

/// Which buffer a key's bytes are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Text,
    /// The key has escapes.
    Resolved,
}

/// An object's pair while its keys are put in order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pair {
    /// Orders keys: length (16 bits), then the first six bytes. Equal ranks of keys longer than six bytes decide nothing.
    pub rank: u64,
    start: u32,
    length: u32,
    source: Source,
    /// Which pair of the object it is in the text.
    pub document_order: u32,
    pub value: Place,
}

impl Pair {
    #[inline(always)]
    pub fn new(buffer: &[u8], source: Source, start: usize, length: usize) -> Self {
        Pair {
            rank: Self::rank(buffer, start, length),
            start: start as u32,
            length: length as u32,
            source,
            document_order: 0,
            value: Place::default(),
        }
    }

    #[inline(always)]
    pub fn rank(buffer: &[u8], start: usize, length: usize) -> u64 {
        let first = match buffer[start..].first_chunk::<8>() {
            Some(first) => u64::from_be_bytes(*first),
            None => {
                // The last resolved strings have nothing after them.
                let mut first = [0; 8];
                let rest = &buffer[start..];
                first[..rest.len()].copy_from_slice(rest);
                u64::from_be_bytes(first)
            }
        };
        let own = if length < 8 {
            first & !(u64::MAX >> (8 * length))
        } else {
            first
        };
        (length.min(0xFFFF) as u64) << 48 | own >> 16
    }

    /// The key with its value, the pair at this place in the text.
    pub fn of(self, document_order: u32, value: Place) -> Self {
        Pair {
            document_order,
            value,
            ..self
        }
    }

    /// The key.
    #[inline(always)]
    pub fn bytes<'a>(&self, text: &'a [u8], resolved: &'a [u8]) -> &'a [u8] {
        let buffer = match self.source {
            Source::Text => text,
            Source::Resolved => resolved,
        };
        &buffer[self.start as usize..][..self.length as usize]
    }
}

/// Puts `pairs`, which are in document order, in key order and takes out all but the last of equal keys.
pub(crate) fn sort(pairs: &mut Vec<Pair>, text: &[u8], resolved: &[u8]) {
    let bytes = |pair: &Pair| pair.bytes(text, resolved);
    // Equal ranks leave the lengths equal but for those of 64 kB and more.
    let order = |a: &Pair, b: &Pair| {
        a.rank
            .cmp(&b.rank)
            .then_with(|| a.length.cmp(&b.length))
            .then_with(|| bytes(a).cmp(bytes(b)))
    };
    if pairs.len() <= FEW {
        for unsorted in 1..pairs.len() {
            let pair = pairs[unsorted];
            let mut to = unsorted;
            // Equal keys stay in document order.
            while to > 0 && order(&pairs[to - 1], &pair).is_gt() {
                pairs[to] = pairs[to - 1];
                to -= 1;
            }
            pairs[to] = pair;
        }
    } else {
        let mut pace = Pace::new();
        pairs.sort_unstable_by(|a, b| {
            pace.step();
            order(a, b).then(a.document_order.cmp(&b.document_order))
        });
    }
    let equal = |a: &Pair, b: &Pair| a.rank == b.rank && bytes(a) == bytes(b);
    if pairs.windows(2).any(|two| equal(&two[0], &two[1])) {
        let mut kept = 0;
        for pair in 1..pairs.len() {
            if !equal(&pairs[kept], &pairs[pair]) {
                kept += 1;
            }
            pairs[kept] = pairs[pair];
        }
        pairs.truncate(kept + 1);
    }
}
