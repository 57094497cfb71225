//! What is asked of a broker beside records: topics, partitions, offsets.

use super::code::{Code, Failure, Message512, raw, text};
use super::handle::{Handle, millis};
use super::message::Topic;
use super::wait::Wait;
use rdkafka_sys as rd;
use std::ffi::c_int;
use std::ptr::{self, NonNull};
use std::time::Duration;

/// An answer about topics and brokers.
pub(super) struct Metadata(pub(super) NonNull<rd::rd_kafka_metadata>);

/// One topic of it.
pub(super) struct FoundTopic {
    pub(super) name: String,
    pub(super) code: Code,
    pub(super) partitions: Vec<i32>,
}

impl Metadata {
    /// Asks about one topic or about all, and waits.
    pub(super) fn of(
        handle: &Handle,
        topic: Option<&Topic>,
        wait: &Wait,
    ) -> Result<Metadata, Failure> {
        let only = topic.map_or(ptr::null_mut(), |topic| topic.topic.as_ptr());
        let (all, mut metadata) = (i32::from(topic.is_none()), ptr::null());
        // SAFETY: the topic is null or alive, the flag is alive and an atomic; on success the answer is ours to destroy.
        let code = Code(unsafe {
            raw::rd_kafka_metadata_cancellable(
                handle.raw(),
                all,
                only,
                &mut metadata,
                millis(wait.left()),
                wait.give_up.flag(),
            )
        });
        match NonNull::new(metadata.cast_mut()) {
            Some(metadata) if code == Code::NONE => Ok(Metadata(metadata)),
            _ => Err(Failure::of(code)),
        }
    }

    pub(super) fn topics(&self) -> impl Iterator<Item = FoundTopic> + '_ {
        // SAFETY: alive until the drop, with as many topics as it says, each with as many partitions. Codes are read as
        // the numbers that they are in C.
        unsafe {
            let metadata = self.0.as_ptr();
            (0..usize::try_from((*metadata).topic_cnt).unwrap_or(0)).map(move |index| {
                let topic = (*metadata).topics.add(index);
                let partitions = 0..usize::try_from((*topic).partition_cnt).unwrap_or(0);
                FoundTopic {
                    name: text((*topic).topic),
                    code: Code((&raw const (*topic).err).cast::<i32>().read()),
                    partitions: partitions
                        .map(|index| (*(*topic).partitions.add(index)).id)
                        .collect(),
                }
            })
        }
    }

    pub(super) fn only_topic(&self) -> Result<FoundTopic, Failure> {
        let found = self
            .topics()
            .next()
            .ok_or_else(|| Failure::of(Code::UNKNOWN_TOPIC_OR_PARTITION))?;
        if found.code == Code::NONE {
            Ok(found)
        } else {
            Err(Failure::of(found.code))
        }
    }

    pub(super) fn any_broker(&self) -> Option<i32> {
        let metadata = self.0.as_ptr();
        // SAFETY: alive until the drop, with as many brokers as it says.
        unsafe { ((*metadata).broker_cnt > 0).then(|| (*(*metadata).brokers).id) }
    }
}

impl Drop for Metadata {
    fn drop(&mut self) {
        // SAFETY: ours.
        unsafe { rd::rd_kafka_metadata_destroy(self.0.as_ptr()) };
    }
}

/// Options of one admin request.
pub(super) struct AdminOptions(pub(super) *mut rd::rd_kafka_AdminOptions_t);

impl AdminOptions {
    pub(super) fn new(
        handle: &Handle,
        request: rd::rd_kafka_admin_op_t,
        timeout: Duration,
    ) -> AdminOptions {
        let mut message = Message512::new();
        // SAFETY: the client is alive, the options are new. A timeout beyond the limit keeps the default.
        unsafe {
            let options = rd::rd_kafka_AdminOptions_new(handle.raw(), request);
            let timeout = millis(timeout).min(3_600_000);
            rd::rd_kafka_AdminOptions_set_request_timeout(
                options,
                timeout,
                message.start(),
                message.0.len(),
            );
            AdminOptions(options)
        }
    }

    pub(super) fn broker(&self, id: i32) {
        let mut message = Message512::new();
        // SAFETY: the options are ours. A number that is refused leaves the default.
        unsafe {
            rd::rd_kafka_AdminOptions_set_broker(self.0, id, message.start(), message.0.len())
        };
    }

    pub(super) fn read_committed(&self) {
        let level = rd::rd_kafka_IsolationLevel_t::RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED;
        // SAFETY: the options are ours; an error object, if any, is ours to destroy (null is allowed).
        unsafe {
            let error = rd::rd_kafka_AdminOptions_set_isolation_level(self.0, level);
            debug_assert!(error.is_null(), "ListOffsets takes an isolation level");
            rd::rd_kafka_error_destroy(error);
        }
    }
}

impl Drop for AdminOptions {
    fn drop(&mut self) {
        // SAFETY: requests copy their options.
        unsafe { rd::rd_kafka_AdminOptions_destroy(self.0) };
    }
}

/// What came from a queue.
pub struct Event(pub(super) NonNull<rd::rd_kafka_event_t>);

/// One partition of an answer to [`Handle::list_offsets`]; negative numbers are librdkafka's "none".
pub struct ListedOffset {
    pub partition: i32,
    pub code: Code,
    pub offset: i64,
    pub timestamp_ms: i64,
    pub leader_epoch: i32,
}

/// What [`Handle::describe_topic`] finds out.
pub struct TopicDescription {
    pub topic_id: Option<String>,
    pub partitions: Vec<i32>,
}

impl Event {
    pub(super) fn raw(&self) -> *mut rd::rd_kafka_event_t {
        self.0.as_ptr()
    }

    pub(super) fn kind(&self) -> c_int {
        // SAFETY: the event is alive.
        unsafe { rd::rd_kafka_event_type(self.raw()) }
    }

    /// Whether this is an error of the whole client, as opposed to a log line or an answer.
    pub fn is_error(&self) -> bool {
        self.kind() == rd::RD_KAFKA_EVENT_ERROR
    }

    /// The error in this event.
    pub fn failure(&self) -> Option<Failure> {
        // SAFETY: the event is alive; its message is copied.
        let code = Code(unsafe { raw::rd_kafka_event_error(self.raw()) });
        (code != Code::NONE).then(|| Failure {
            code,
            // SAFETY: as above.
            message: text(unsafe { rd::rd_kafka_event_error_string(self.raw()) }),
        })
    }

    /// The text of a log line, without the name of the thread before it.
    pub fn log_line(&self) -> Option<String> {
        let (mut facility, mut line, mut level) = (ptr::null(), ptr::null(), 0);
        // SAFETY: the event is alive; the call writes only for a log event, whose strings are copied here.
        let found =
            unsafe { rd::rd_kafka_event_log(self.raw(), &mut facility, &mut line, &mut level) };
        let line = (found == 0).then(|| text(line))?;
        Some(match line.split_once("]: ") {
            Some((thread, rest)) if thread.starts_with("[thrd:") => rest.to_owned(),
            _ => line,
        })
    }

    /// Reads the answer to [`Handle::list_offsets`].
    pub(super) fn listed_offsets(&self) -> Result<Vec<ListedOffset>, Failure> {
        if let Some(failure) = self.failure() {
            return Err(failure);
        }
        // SAFETY: null unless the event is such an answer; everything below belongs to the event.
        unsafe {
            let answer = rd::rd_kafka_event_ListOffsets_result(self.raw());
            if answer.is_null() {
                return Err(Failure::of(Code::FAIL));
            }
            let mut count = 0;
            let infos = rd::rd_kafka_ListOffsets_result_infos(answer, &mut count);
            let infos = if count == 0 {
                &[]
            } else {
                std::slice::from_raw_parts(infos, count)
            };
            Ok(infos.iter().map(|&info| listed_offset(info)).collect())
        }
    }

    /// Reads the answer of [`Handle::topic_id`].
    pub(super) fn topic_id(&self) -> Result<Option<String>, Failure> {
        if let Some(failure) = self.failure() {
            return Err(failure);
        }
        // SAFETY: null unless the event is such an answer; everything below belongs to the event and is copied.
        unsafe {
            let answer = rd::rd_kafka_event_DescribeTopics_result(self.raw());
            if answer.is_null() {
                return Err(Failure::of(Code::FAIL));
            }
            let mut count = 0;
            let topics = rd::rd_kafka_DescribeTopics_result_topics(answer, &mut count);
            if count == 0 || (*topics).is_null() {
                return Err(Failure::of(Code::UNKNOWN_TOPIC_OR_PARTITION));
            }
            let error = rd::rd_kafka_TopicDescription_error(*topics);
            let code = if error.is_null() {
                Code::NONE
            } else {
                Code(raw::rd_kafka_error_code(error))
            };
            if code != Code::NONE {
                return Err(Failure::of(code));
            }
            Ok(topic_id(rd::rd_kafka_TopicDescription_topic_id(*topics)))
        }
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: ours since it was polled.
        unsafe { rd::rd_kafka_event_destroy(self.raw()) };
    }
}

/// # Safety
/// `info` must be alive.
pub(super) unsafe fn listed_offset(
    info: *const rd::rd_kafka_ListOffsetsResultInfo_t,
) -> ListedOffset {
    // SAFETY: the caller's promise; the code is read as the number that it is in C.
    unsafe {
        let partition = rd::rd_kafka_ListOffsetsResultInfo_topic_partition(info);
        ListedOffset {
            partition: (*partition).partition,
            code: Code((&raw const (*partition).err).cast::<i32>().read()),
            offset: (*partition).offset,
            timestamp_ms: rd::rd_kafka_ListOffsetsResultInfo_timestamp(info),
            leader_epoch: rd::rd_kafka_topic_partition_get_leader_epoch(partition),
        }
    }
}

/// Kafka's own spelling of an id; an id of zeroes means that the broker knows none.
///
/// # Safety
/// `id` must be null or alive.
pub(super) unsafe fn topic_id(id: *const rd::rd_kafka_Uuid_t) -> Option<String> {
    // SAFETY: the caller's promise; the text is copied.
    unsafe {
        if id.is_null()
            || (rd::rd_kafka_Uuid_most_significant_bits(id) == 0
                && rd::rd_kafka_Uuid_least_significant_bits(id) == 0)
        {
            return None;
        }
        Some(text(rd::rd_kafka_Uuid_base64str(id)))
    }
}
