//! The client itself: its configuration, its wake-up pipe, its end.

use super::code::{Code, Failure, Message512, raw, text};
use super::exit::Alive;
use super::message::{Queue, Topic};
use super::request::{AdminOptions, ListedOffset, Metadata, TopicDescription};
use super::resolve::on_resolve;
use super::wait::Wait;
use crate::signals::spawn;
use crate::wake::Wake;
use rdkafka_sys as rd;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::os::fd::RawFd;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// One librdkafka consumer without a group. The last holder destroys it, which can block: see [`Handle::release`].
pub struct Handle {
    client: NonNull<rd::rd_kafka_t>,
    pub(super) wake: Wake,
    told: Box<Told>,
    destroyed: Sender<()>,
    /// Dropped after the client.
    _alive: Alive,
}

/// Clients that were given up and have not ended yet.
static ENDING: AtomicUsize = AtomicUsize::new(0);
/// More than that are not waited for: each has some threads and descriptors. A client ends within some milliseconds as a rule.
const MOST_ENDING: usize = 32;
/// How long a new client waits for a place then.
const ENDING_PATIENCE: Duration = Duration::from_secs(2);

/// Whether there is room for one more client, perhaps a moment later.
fn has_room() -> bool {
    let deadline = Instant::now() + ENDING_PATIENCE;
    while ENDING.load(Ordering::Relaxed) >= MOST_ENDING {
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    true
}

/// What the callbacks were told.
#[derive(Default)]
pub(super) struct Told {
    errors: Mutex<Vec<Failure>>,
    /// What was last wrong with a broker's certificate (OpenSSL's number).
    certificate: AtomicI32,
    throttle: Mutex<Option<Throttle>>,
    closing: AtomicBool,
}

impl Told {
    /// The client is being ended: nothing is worth waiting for.
    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }
}

/// A broker that holds its answers back, because the client has used up a quota.
#[derive(Clone, Debug)]
pub struct Throttle {
    /// When it was told.
    pub when: Instant,
    /// The broker's host and port.
    pub broker: String,
    /// How long it holds them back.
    pub time: Duration,
}

/// More than that are not kept until somebody asks.
pub(super) const ERRORS_KEPT: usize = 1_000;

/// Called by librdkafka in a thread that polls a queue, for the errors that it does not deliver as messages.
unsafe extern "C" fn on_error(
    _client: *mut rd::rd_kafka_t,
    code: c_int,
    reason: *const c_char,
    told: *mut c_void,
) {
    // SAFETY: the pointer that was configured; its target outlives the client.
    let told = unsafe { &*told.cast::<Told>() };
    let mut errors = told.errors.lock().unwrap_or_else(PoisonError::into_inner);
    if errors.len() < ERRORS_KEPT {
        errors.push(Failure {
            code: Code(code),
            message: text(reason),
        });
    }
}

/// Called by librdkafka in a thread that polls a queue, for each answer that was held back and for the first one that was not.
unsafe extern "C" fn on_throttle(
    _client: *mut rd::rd_kafka_t,
    broker: *const c_char,
    _broker_id: i32,
    time_ms: c_int,
    told: *mut c_void,
) {
    // SAFETY: the pointer that was configured; its target outlives the client.
    let told = unsafe { &*told.cast::<Told>() };
    if let Some(time) = u64::try_from(time_ms).ok().filter(|&time| time > 0) {
        let mut throttle = told.throttle.lock().unwrap_or_else(PoisonError::into_inner);
        *throttle = Some(Throttle {
            when: Instant::now(),
            broker: text(broker),
            time: Duration::from_millis(time),
        });
    }
}

/// Called by librdkafka in a broker's thread, for each certificate of a broker's chain, after OpenSSL has verified it.
unsafe extern "C" fn on_certificate(
    _client: *mut rd::rd_kafka_t,
    _broker: *const c_char,
    _broker_id: i32,
    verify_error: *mut c_int,
    _depth: c_int,
    _certificate: *const c_char,
    _size: usize,
    _message: *mut c_char,
    _message_size: usize,
    told: *mut c_void,
) -> c_int {
    // SAFETY: librdkafka's own variable, and the pointer that was configured, whose target outlives the client.
    let (found, told) = unsafe { (*verify_error, &*told.cast::<Told>()) };
    if found != 0 {
        told.certificate.store(found, Ordering::Relaxed);
    }
    // Only listens: OpenSSL's verdict stands.
    c_int::from(found == 0)
}

// SAFETY: librdkafka's client is safe to call from many threads; the rest is descriptors and a Sender.
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

impl Handle {
    /// Starts a client. The receiver hears when it has been destroyed.
    pub fn new(properties: &[(&str, String)]) -> Result<(Arc<Handle>, Receiver<()>), String> {
        if !has_room() {
            return Err(format!(
                "{MOST_ENDING} clients of this process are still ending"
            ));
        }
        let wake = Wake::new().map_err(|error| format!("pipe: {error}"))?;
        let told = Box::<Told>::default();
        let conf = Conf::new(properties, &told)?;
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
            told,
            destroyed,
            _alive: Alive::new(),
        });
        // SAFETY: a null queue means the main queue, where errors arrive too.
        unsafe { rd::rd_kafka_set_log_queue(handle.raw(), ptr::null_mut()) };
        Ok((handle, receiver))
    }

    pub(super) fn raw(&self) -> *mut rd::rd_kafka_t {
        self.client.as_ptr()
    }

    /// The read end of the wake pipe.
    pub fn wake_fd(&self) -> RawFd {
        self.wake.read_fd()
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
        let errors = &self.told.errors;
        std::mem::take(&mut errors.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What was last wrong with a broker's certificate, as OpenSSL numbers it; 0 if nothing was.
    pub fn certificate_error(&self) -> i32 {
        self.told.certificate.load(Ordering::Relaxed)
    }

    /// The last answer that a broker held back, if it ever did.
    pub fn last_throttle(&self) -> Option<Throttle> {
        let throttle = &self.told.throttle;
        throttle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// How many brokers of the cluster have been left out, for want of room.
    pub fn brokers_refused(&self) -> usize {
        // SAFETY: the client is alive; reads a number.
        usize::try_from(unsafe { raw::rd_kafka_brokers_refused(self.raw()) }).unwrap_or(0)
    }

    /// From now on there is room for so many; what was left out comes with the next answer about topics.
    pub fn set_most_brokers(&self, brokers: usize) {
        let most = c_int::try_from(brokers).unwrap_or(c_int::MAX);
        // SAFETY: the client is alive; writes a number.
        unsafe { raw::rd_kafka_brokers_max_set(self.raw(), most) }
    }

    /// The names and partition counts of all topics. Blocks for about as long as `wait` says.
    pub fn all_topics(&self, wait: &Wait) -> Result<Vec<(String, i32)>, Failure> {
        let metadata = Metadata::of(self, None, wait)?;
        Ok(metadata
            .topics()
            .map(|topic| (topic.name, topic.partitions.len() as i32))
            .collect())
    }

    /// A topic's partitions and its id. Blocks for about as long as `wait` says.
    pub fn describe_topic(
        self: &Arc<Handle>,
        name: &CStr,
        wait: &Wait,
    ) -> Result<TopicDescription, Failure> {
        let topic = Topic::new(self, name)?;
        let metadata = Metadata::of(self, Some(&topic), wait)?;
        let found = metadata.only_topic()?;
        let topic_id = match metadata.any_broker() {
            Some(broker) => self.topic_id(name, broker, wait)?,
            None => None,
        };
        Ok(TopicDescription {
            topic_id,
            partitions: found.partitions,
        })
    }

    /// Only this request tells the id. It would go to the controller by itself, which need not be known; any broker
    /// answers it. None where the broker does not know the request.
    pub(super) fn topic_id(
        self: &Arc<Handle>,
        name: &CStr,
        broker: i32,
        wait: &Wait,
    ) -> Result<Option<String>, Failure> {
        let options = AdminOptions::new(
            self,
            rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS,
            wait.left(),
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
        match queue.wait(wait)?.topic_id() {
            Err(Failure {
                code: Code::UNSUPPORTED_FEATURE | Code::UNSUPPORTED_VERSION,
                ..
            }) => Ok(None),
            answer => answer,
        }
    }

    /// Offsets of committed records, in the order asked. The specs are librdkafka's: -1 latest, -2 earliest, -3 the
    /// record with the highest timestamp, else a time in milliseconds. Blocks for about as long as `wait` says.
    pub fn list_offsets(
        self: &Arc<Handle>,
        topic: &CStr,
        specs: &[(i32, i64)],
        wait: &Wait,
    ) -> Result<Vec<ListedOffset>, Failure> {
        let options = AdminOptions::new(
            self,
            rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_LISTOFFSETS,
            wait.left(),
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
        queue.wait(wait)?.listed_offsets()
    }

    /// Whether a topic exists, and its partitions.
    pub fn partitions(self: &Arc<Handle>, name: &CStr, wait: &Wait) -> Result<Vec<i32>, Failure> {
        let topic = Topic::new(self, name)?;
        Metadata::of(self, Some(&topic), wait)?
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

    /// Gives the client the token that it shows brokers from now on.
    pub fn set_token(&self, token: &str, expires_ms: i64) {
        let mut message = Message512::new();
        let Ok(value) = CString::new(token) else {
            return;
        };
        // SAFETY: the strings are copied; there are no extensions.
        let code = unsafe {
            rd::rd_kafka_oauthbearer_set_token(
                self.raw(),
                value.as_ptr(),
                expires_ms,
                c"redshift_streaming".as_ptr(),
                ptr::null_mut(),
                0,
                message.start(),
                message.0.len(),
            )
        };
        if code != rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            self.fail_token(&message.text());
        }
    }

    /// Tells the client that there is no token, and why; it comes up as an error of authentication.
    pub fn fail_token(&self, why: &str) {
        let why = CString::new(why.replace('\0', " ")).unwrap_or_default();
        // SAFETY: the string is copied.
        unsafe { rd::rd_kafka_oauthbearer_set_token_failure(self.raw(), why.as_ptr()) };
    }

    /// Gives this reference up on a thread of its own, since destroying the client joins its threads. Returns whether the client was destroyed within `timeout`.
    pub fn release(self: Arc<Handle>, destroyed: &Receiver<()>, timeout: Duration) -> bool {
        self.told.closing.store(true, Ordering::Relaxed);
        ENDING.fetch_add(1, Ordering::Relaxed);
        // Without a thread to spare the closure, and the handle in it, is dropped here.
        let _ = spawn("kafka close", move || drop(self));
        destroyed.recv_timeout(timeout).is_ok()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let was_released = self.told.closing.swap(true, Ordering::Relaxed);
        // SAFETY: this is the last reference; queues, topics and messages hold one each. The wake pipe outlives the
        // call. There is no group to leave.
        unsafe { rd::rd_kafka_destroy_flags(self.raw(), rd::RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE) };
        if was_released {
            ENDING.fetch_sub(1, Ordering::Relaxed);
        }
        // Nobody may be waiting any more.
        let _ = self.destroyed.send(());
    }
}

pub(super) fn millis(timeout: Duration) -> c_int {
    c_int::try_from(timeout.as_millis())
        .unwrap_or(c_int::MAX)
        .max(1)
}

/// A configuration that has not become a client yet.
pub(super) struct Conf(pub(super) *mut rd::rd_kafka_conf_t);

impl Conf {
    pub(super) fn new(properties: &[(&str, String)], told: &Told) -> Result<Conf, String> {
        // SAFETY: allocates a default configuration.
        let conf = Conf(unsafe { rd::rd_kafka_conf_new() });
        for (name, value) in properties {
            conf.set(name, value)?;
        }
        // SAFETY: the configuration is ours. The callbacks get the pointer to `told`, whose box goes after the client.
        unsafe {
            rd::rd_kafka_conf_set_events(conf.0, rd::RD_KAFKA_EVENT_ERROR | rd::RD_KAFKA_EVENT_LOG);
            rd::rd_kafka_conf_set_opaque(conf.0, ptr::from_ref(told).cast_mut().cast());
            rd::rd_kafka_conf_set_error_cb(conf.0, Some(on_error));
            rd::rd_kafka_conf_set_throttle_cb(conf.0, Some(on_throttle));
            rd::rd_kafka_conf_set_ssl_cert_verify_cb(conf.0, Some(on_certificate));
            raw::rd_kafka_conf_set_resolve_cb(conf.0, Some(on_resolve));
        }
        Ok(conf)
    }

    pub(super) fn set(&self, name: &str, value: &str) -> Result<(), String> {
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
