//! Records: the queue they arrive in, the topic they are fetched from, the messages themselves.

use super::code::{Code, Failure, bytes, raw};
use super::handle::{Handle, millis};
use super::request::Event;
use super::wait::{LOOK, Wait};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use rdkafka_sys as rd;
use std::ffi::CStr;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::sync::Arc;

/// A queue that makes the client's wake pipe readable when something arrives.
pub struct Queue {
    queue: NonNull<rd::rd_kafka_queue_t>,
    handle: Arc<Handle>,
}

impl Queue {
    pub(super) fn adopt(handle: &Arc<Handle>, queue: *mut rd::rd_kafka_queue_t) -> Queue {
        let queue = NonNull::new(queue).expect("librdkafka aborts rather than fail to allocate");
        let descriptor = handle.wake.write_fd();
        // SAFETY: the payload is copied; the descriptor stays open as long as the client.
        unsafe {
            rd::rd_kafka_queue_io_event_enable(queue.as_ptr(), descriptor, c"w".as_ptr().cast(), 1)
        };
        Queue {
            queue,
            handle: Arc::clone(handle),
        }
    }

    pub(super) fn raw(&self) -> *mut rd::rd_kafka_queue_t {
        self.queue.as_ptr()
    }

    /// The next event; waits for it.
    pub(super) fn wait(&self, wait: &Wait) -> Result<Event, Failure> {
        loop {
            let left = wait.left();
            // SAFETY: the queue is alive; an event is ours to destroy.
            let event = unsafe { rd::rd_kafka_queue_poll(self.raw(), millis(left.min(LOOK))) };
            match NonNull::new(event) {
                Some(event) => return Ok(Event(event)),
                None if left.is_zero() => return Err(Failure::of(Code::TIMED_OUT)),
                None => {}
            }
        }
    }

    /// The next event, if one is there.
    pub fn poll(&self) -> Option<Event> {
        // SAFETY: the queue is alive; an event is ours to destroy.
        NonNull::new(unsafe { rd::rd_kafka_queue_poll(self.raw(), 0) }).map(Event)
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: what still arrives is discarded by librdkafka.
        unsafe { rd::rd_kafka_queue_destroy(self.raw()) };
    }
}

/// A topic of which partitions are read into a queue.
pub struct Topic {
    pub(super) topic: NonNull<rd::rd_kafka_topic_t>,
    handle: Arc<Handle>,
}

/// Kafka's id of a topic: the high and the low half.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TopicId(i64, i64);

impl TopicId {
    /// Of the text that librdkafka writes for it: base64, 22 characters.
    pub fn parse(text: &str) -> Option<TopicId> {
        let bytes: [u8; 16] = STANDARD_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let number = u128::from_be_bytes(bytes);
        Some(TopicId((number >> 64) as i64, number as i64))
    }
}

impl Topic {
    /// No request is made yet.
    pub fn new(handle: &Arc<Handle>, name: &CStr) -> Result<Topic, Failure> {
        // SAFETY: the name is copied; no configuration means the client's default.
        let topic = unsafe { rd::rd_kafka_topic_new(handle.raw(), name.as_ptr(), ptr::null_mut()) };
        match NonNull::new(topic) {
            Some(topic) => Ok(Topic {
                topic,
                handle: Arc::clone(handle),
            }),
            None => Err(last_failure()),
        }
    }

    /// From now on records come from the topic with this id, or from whichever has the name; see patches/librdkafka.
    pub fn expect_id(&self, id: Option<TopicId>) {
        let topic = self.topic.as_ptr();
        // SAFETY: the topic is alive; the id is new, copied, and destroyed.
        unsafe {
            let Some(TopicId(high, low)) = id else {
                return raw::rd_kafka_topic_expect_id(topic, ptr::null());
            };
            let id = rd::rd_kafka_Uuid_new(high, low);
            raw::rd_kafka_topic_expect_id(topic, id);
            rd::rd_kafka_Uuid_destroy(id);
        }
    }

    /// Starts to fetch a partition into `queue`. Does not block.
    pub fn start(&self, partition: i32, offset: i64, queue: &Queue) -> Result<(), Failure> {
        debug_assert!(
            Arc::ptr_eq(&self.handle, &queue.handle),
            "topic and queue of one client"
        );
        // SAFETY: the topic is alive; librdkafka holds the queue as long as it needs it.
        match unsafe {
            rd::rd_kafka_consume_start_queue(self.topic.as_ptr(), partition, offset, queue.raw())
        } {
            0 => Ok(()),
            _ => Err(last_failure()),
        }
    }

    /// Ends the fetching. Waits for librdkafka's main thread, which never waits for the network.
    pub fn stop(&self, partition: i32) {
        // SAFETY: the topic is alive. What is still queued becomes outdated and is not delivered.
        unsafe { rd::rd_kafka_consume_stop(self.topic.as_ptr(), partition) };
    }
}

impl Drop for Topic {
    fn drop(&mut self) {
        // SAFETY: ours; librdkafka counts its own references.
        unsafe { rd::rd_kafka_topic_destroy(self.topic.as_ptr()) };
    }
}

pub(super) fn last_failure() -> Failure {
    // SAFETY: reads a thread-local.
    Failure::of(Code(unsafe { raw::rd_kafka_last_error() }))
}

/// Messages taken from a queue in one go; they stay until the next [`Batch::fill`].
pub struct Batch {
    messages: Vec<*mut rd::rd_kafka_message_t>,
}

impl Batch {
    /// Takes up to `capacity` messages at a time.
    pub fn new(capacity: usize) -> Batch {
        Batch {
            messages: Vec::with_capacity(capacity.max(1)),
        }
    }

    /// Replaces the messages by the next of the queue, without waiting. Returns whether there are any.
    pub fn fill(&mut self, queue: &Queue) -> bool {
        self.clear();
        // SAFETY: the vector has room for its capacity; the call writes that many pointers at most and says how many.
        unsafe {
            let room = self.messages.capacity();
            let count =
                rd::rd_kafka_consume_batch_queue(queue.raw(), 0, self.messages.as_mut_ptr(), room);
            self.messages
                .set_len(usize::try_from(count).unwrap_or(0).min(room));
        }
        !self.messages.is_empty()
    }

    /// Gives the messages back.
    pub fn clear(&mut self) {
        for message in self.messages.drain(..).filter(|message| !message.is_null()) {
            // SAFETY: ours since the fill; borrows of it ended, or this could not be borrowed mutably.
            unsafe { rd::rd_kafka_message_destroy(message) };
        }
    }

    /// Moves one message to the end of another batch. It cannot be got from this one any more.
    pub fn move_to(&mut self, index: usize, other: &mut Batch) {
        if let Some(place) = self.messages.get_mut(index) {
            other
                .messages
                .push(std::mem::replace(place, ptr::null_mut()));
        }
    }

    /// Number of messages.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// One message.
    #[inline]
    pub fn get(&self, index: usize) -> Option<Message<'_>> {
        let message = *self.messages.get(index)?;
        (!message.is_null()).then_some(Message {
            message,
            batch: PhantomData,
        })
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.clear();
    }
}

/// A record or an event of a partition.
#[derive(Clone, Copy)]
pub struct Message<'a> {
    message: *mut rd::rd_kafka_message_t,
    batch: PhantomData<&'a Batch>,
}

/// Who set a record's timestamp.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimestampType {
    /// The producer.
    Create,
    /// The broker, when it appended the record.
    LogAppend,
}

impl<'a> Message<'a> {
    /// What kind of event this is; [`Code::NONE`] is a record.
    #[inline]
    pub fn code(self) -> Code {
        // SAFETY: alive until the batch is refilled. The code is read as the number that it is in C, and no reference to
        // the whole struct is made, since its enum may hold a number that Rust's does not know.
        Code(unsafe { (&raw const (*self.message).err).cast::<i32>().read() })
    }

    #[inline]
    pub fn partition(self) -> i32 {
        // SAFETY: alive until the batch is refilled.
        unsafe { (*self.message).partition }
    }

    #[inline]
    pub fn offset(self) -> i64 {
        // SAFETY: alive until the batch is refilled.
        unsafe { (*self.message).offset }
    }

    #[inline]
    pub fn key(self) -> Option<&'a [u8]> {
        // SAFETY: the key lives as long as the message.
        unsafe { bytes((*self.message).key, (*self.message).key_len) }
    }

    /// The value of a record, the explanation of an event.
    #[inline]
    pub fn value(self) -> Option<&'a [u8]> {
        // SAFETY: the value lives as long as the message.
        unsafe { bytes((*self.message).payload, (*self.message).len) }
    }

    #[inline]
    pub fn timestamp(self) -> Option<(TimestampType, i64)> {
        let mut kind = rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message is alive; librdkafka sets the type to one of its three.
        let ms = unsafe { rd::rd_kafka_message_timestamp(self.message, &mut kind) };
        match kind {
            rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_CREATE_TIME => {
                Some((TimestampType::Create, ms))
            }
            rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME => {
                Some((TimestampType::LogAppend, ms))
            }
            rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE => None,
        }
        .filter(|&(_, ms)| ms >= 0)
    }

    pub fn leader_epoch(self) -> Option<i32> {
        // SAFETY: the message is alive.
        Some(unsafe { rd::rd_kafka_message_leader_epoch(self.message) }).filter(|&epoch| epoch >= 0)
    }

    /// Bytes of the headers as they were sent, without parsing them: their names and values together are not longer.
    pub fn headers_size(self) -> usize {
        // SAFETY: the message is alive; reads a length.
        unsafe { raw::rd_kafka_message_headers_size(self.message) }
    }

    /// The headers in their order. They are parsed at the first call.
    pub fn headers(self) -> Headers<'a> {
        let mut headers = ptr::null_mut();
        // SAFETY: the message is alive and owns the parsed headers; without any the pointer stays null.
        unsafe { rd::rd_kafka_message_headers(self.message, &mut headers) };
        Headers {
            headers,
            next: 0,
            batch: PhantomData,
        }
    }
}

/// Iterates over a record's headers.
pub struct Headers<'a> {
    headers: *const rd::rd_kafka_headers_t,
    next: usize,
    batch: PhantomData<&'a Batch>,
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a [u8], Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.headers.is_null() {
            return None;
        }
        let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
        // SAFETY: the headers belong to a message that lives as long as 'a; past the end the call says so and writes
        // nothing. Names end in NUL.
        unsafe {
            let outcome = rd::rd_kafka_header_get_all(
                self.headers,
                self.next,
                &mut name,
                &mut value,
                &mut size,
            );
            if outcome != rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                return None;
            }
            self.next += 1;
            Some((CStr::from_ptr(name).to_bytes(), bytes(value, size)))
        }
    }
}
