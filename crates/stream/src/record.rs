//! One record of a topic.

use crate::kafka::ffi::Message;
pub use crate::kafka::ffi::TimestampType;

/// What a reader's `next` has to say, of any source.
#[derive(Debug)]
pub enum Next<R> {
    /// The next record.
    Record(R),
    /// Nothing has arrived: wait for the client's descriptor, clear it, call again.
    Wait,
    /// Everything has been read as far as was asked.
    End,
}

/// A record, borrowed from the reader until its next call.
#[derive(Clone, Copy)]
pub struct Record<'a>(pub(crate) Message<'a>);

impl<'a> Record<'a> {
    /// The partition.
    #[inline]
    pub fn partition(&self) -> i32 {
        self.0.partition()
    }

    /// The offset within the partition.
    #[inline]
    pub fn offset(&self) -> i64 {
        self.0.offset()
    }

    /// Milliseconds since 1970, and who set them. None in the oldest message format.
    #[inline]
    pub fn timestamp(&self) -> Option<(TimestampType, i64)> {
        self.0.timestamp()
    }

    /// The key; None is different from an empty one.
    #[inline]
    pub fn key(&self) -> Option<&'a [u8]> {
        self.0.key()
    }

    /// The value; None is a tombstone, different from an empty one.
    #[inline]
    pub fn value(&self) -> Option<&'a [u8]> {
        self.0.value()
    }

    /// Bytes of the headers as they were sent: their names and values together are not longer. Known without parsing them.
    #[inline]
    pub fn headers_size(&self) -> usize {
        self.0.headers_size()
    }

    /// Names and values in their order; a name may come more than once, a value may be null. Parsed at the first call.
    pub fn headers(&self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> + use<'a> {
        self.0.headers()
    }

    /// The epoch of the leader that appended the record, if the broker told.
    pub fn leader_epoch(&self) -> Option<i32> {
        self.0.leader_epoch()
    }
}

impl std::fmt::Debug for Record<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Record")
            .field("partition", &self.partition())
            .field("offset", &self.offset())
            .field("key_bytes", &self.key().map(<[u8]>::len))
            .field("value_bytes", &self.value().map(<[u8]>::len))
            .finish()
    }
}
