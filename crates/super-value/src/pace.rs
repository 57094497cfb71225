//! Long work asks, every millisecond or so, whether it should go on: whoever waits for it may have lost interest.

use std::sync::OnceLock;

/// What is asked. It returns where work should go on, and unwinds where not.
static ASK: OnceLock<fn()> = OnceLock::new();

/// Tells what long work asks. Nothing is asked without it. The first one stays.
///
/// `ask` may unwind: everything of this crate that asks leaves what it owns in order.
pub fn ask_with(ask: fn()) {
    let _ = ASK.set(ask);
}

/// Asks now.
#[cold]
#[inline(never)]
pub fn ask() {
    if let Some(ask) = ASK.get() {
        ask();
    }
}

/// Steps between two questions, a step being up to some 100 ns.
const STEPS: usize = 4096;

/// Bytes that are looked through, copied or made in one step.
const STEP_BYTES: usize = 64;

/// Counts the steps of one piece of work.
#[derive(Debug)]
pub struct Pace {
    left: usize,
}

impl Pace {
    /// At the begin of the work.
    pub const fn new() -> Self {
        Pace { left: STEPS }
    }

    /// One more step: an element, a comparison.
    #[inline(always)]
    pub fn step(&mut self) {
        self.steps(1);
    }

    /// So many more steps.
    #[inline(always)]
    pub fn steps(&mut self, count: usize) {
        match self.left.checked_sub(count) {
            Some(left) => self.left = left,
            None => {
                self.left = STEPS;
                ask();
            }
        }
    }

    /// One more step over so many bytes.
    #[inline(always)]
    pub fn bytes(&mut self, count: usize) {
        self.steps(1 + count / STEP_BYTES);
    }
}

impl Default for Pace {
    fn default() -> Self {
        Pace::new()
    }
}

/// Bytes of a piece, as [`pieces`] cuts them.
const PIECE: usize = 256 * 1024;

/// The bytes in pieces, with a question before each but the first.
pub fn pieces(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut first = true;
    bytes.chunks(PIECE).inspect(move |_| {
        if !std::mem::take(&mut first) {
            ask();
        }
    })
}

/// How many bytes from the beginning on are UTF-8: all of them where the bytes are a text. They are looked through in pieces.
pub fn valid_utf8(bytes: &[u8]) -> usize {
    let mut checked = 0;
    while checked < bytes.len() {
        if checked > 0 {
            ask();
        }
        let end = bytes.len().min(checked + PIECE);
        match std::str::from_utf8(&bytes[checked..end]) {
            Ok(_) => checked = end,
            // The piece ends inside of a character, which the next one begins with.
            Err(error) if error.error_len().is_none() && end < bytes.len() => {
                checked += error.valid_up_to();
            }
            Err(error) => return checked + error.valid_up_to(),
        }
    }
    checked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_the_bytes() {
        let bytes: Vec<u8> = (0..3 * PIECE + 5).map(|i| i as u8).collect();
        assert_eq!(pieces(&bytes).collect::<Vec<_>>().concat(), bytes);
        assert_eq!(pieces(&[]).count(), 0);
    }

    #[test]
    fn text_is_found_valid_whatever_the_pieces() {
        for before in 0..4 {
            let text = "x".repeat(before) + &"\u{20ac}".repeat(PIECE);
            assert_eq!(valid_utf8(text.as_bytes()), text.len());
            let cut = &text.as_bytes()[..text.len() - 1];
            assert_eq!(valid_utf8(cut), text.len() - 3);
            for wrong in [0, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE] {
                let mut bytes = text.clone().into_bytes();
                bytes[wrong] = 0xff;
                let expected = std::str::from_utf8(&bytes).unwrap_err().valid_up_to();
                assert_eq!(valid_utf8(&bytes), expected);
            }
        }
        assert_eq!(valid_utf8(b""), 0);
    }
}
