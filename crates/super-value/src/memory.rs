//! Growth that follows what a user sends: a request that cannot be met is an error, where `Vec` would end the process.

use std::fmt;

/// Why a value could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// The memory that it needs is not to be had.
    Memory,
    /// It would be longer than its form holds.
    Length,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Limit::Memory => "out of memory",
            Limit::Length => "the value is too long",
        })
    }
}

impl std::error::Error for Limit {}

/// An empty vector with room for exactly `count` items.
pub fn with_room<T>(count: usize) -> Result<Vec<T>, Limit> {
    let mut items = Vec::new();
    items.try_reserve_exact(count).map_err(|_| Limit::Memory)?;
    Ok(items)
}

/// Appends an item.
pub fn push<T>(items: &mut Vec<T>, item: T) -> Result<(), Limit> {
    items.try_reserve(1).map_err(|_| Limit::Memory)?;
    items.push(item);
    Ok(())
}

/// Appends `more`.
pub fn extend<T: Copy>(items: &mut Vec<T>, more: &[T]) -> Result<(), Limit> {
    items.try_reserve(more.len()).map_err(|_| Limit::Memory)?;
    items.extend_from_slice(more);
    Ok(())
}

/// Appends `count` times the same item.
pub fn extend_by<T: Clone>(items: &mut Vec<T>, count: usize, item: T) -> Result<(), Limit> {
    items.try_reserve(count).map_err(|_| Limit::Memory)?;
    items.resize(items.len() + count, item);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_had_is_an_error() {
        assert_eq!(with_room::<u64>(usize::MAX / 16), Err(Limit::Memory));
        let mut items = vec![1u8];
        assert_eq!(extend_by(&mut items, usize::MAX / 4, 0), Err(Limit::Memory));
        assert_eq!(extend(&mut items, &[2, 3]), Ok(()));
        assert_eq!(push(&mut items, 4), Ok(()));
        assert_eq!(items, [1, 2, 3, 4]);
    }
}
