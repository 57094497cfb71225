//! Answers of AWS, bounded: whatever an endpoint sends, so much is taken and no more.
//!
//! The SDK collects an answer as a whole and parses it, without a limit of its own; a short text can become many times as many bytes of structs. So
//! both are counted as the bytes arrive: how many there are, and how many values they hold. (Time is bounded where requests are made. Redirects are
//! never followed: a signed request goes to the host that it was signed for, or nowhere.)

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use bytes::{Buf, Bytes};
use http_body::{Body, Frame};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

const MIB: usize = 1024 * 1024;
/// A page of records: 10 MiB of data in base64, and what stands around it.
const LARGEST_PAGE: usize = 16 * MIB;
/// Any other answer. The longest are lists of shards and of streams.
const LARGEST_ANSWER: usize = 4 * MIB;
/// Values in an answer: a page has 10,000 records of some fields at most, a list 10,000 shards of eight.
const MOST_VALUES: usize = 300_000;

/// The same client, with bounded answers.
pub fn bounded(client: SharedHttpClient) -> SharedHttpClient {
    SharedHttpClient::new(BoundedClient(client))
}

/// The same connector, with bounded answers.
pub fn bounded_connector(connector: impl HttpConnector + 'static) -> SharedHttpConnector {
    SharedHttpConnector::new(BoundedConnector(SharedHttpConnector::new(connector)))
}

#[derive(Debug)]
struct BoundedClient(SharedHttpClient);

impl HttpClient for BoundedClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        bounded_connector(self.0.http_connector(settings, components))
    }
}

#[derive(Debug)]
struct BoundedConnector(SharedHttpConnector);

impl HttpConnector for BoundedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let is_page = target.ends_with(".GetRecords");
        let answer = self.0.call(request);
        HttpConnectorFuture::new(async move {
            let mut response = answer.await?;
            let kind = response.headers().get("content-type").unwrap_or_default();
            let measure = if kind == "application/vnd.amazon.eventstream" {
                Measure::Events(Event::default())
            } else if is_page {
                Measure::Whole(Size::of(LARGEST_PAGE))
            } else {
                Measure::Whole(Size::of(LARGEST_ANSWER))
            };
            let body = std::mem::replace(response.body_mut(), SdkBody::taken());
            let body = Box::pin(body);
            *response.body_mut() = SdkBody::from_body_1_x(Bounded { body, measure });
            Ok(response)
        })
    }
}

/// A body that ends with an error when it has become too large.
struct Bounded {
    body: Pin<Box<SdkBody>>,
    measure: Measure,
}

impl Body for Bounded {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let frame = ready!(self.body.as_mut().poll_frame(context));
        let fits = match frame
            .as_ref()
            .map(|frame| frame.as_ref().map(Frame::data_ref))
        {
            Some(Ok(Some(data))) => self.measure.add(data),
            _ => true,
        };
        Poll::Ready(if fits {
            frame
        } else {
            Some(Err("the answer is larger than any of the service's".into()))
        })
    }
}

enum Measure {
    /// An answer.
    Whole(Size),
    /// A stream without end, whose events have sizes.
    Events(Event),
}

impl Measure {
    /// False when it is too much.
    fn add(&mut self, data: &[u8]) -> bool {
        match self {
            Measure::Whole(size) => size.add(data),
            Measure::Events(event) => event.add(data),
        }
    }
}

/// What has come of one text.
struct Size {
    bytes_left: usize,
    values_left: usize,
    /// Within a string of JSON, and behind a backslash there.
    in_string: bool,
    is_escaped: bool,
}

impl Size {
    fn of(most: usize) -> Size {
        Size {
            bytes_left: most,
            values_left: MOST_VALUES,
            in_string: false,
            is_escaped: false,
        }
    }

    fn add(&mut self, data: &[u8]) -> bool {
        let Some(left) = self.bytes_left.checked_sub(data.len()) else {
            return false;
        };
        self.bytes_left = left;
        for &byte in data {
            if self.is_escaped {
                self.is_escaped = false;
                continue;
            }
            match byte {
                b'\\' => self.is_escaped = self.in_string,
                b'"' => self.in_string = !self.in_string,
                b'{' | b'[' | b',' if !self.in_string => {
                    let Some(left) = self.values_left.checked_sub(1) else {
                        return false;
                    };
                    self.values_left = left;
                }
                _ => {}
            }
        }
        true
    }
}

/// An event of a stream as it arrives: its size, the size of its headers, a sum; headers; a text; a sum.
#[derive(Default)]
struct Event {
    head: Vec<u8>,
    headers_left: usize,
    text_left: usize,
    sum_left: usize,
    text: Option<Size>,
}

const EVENT_HEAD: usize = 12;
const EVENT_SUM: usize = 4;

impl Event {
    fn add(&mut self, mut data: &[u8]) -> bool {
        while !data.is_empty() {
            let fits = if self.head.len() < EVENT_HEAD {
                let part = take(&mut data, EVENT_HEAD - self.head.len());
                self.head.extend(part);
                self.head.len() < EVENT_HEAD || self.begin()
            } else if self.headers_left > 0 {
                self.headers_left -= take(&mut data, self.headers_left).len();
                true
            } else if self.text_left > 0 {
                let part = take(&mut data, self.text_left);
                self.text_left -= part.len();
                self.text.as_mut().is_none_or(|text| text.add(part))
            } else {
                self.sum_left -= take(&mut data, self.sum_left).len();
                true
            };
            if !fits {
                return false;
            }
            let is_whole = self.headers_left + self.text_left + self.sum_left == 0;
            if self.head.len() == EVENT_HEAD && is_whole {
                *self = Event::default();
            }
        }
        true
    }

    fn begin(&mut self) -> bool {
        let mut head = self.head.as_slice();
        let (size, headers) = (head.get_u32() as usize, head.get_u32() as usize);
        let text = size
            .checked_sub(EVENT_HEAD + EVENT_SUM)
            .and_then(|left| left.checked_sub(headers));
        let Some(text) = text.filter(|_| size <= LARGEST_PAGE) else {
            return false;
        };
        self.headers_left = headers;
        self.text_left = text;
        self.sum_left = EVENT_SUM;
        self.text = Some(Size::of(LARGEST_PAGE));
        true
    }
}

fn take<'a>(data: &mut &'a [u8], most: usize) -> &'a [u8] {
    let (part, rest) = data.split_at(most.min(data.len()));
    *data = rest;
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_values_are_counted() {
        let mut size = Size::of(10);
        assert!(size.add(b"12345") && size.add(b"67890") && !size.add(b"1"));
        let mut size = Size::of(LARGEST_PAGE);
        assert!(size.add(&b"{},".repeat(MOST_VALUES / 2)) && !size.add(b"{},"));
    }

    #[test]
    fn what_stands_in_strings_is_no_value() {
        let mut size = Size::of(LARGEST_PAGE);
        let text = format!("\"{}\"", r#"{[,\"\\"#.repeat(MOST_VALUES));
        assert!(size.add(text.as_bytes()));
        assert_eq!(size.values_left, MOST_VALUES);
    }

    #[test]
    fn events_are_measured_one_by_one() {
        let event = |text: &[u8]| {
            let mut bytes = (text.len() as u32 + 18).to_be_bytes().to_vec();
            bytes.extend(2_u32.to_be_bytes());
            bytes.extend([0; 6]);
            bytes.extend(text);
            bytes.extend([0; 4]);
            bytes
        };
        let stream = event(br#"{"a": 1, "b": []}"#).repeat(MOST_VALUES);
        let mut measure = Event::default();
        assert!(stream.chunks(1_000).all(|part| measure.add(part)));
        assert!(Event::default().add(&event(b"")));
        assert!(!Event::default().add(&event(&b"{},".repeat(MOST_VALUES))));
        for head in [[0xff; 12], [0; 12], [0, 0, 0, 20, 0, 0, 0, 9, 0, 0, 0, 0]] {
            assert!(!Event::default().add(&head));
        }
    }
}
