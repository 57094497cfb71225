//! Every raw call into librdkafka, behind types that cannot be misused from safe code.
//!
//! The rules they keep: a queue, a topic, a message lives no longer than its [`Handle`]; nothing of ours runs on
//! librdkafka's threads (the one callback runs where a queue is polled); codes stay numbers, because a newer broker can
//! send one that the bound enum does not know.
#![allow(unsafe_code)]

use rdkafka_sys as rd;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::{self, NonNull};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The same functions as in the bindings, with plain numbers in place of enums.
mod raw {
    use super::{c_char, rd};

    unsafe extern "C" {
        pub fn rd_kafka_err2str(code: i32) -> *const c_char;
        pub fn rd_kafka_event_error(event: *mut rd::rd_kafka_event_t) -> i32;
        pub fn rd_kafka_error_code(error: *const rd::rd_kafka_error_t) -> i32;
        pub fn rd_kafka_last_error() -> i32;
        pub fn rd_kafka_metadata(
            client: *mut rd::rd_kafka_t,
            all: i32,
            topic: *mut rd::rd_kafka_topic_t,
            metadata: *mut *const rd::rd_kafka_metadata,
            timeout_ms: i32,
        ) -> i32;
    }
}

/// An error code of Kafka (positive) or librdkafka (negative).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Code(pub i32);

impl Code {
    pub const NONE: Code = Code(0);
    pub const FAIL: Code = Code(-196);
    pub const TRANSPORT: Code = Code(-195);
    pub const RESOLVE: Code = Code(-193);
    pub const PARTITION_EOF: Code = Code(-191);
    pub const UNKNOWN_PARTITION: Code = Code(-190);
    pub const UNKNOWN_TOPIC: Code = Code(-188);
    pub const ALL_BROKERS_DOWN: Code = Code(-187);
    pub const TIMED_OUT: Code = Code(-185);
    pub const NO_ENTRY: Code = Code(-156);
    pub const TIMED_OUT_QUEUE: Code = Code(-166);
    pub const UNSUPPORTED_FEATURE: Code = Code(-165);
    pub const AUTO_OFFSET_RESET: Code = Code(-140);
    pub const OFFSET_OUT_OF_RANGE: Code = Code(1);
    pub const UNKNOWN_TOPIC_OR_PARTITION: Code = Code(3);
    pub const LEADER_NOT_AVAILABLE: Code = Code(5);
    pub const NOT_LEADER: Code = Code(6);
    pub const REQUEST_TIMED_OUT: Code = Code(7);
    pub const BROKER_NOT_AVAILABLE: Code = Code(8);
    pub const REPLICA_NOT_AVAILABLE: Code = Code(9);
    pub const NETWORK_EXCEPTION: Code = Code(13);
    pub const INVALID_TOPIC: Code = Code(17);
    pub const UNSUPPORTED_VERSION: Code = Code(35);
    pub const STORAGE_ERROR: Code = Code(56);
    pub const FENCED_LEADER_EPOCH: Code = Code(74);
    pub const UNKNOWN_LEADER_EPOCH: Code = Code(75);
    pub const OFFSET_NOT_AVAILABLE: Code = Code(78);
    pub const UNKNOWN_TOPIC_ID: Code = Code(100);
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: the function takes any number and returns a static string.
        f.write_str(&text(unsafe { raw::rd_kafka_err2str(self.0) }))
    }
}

/// A request that did not work.
#[derive(Clone, Debug)]
pub struct Failure {
    pub code: Code,
    pub message: String,
}

impl Failure {
    /// With librdkafka's own words.
    pub fn of(code: Code) -> Failure {
        Failure {
            code,
            message: code.to_string(),
        }
    }
}

/// A copy of a C string; null is empty.
fn text(string: *const c_char) -> String {
    if string.is_null() {
        return String::new();
    }
    // SAFETY: librdkafka's strings end in NUL and live at least until its next call, which is after this copy.
    unsafe { CStr::from_ptr(string) }
        .to_string_lossy()
        .into_owned()
}

/// A slice over memory that librdkafka owns; null is none.
///
/// # Safety
/// A pointer that is not null must be valid for `len` bytes as long as `'a`.
unsafe fn bytes<'a>(start: *const c_void, len: usize) -> Option<&'a [u8]> {
    // SAFETY: the caller's promise.
    (!start.is_null()).then(|| unsafe { std::slice::from_raw_parts(start.cast::<u8>(), len) })
}

/// Space for librdkafka's messages about a call.
struct Message512([u8; 512]);

impl Message512 {
    fn new() -> Message512 {
        Message512([0; 512])
    }

    fn start(&mut self) -> *mut c_char {
        self.0.as_mut_ptr().cast()
    }

    fn text(&self) -> String {
        CStr::from_bytes_until_nul(&self.0)
            .map(|text| text.to_string_lossy().into_owned())
            .unwrap_or_default()
    }
}

/// A pipe whose read end becomes readable when something may be waiting.
struct Wake {
    read: OwnedFd,
    write: OwnedFd,
}

impl Wake {
    fn new() -> io::Result<Wake> {
        let mut ends = [0; 2];
        // SAFETY: the array takes both descriptors.
        if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_NONBLOCK | libc::O_CLOEXEC) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: both were just opened and nobody else owns them.
        Ok(unsafe {
            Wake {
                read: OwnedFd::from_raw_fd(ends[0]),
                write: OwnedFd::from_raw_fd(ends[1]),
            }
        })
    }

    fn clear(&self) {
        let mut sink = [0u8; 256];
        // SAFETY: the buffer is valid for its length. The pipe does not block.
        while unsafe { libc::read(self.read.as_raw_fd(), sink.as_mut_ptr().cast(), sink.len()) }
            == sink.len() as isize
        {}
    }

    fn send(&self) {
        // SAFETY: one byte of a static string. A full pipe is readable already.
        unsafe { libc::write(self.write.as_raw_fd(), c"w".as_ptr().cast(), 1) };
    }
}

/// One librdkafka consumer without a group. The last holder destroys it, which can block: see [`Handle::release`].
pub struct Handle {
    client: NonNull<rd::rd_kafka_t>,
    wake: Wake,
    errors: Box<Errors>,
    destroyed: Sender<()>,
}

/// What [`on_error`] was told.
type Errors = Mutex<Vec<Failure>>;

/// More than that are not kept until somebody asks.
const ERRORS_KEPT: usize = 1_000;

/// Called by librdkafka in a thread that polls a queue, for the errors that it does not deliver as messages.
unsafe extern "C" fn on_error(
    _client: *mut rd::rd_kafka_t,
    code: c_int,
    reason: *const c_char,
    errors: *mut c_void,
) {
    // SAFETY: the pointer that was configured; its target outlives the client.
    let errors = unsafe { &*errors.cast::<Errors>() };
    let mut errors = errors.lock().unwrap_or_else(PoisonError::into_inner);
    if errors.len() < ERRORS_KEPT {
        errors.push(Failure {
            code: Code(code),
            message: text(reason),
        });
    }
}

// SAFETY: librdkafka's client is safe to call from many threads; the rest is descriptors and a Sender.
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

impl Handle {
    /// Starts a client. The receiver hears when it has been destroyed.
    pub fn new(properties: &[(&str, String)]) -> Result<(Arc<Handle>, Receiver<()>), String> {
        let wake = Wake::new().map_err(|error| format!("pipe: {error}"))?;
        let errors = Box::<Errors>::default();
        let conf = Conf::new(properties, &errors)?;
        let mut message = Message512::new();
        // SAFETY: on success the client takes the configuration over, else it stays ours.
        let client = unsafe {
            rd::rd_kafka_new(
                rd::rd_kafka_type_t::RD_KAFKA_CONSUMER,
                conf.0,
                message.start(),
                message.0.len(),
            )
        };
        let Some(client) = NonNull::new(client) else {
            return Err(message.text());
        };
        std::mem::forget(conf);
        let (destroyed, receiver) = mpsc::channel();
        let handle = Arc::new(Handle {
            client,
            wake,
            errors,
            destroyed,
        });
        // SAFETY: a null queue means the main queue, where errors arrive too.
        unsafe { rd::rd_kafka_set_log_queue(handle.raw(), ptr::null_mut()) };
        Ok((handle, receiver))
    }

    fn raw(&self) -> *mut rd::rd_kafka_t {
        self.client.as_ptr()
    }

    /// The read end of the wake pipe.
    pub fn wake_fd(&self) -> RawFd {
        self.wake.read.as_raw_fd()
    }

    /// Empties the wake pipe.
    pub fn clear_wake(&self) {
        self.wake.clear();
    }

    /// Makes the wake pipe readable.
    pub fn send_wake(&self) {
        self.wake.send();
    }

    /// The queue where errors and log lines arrive.
    pub fn main_queue(self: &Arc<Handle>) -> Queue {
        // SAFETY: returns a new reference to the main queue, which exists for every client.
        Queue::adopt(self, unsafe { rd::rd_kafka_queue_get_main(self.raw()) })
    }

    /// A new queue.
    pub fn queue(self: &Arc<Handle>) -> Queue {
        // SAFETY: the client is alive.
        Queue::adopt(self, unsafe { rd::rd_kafka_queue_new(self.raw()) })
    }

    /// The errors that came up while queues were polled, since the last call.
    pub fn take_errors(&self) -> Vec<Failure> {
        std::mem::take(&mut self.errors.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The names and partition counts of all topics. Blocks for about `timeout` at most.
    pub fn all_topics(&self, timeout: Duration) -> Result<Vec<(String, i32)>, Failure> {
        let metadata = Metadata::of(self, None, timeout)?;
        Ok(metadata
            .topics()
            .map(|topic| (topic.name, topic.partitions.len() as i32))
            .collect())
    }

    /// A topic's partitions and its id. Blocks for about `timeout` at most.
    pub fn describe_topic(
        self: &Arc<Handle>,
        name: &CStr,
        timeout: Duration,
    ) -> Result<TopicDescription, Failure> {
        let deadline = Instant::now() + timeout;
        let topic = Topic::new(self, name)?;
        let metadata = Metadata::of(self, Some(&topic), timeout)?;
        let found = metadata.only_topic()?;
        let timeout = deadline.saturating_duration_since(Instant::now());
        let topic_id = match metadata.any_broker() {
            Some(broker) => self.topic_id(name, broker, timeout)?,
            None => None,
        };
        Ok(TopicDescription {
            topic_id,
            partitions: found.partitions,
        })
    }

    /// Only this request tells the id. It would go to the controller by itself, which need not be known; any broker
    /// answers it. None where the broker does not know the request.
    fn topic_id(
        self: &Arc<Handle>,
        name: &CStr,
        broker: i32,
        timeout: Duration,
    ) -> Result<Option<String>, Failure> {
        let options = AdminOptions::new(
            self,
            rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS,
            timeout,
        );
        options.broker(broker);
        let queue = self.queue();
        let mut names = [name.as_ptr()];
        // SAFETY: the names are copied; the collection is destroyed after the request took its own copy.
        unsafe {
            let topics =
                rd::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len());
            rd::rd_kafka_DescribeTopics(self.raw(), topics, options.0, queue.raw());
            rd::rd_kafka_TopicCollection_destroy(topics);
        }
        match queue.wait(timeout)?.topic_id() {
            Err(Failure {
                code: Code::UNSUPPORTED_FEATURE | Code::UNSUPPORTED_VERSION,
                ..
            }) => Ok(None),
            answer => answer,
        }
    }

    /// Offsets of committed records, in the order asked. The specs are librdkafka's: -1 latest, -2 earliest, -3 the
    /// record with the highest timestamp, else a time in milliseconds. Blocks for about `timeout` at most.
    pub fn list_offsets(
        self: &Arc<Handle>,
        topic: &CStr,
        specs: &[(i32, i64)],
        timeout: Duration,
    ) -> Result<Vec<ListedOffset>, Failure> {
        let options = AdminOptions::new(
            self,
            rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_LISTOFFSETS,
            timeout,
        );
        options.read_committed();
        let queue = self.queue();
        // SAFETY: the list is ours, its elements are valid until it grows, and the request copies it.
        unsafe {
            let list = rd::rd_kafka_topic_partition_list_new(specs.len() as c_int);
            for &(partition, spec) in specs {
                let element =
                    rd::rd_kafka_topic_partition_list_add(list, topic.as_ptr(), partition);
                (*element).offset = spec;
            }
            rd::rd_kafka_ListOffsets(self.raw(), list, options.0, queue.raw());
            rd::rd_kafka_topic_partition_list_destroy(list);
        }
        queue.wait(timeout)?.listed_offsets()
    }

    /// Whether a topic exists, and its partitions.
    pub fn partitions(
        self: &Arc<Handle>,
        name: &CStr,
        timeout: Duration,
    ) -> Result<Vec<i32>, Failure> {
        let topic = Topic::new(self, name)?;
        Metadata::of(self, Some(&topic), timeout)?
            .only_topic()
            .map(|found| found.partitions)
    }

    /// One past the last offset that was passed to the caller or skipped as a transaction's marker, per partition;
    /// negative before the first.
    pub fn positions(&self, topic: &CStr, partitions: &[i32]) -> Vec<i64> {
        // SAFETY: the list is ours; the call fills each element's offset and keeps their order.
        unsafe {
            let list = rd::rd_kafka_topic_partition_list_new(partitions.len() as c_int);
            for &partition in partitions {
                rd::rd_kafka_topic_partition_list_add(list, topic.as_ptr(), partition);
            }
            rd::rd_kafka_position(self.raw(), list);
            let offsets = (0..partitions.len())
                .map(|index| (*(*list).elems.add(index)).offset)
                .collect();
            rd::rd_kafka_topic_partition_list_destroy(list);
            offsets
        }
    }

    /// Gives this reference up on a thread of its own, since destroying the client joins threads that may hang in
    /// name resolution. Returns whether the client was destroyed within `timeout`.
    pub fn release(self: Arc<Handle>, destroyed: &Receiver<()>, timeout: Duration) -> bool {
        // Without a thread to spare the closure, and the handle in it, is dropped here.
        let _ = spawn("kafka close", move || drop(self));
        destroyed.recv_timeout(timeout).is_ok()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: this is the last reference; queues, topics and messages hold one each. The wake pipe outlives the
        // call. There is no group to leave.
        unsafe { rd::rd_kafka_destroy_flags(self.raw(), rd::RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE) };
        // Nobody may be waiting any more.
        let _ = self.destroyed.send(());
    }
}

/// An answer about topics and brokers.
struct Metadata(NonNull<rd::rd_kafka_metadata>);

/// One topic of it.
struct FoundTopic {
    name: String,
    code: Code,
    partitions: Vec<i32>,
}

impl Metadata {
    /// Asks about one topic or about all, and waits.
    fn of(handle: &Handle, topic: Option<&Topic>, timeout: Duration) -> Result<Metadata, Failure> {
        let only = topic.map_or(ptr::null_mut(), |topic| topic.topic.as_ptr());
        let (all, mut metadata) = (i32::from(topic.is_none()), ptr::null());
        // SAFETY: the topic is null or alive; on success the answer is ours to destroy.
        let code = Code(unsafe {
            raw::rd_kafka_metadata(handle.raw(), all, only, &mut metadata, millis(timeout))
        });
        match NonNull::new(metadata.cast_mut()) {
            Some(metadata) if code == Code::NONE => Ok(Metadata(metadata)),
            _ => Err(Failure::of(code)),
        }
    }

    fn topics(&self) -> impl Iterator<Item = FoundTopic> + '_ {
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

    fn only_topic(&self) -> Result<FoundTopic, Failure> {
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

    fn any_broker(&self) -> Option<i32> {
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

fn millis(timeout: Duration) -> c_int {
    c_int::try_from(timeout.as_millis())
        .unwrap_or(c_int::MAX)
        .max(1)
}

/// Starts a thread that blocks all signals, so that the process's own handlers run where they are expected.
pub fn spawn(
    name: &str,
    work: impl FnOnce() + Send + 'static,
) -> io::Result<thread::JoinHandle<()>> {
    let mut all = MaybeUninit::uninit();
    let mut before = MaybeUninit::uninit();
    // SAFETY: sigfillset initialises the first set, the call the second; a new thread inherits the mask.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
    }
    let thread = thread::Builder::new().name(name.to_owned()).spawn(work);
    // SAFETY: the set was filled in above.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut()) };
    thread
}

/// A configuration that has not become a client yet.
struct Conf(*mut rd::rd_kafka_conf_t);

impl Conf {
    fn new(properties: &[(&str, String)], errors: &Errors) -> Result<Conf, String> {
        // SAFETY: allocates a default configuration.
        let conf = Conf(unsafe { rd::rd_kafka_conf_new() });
        for (name, value) in properties {
            conf.set(name, value)?;
        }
        // SAFETY: the configuration is ours. The callback gets the pointer to the errors, whose box goes after the client.
        unsafe {
            rd::rd_kafka_conf_set_events(conf.0, rd::RD_KAFKA_EVENT_ERROR | rd::RD_KAFKA_EVENT_LOG);
            rd::rd_kafka_conf_set_opaque(conf.0, ptr::from_ref(errors).cast_mut().cast());
            rd::rd_kafka_conf_set_error_cb(conf.0, Some(on_error));
        }
        Ok(conf)
    }

    fn set(&self, name: &str, value: &str) -> Result<(), String> {
        let terminated =
            |text: &str| CString::new(text).map_err(|_| format!("NUL in property {name:?}"));
        let (c_name, c_value) = (terminated(name)?, terminated(value)?);
        let mut message = Message512::new();
        // SAFETY: both strings are copied by the call.
        let outcome = unsafe {
            rd::rd_kafka_conf_set(
                self.0,
                c_name.as_ptr(),
                c_value.as_ptr(),
                message.start(),
                message.0.len(),
            )
        };
        match outcome {
            rd::rd_kafka_conf_res_t::RD_KAFKA_CONF_OK => Ok(()),
            // The library's own message would repeat the value, which may be a secret.
            rd::rd_kafka_conf_res_t::RD_KAFKA_CONF_UNKNOWN => {
                Err(format!("unknown librdkafka property \"{name}\""))
            }
            rd::rd_kafka_conf_res_t::RD_KAFKA_CONF_INVALID => {
                Err(format!("invalid value of property \"{name}\""))
            }
        }
    }
}

impl Drop for Conf {
    fn drop(&mut self) {
        // SAFETY: still ours: a client that took it over made the caller forget this value.
        unsafe { rd::rd_kafka_conf_destroy(self.0) };
    }
}

/// Options of one admin request.
struct AdminOptions(*mut rd::rd_kafka_AdminOptions_t);

impl AdminOptions {
    fn new(handle: &Handle, request: rd::rd_kafka_admin_op_t, timeout: Duration) -> AdminOptions {
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

    fn broker(&self, id: i32) {
        let mut message = Message512::new();
        // SAFETY: the options are ours. A number that is refused leaves the default.
        unsafe {
            rd::rd_kafka_AdminOptions_set_broker(self.0, id, message.start(), message.0.len())
        };
    }

    fn read_committed(&self) {
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

/// A queue that makes the client's wake pipe readable when something arrives.
pub struct Queue {
    queue: NonNull<rd::rd_kafka_queue_t>,
    handle: Arc<Handle>,
}

impl Queue {
    fn adopt(handle: &Arc<Handle>, queue: *mut rd::rd_kafka_queue_t) -> Queue {
        let queue = NonNull::new(queue).expect("librdkafka aborts rather than fail to allocate");
        let descriptor = handle.wake.write.as_raw_fd();
        // SAFETY: the payload is copied; the descriptor stays open as long as the client.
        unsafe {
            rd::rd_kafka_queue_io_event_enable(queue.as_ptr(), descriptor, c"w".as_ptr().cast(), 1)
        };
        Queue {
            queue,
            handle: Arc::clone(handle),
        }
    }

    fn raw(&self) -> *mut rd::rd_kafka_queue_t {
        self.queue.as_ptr()
    }

    /// The next event; waits for it.
    fn wait(&self, timeout: Duration) -> Result<Event, Failure> {
        // SAFETY: the queue is alive; an event is ours to destroy.
        let event = NonNull::new(unsafe { rd::rd_kafka_queue_poll(self.raw(), millis(timeout)) });
        event.map(Event).ok_or_else(|| Failure::of(Code::TIMED_OUT))
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

/// What came from a queue.
pub struct Event(NonNull<rd::rd_kafka_event_t>);

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
    fn raw(&self) -> *mut rd::rd_kafka_event_t {
        self.0.as_ptr()
    }

    fn kind(&self) -> c_int {
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
        // SAFETY: as above.
        (code != Code::NONE).then(|| Failure {
            code,
            message: text(unsafe { rd::rd_kafka_event_error_string(self.raw()) }),
        })
    }

    /// Reads the answer to [`Handle::list_offsets`].
    fn listed_offsets(&self) -> Result<Vec<ListedOffset>, Failure> {
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
    fn topic_id(&self) -> Result<Option<String>, Failure> {
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
unsafe fn listed_offset(info: *const rd::rd_kafka_ListOffsetsResultInfo_t) -> ListedOffset {
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
unsafe fn topic_id(id: *const rd::rd_kafka_Uuid_t) -> Option<String> {
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

/// A topic of which partitions are read into a queue.
pub struct Topic {
    topic: NonNull<rd::rd_kafka_topic_t>,
    handle: Arc<Handle>,
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

fn last_failure() -> Failure {
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
