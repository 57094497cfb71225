//! What can go wrong while a topic or a stream is read.

use crate::Refusal;
use std::fmt;

/// Why a request or a reader failed. Messages never hold a property's value, which may be a secret.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Error {
    /// The configuration or an argument cannot work.
    Config(String),
    /// No answer within the caller's time. `cause` is the last trouble with a broker, if there was any.
    Timeout {
        /// What was asked for.
        request: String,
        /// The last trouble with a broker.
        cause: Option<String>,
    },
    /// Broker and client did not come to terms about TLS or authentication.
    Refused {
        /// What was asked for.
        request: String,
        /// What is wrong.
        refusal: Refusal,
        /// librdkafka's explanation.
        cause: String,
    },
    /// The broker does not know this request.
    Unsupported {
        /// What was asked for.
        request: String,
        /// librdkafka's explanation.
        cause: String,
    },
    /// There is no such topic, or none that may be seen.
    UnknownTopic {
        /// Its name.
        topic: String,
    },
    /// The topic that was read is gone, and another one has its name.
    Recreated {
        /// Its name.
        topic: String,
    },
    /// The offset to read from is older than the first record or past the end.
    OffsetOutOfRange {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The offset that does not exist.
        offset: i64,
    },
    /// A partition cannot be read on.
    Partition {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// Where reading stands: the offset that would be read next.
        offset: i64,
        /// The broker's or librdkafka's explanation.
        cause: String,
    },
    /// A batch of records, or an answer of a broker, is larger than [`crate::Config::batch_bytes`].
    TooLarge {
        /// The topic.
        topic: String,
        /// The partition and the batch's offset, if they are known.
        place: Option<(i32, i64)>,
        /// librdkafka's explanation.
        cause: String,
    },
    /// There is no such stream, or none that may be seen.
    UnknownStream {
        /// Its name or ARN.
        stream: String,
    },
    /// There is no such consumer of the stream.
    UnknownConsumer {
        /// The stream.
        stream: String,
        /// The consumer's name.
        consumer: String,
    },
    /// A shard cannot be read on.
    Shard {
        /// The stream.
        stream: String,
        /// The shard's id.
        shard: String,
        /// The service's explanation.
        cause: String,
    },
    /// Nobody who may do this: no credentials, wrong ones, or not allowed.
    Denied {
        /// What was asked for.
        request: String,
        /// What is missing, without any secret.
        cause: String,
    },
    /// A request failed.
    Broker {
        /// What was asked for.
        request: String,
        /// The broker's, librdkafka's or the service's explanation.
        cause: String,
        /// Whether the same request may work a little later.
        transient: bool,
    },
}

impl Error {
    /// Whether the same call may work a little later: the broker was away, or a leader is being elected.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Error::Timeout { .. }
                | Error::Broker {
                    transient: true,
                    ..
                }
        )
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Config(text) => f.write_str(text),
            Error::Timeout {
                request,
                cause: None,
            } => write!(f, "{request}: no answer in time"),
            Error::Timeout {
                request,
                cause: Some(cause),
            } => write!(f, "{request}: no answer in time: {cause}"),
            Error::Refused { request, cause, .. } => write!(f, "{request}: {cause}"),
            Error::Unsupported { request, cause } => {
                write!(f, "{request}: not supported by the broker: {cause}")
            }
            Error::UnknownTopic { topic } => write!(f, "topic \"{topic}\" does not exist"),
            Error::Recreated { topic } => write!(f, "topic \"{topic}\" was re-created"),
            Error::OffsetOutOfRange {
                topic,
                partition,
                offset,
            } => {
                write!(
                    f,
                    "topic \"{topic}\", partition {partition}: there is no offset {offset}"
                )
            }
            Error::Partition {
                topic,
                partition,
                offset,
                cause,
            } => {
                write!(
                    f,
                    "topic \"{topic}\", partition {partition}, offset {offset}: {cause}"
                )
            }
            Error::TooLarge {
                topic,
                place: Some((partition, offset)),
                cause,
            } => write!(
                f,
                "topic \"{topic}\", partition {partition}, offset {offset}: {cause}"
            ),
            Error::TooLarge { topic, cause, .. } => write!(f, "topic \"{topic}\": {cause}"),
            Error::UnknownStream { stream } => write!(f, "stream \"{stream}\" does not exist"),
            Error::UnknownConsumer { stream, consumer } => {
                write!(f, "stream \"{stream}\" has no consumer \"{consumer}\"")
            }
            Error::Shard {
                stream,
                shard,
                cause,
            } => write!(f, "stream \"{stream}\", shard {shard}: {cause}"),
            Error::Denied { request, cause } => write!(f, "{request}: {cause}"),
            Error::Broker { request, cause, .. } => write!(f, "{request}: {cause}"),
        }
    }
}

impl std::error::Error for Error {}

/// An error and what is behind it, from the outside in.
pub(crate) fn chain<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}

/// The same in words. (The SDK's own display adds whole answers of services, which nobody shall read in an error.)
pub(crate) fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let words: Vec<String> = chain(error).map(ToString::to_string).collect();
    words.join(": ")
}

/// A text that a service or a broker sent, short enough for a message.
pub(crate) fn clipped(text: String) -> String {
    const LONGEST: usize = 500;
    if text.len() <= LONGEST {
        return text;
    }
    let end = (0..=LONGEST).rev().find(|&end| text.is_char_boundary(end));
    format!("{} ..", &text[..end.unwrap_or(0)])
}

#[cfg(test)]
mod tests {
    use super::clipped;

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(clipped("short".to_owned()), "short");
        let cut = clipped("\u{e9}".repeat(1_000_000));
        assert!(cut.len() < 510 && cut.ends_with("\u{e9} .."), "{cut}");
    }
}
