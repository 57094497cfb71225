//! Codes, failures and strings of librdkafka.

use std::ffi::{CStr, c_char, c_void};
use std::fmt;

/// The same functions as in the bindings, with plain numbers in place of enums.
pub(super) mod raw {
    use libc::addrinfo;
    use rdkafka_sys as rd;
    use std::ffi::{c_char, c_int, c_void};

    /// In place of `getaddrinfo`.
    pub type Resolve = unsafe extern "C" fn(
        node: *const c_char,
        service: *const c_char,
        hints: *const addrinfo,
        result: *mut *mut addrinfo,
        opaque: *mut c_void,
    ) -> c_int;

    unsafe extern "C" {
        pub fn rd_kafka_err2str(code: i32) -> *const c_char;
        pub fn rd_kafka_event_error(event: *mut rd::rd_kafka_event_t) -> i32;
        pub fn rd_kafka_error_code(error: *const rd::rd_kafka_error_t) -> i32;
        pub fn rd_kafka_last_error() -> i32;
        pub fn rd_kafka_conf_set_resolve_cb(
            conf: *mut rd::rd_kafka_conf_t,
            resolve: Option<Resolve>,
        );
        /// Of patches/librdkafka: a library that was built without them does not link.
        pub fn rd_kafka_metadata_cancellable(
            client: *mut rd::rd_kafka_t,
            all: i32,
            topic: *mut rd::rd_kafka_topic_t,
            metadata: *mut *const rd::rd_kafka_metadata,
            timeout_ms: i32,
            cancelled: *const i32,
        ) -> i32;
        pub fn rd_kafka_message_headers_size(message: *const rd::rd_kafka_message_t) -> usize;
        pub fn rd_kafka_topic_expect_id(
            topic: *mut rd::rd_kafka_topic_t,
            id: *const rd::rd_kafka_Uuid_t,
        );
        pub fn rd_kafka_brokers_refused(client: *mut rd::rd_kafka_t) -> c_int;
        pub fn rd_kafka_brokers_max_set(client: *mut rd::rd_kafka_t, max: c_int);
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
    pub const SSL: Code = Code(-181);
    pub const AUTHENTICATION: Code = Code(-169);
    pub const PARTITION_EOF: Code = Code(-191);
    pub const UNKNOWN_PARTITION: Code = Code(-190);
    pub const UNKNOWN_TOPIC: Code = Code(-188);
    pub const ALL_BROKERS_DOWN: Code = Code(-187);
    pub const TIMED_OUT: Code = Code(-185);
    pub const NO_ENTRY: Code = Code(-156);
    pub const TIMED_OUT_QUEUE: Code = Code(-166);
    pub const MESSAGE_TOO_LARGE: Code = Code(10);
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
    pub const SASL_AUTHENTICATION_FAILED: Code = Code(58);
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
pub(super) fn text(string: *const c_char) -> String {
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
pub(super) unsafe fn bytes<'a>(start: *const c_void, len: usize) -> Option<&'a [u8]> {
    // SAFETY: the caller's promise.
    (!start.is_null()).then(|| unsafe { std::slice::from_raw_parts(start.cast::<u8>(), len) })
}

/// Space for librdkafka's messages about a call.
pub(super) struct Message512(pub(super) [u8; 512]);

impl Message512 {
    pub(super) fn new() -> Message512 {
        Message512([0; 512])
    }

    pub(super) fn start(&mut self) -> *mut c_char {
        self.0.as_mut_ptr().cast()
    }

    pub(super) fn text(&self) -> String {
        CStr::from_bytes_until_nul(&self.0)
            .map(|text| text.to_string_lossy().into_owned())
            .unwrap_or_default()
    }
}
