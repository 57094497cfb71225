//! Dates and times from text without raising an error for text that is none: a lax cast gives NULL, and a subtransaction per row would be
//! far too dear. The results are as of `date_in`, `timestamp_in` and `timestamptz_in` under the session's settings.

use pgrx::pg_sys;

/// Days since 2000-01-01, as a date is stored.
pub fn date(text: &str) -> Option<i32> {
    imp::date(text)
}

/// Microseconds since 2000-01-01 00:00, as a timestamp is stored.
pub fn timestamp(text: &str) -> Option<i64> {
    imp::timestamp(text, false)
}

/// Microseconds since 2000-01-01 00:00 UTC, as a timestamptz is stored.
pub fn timestamptz(text: &str) -> Option<i64> {
    imp::timestamp(text, true)
}

/// Before 16 the input functions always raise; the decoding beneath them returns a code.
#[cfg(any(feature = "pg14", feature = "pg15"))]
mod imp {
    use super::pg_sys;
    use core::ffi::{c_char, c_int};
    use std::panic::AssertUnwindSafe;

    use pgrx::PgSqlErrorCode;
    use pgrx::PgTryBuilder;

    const FIELDS: usize = pg_sys::MAXDATEFIELDS as usize;
    /// `MAXDATELEN`: longer text is refused by the input functions too.
    const LENGTH: usize = pg_sys::MAXDATELEN as usize;

    // `datatype/timestamp.h`
    const DATE_NOBEGIN: i32 = i32::MIN;
    const DATE_NOEND: i32 = i32::MAX;
    const TIMESTAMP_NOBEGIN: i64 = i64::MIN;
    const TIMESTAMP_NOEND: i64 = i64::MAX;
    const EPOCH_JULIAN_DAY: i32 = pg_sys::POSTGRES_EPOCH_JDATE as i32;
    /// The end of the dates there are, as a Julian day.
    const DATE_END_JULIAN: i64 = 2_147_483_494;

    struct Decoded {
        kind: u32,
        tm: pg_sys::pg_tm,
        fraction: pg_sys::fsec_t,
        zone: c_int,
    }

    fn decode(text: &str) -> Option<Decoded> {
        let mut source = [0u8; LENGTH + 1];
        // Postgres reads a C string: a zero byte, which SUPER cannot hold, would cut it.
        source
            .get_mut(..text.len())?
            .copy_from_slice(text.as_bytes());
        (text.len() <= LENGTH).then_some(())?;
        let mut work = [0 as c_char; LENGTH + FIELDS];
        let mut fields = [std::ptr::null_mut::<c_char>(); FIELDS];
        let mut field_kinds = [0 as c_int; FIELDS];
        let mut count = 0;
        let mut decoded = Decoded {
            kind: 0,
            tm: pg_sys::pg_tm::default(),
            fraction: 0,
            zone: 0,
        };
        let mut kind = 0;
        let decode = || {
            // SAFETY: the buffers have the sizes that `timestamp_in` gives them, and the lengths are handed over.
            unsafe {
                pg_sys::ParseDateTime(
                    source.as_ptr().cast(),
                    work.as_mut_ptr(),
                    work.len(),
                    fields.as_mut_ptr(),
                    field_kinds.as_mut_ptr(),
                    FIELDS as c_int,
                    &mut count,
                ) == 0
                    && pg_sys::DecodeDateTime(
                        fields.as_mut_ptr(),
                        field_kinds.as_mut_ptr(),
                        count,
                        &mut kind,
                        &mut decoded.tm,
                        &mut decoded.fraction,
                        &mut decoded.zone,
                    ) == 0
            }
        };
        // An unknown time zone is raised all the same. Nothing was locked, opened or written on the way there, so there is nothing that a
        // subtransaction would have to undo.
        let read = PgTryBuilder::new(AssertUnwindSafe(decode))
            .catch_when(PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE, |_| false)
            .execute();
        decoded.kind = kind as u32;
        read.then_some(decoded)
    }

    pub(super) fn timestamp(text: &str, with_zone: bool) -> Option<i64> {
        let mut decoded = decode(text)?;
        match decoded.kind {
            pg_sys::DTK_DATE => {
                let zone = if with_zone {
                    &raw mut decoded.zone
                } else {
                    std::ptr::null_mut()
                };
                let mut result = 0;
                // SAFETY: all pointers are to locals.
                let failed = unsafe {
                    pg_sys::tm2timestamp(&mut decoded.tm, decoded.fraction, zone, &mut result) != 0
                };
                (!failed).then_some(result)
            }
            // SAFETY: it takes nothing and computes 1970-01-01.
            pg_sys::DTK_EPOCH => Some(unsafe { pg_sys::SetEpochTimestamp() }),
            pg_sys::DTK_LATE => Some(TIMESTAMP_NOEND),
            pg_sys::DTK_EARLY => Some(TIMESTAMP_NOBEGIN),
            _ => None,
        }
    }

    pub(super) fn date(text: &str) -> Option<i32> {
        let mut decoded = decode(text)?;
        match decoded.kind {
            pg_sys::DTK_DATE => {}
            // SAFETY: it fills the struct with 1970-01-01.
            pg_sys::DTK_EPOCH => unsafe { pg_sys::GetEpochTime(&mut decoded.tm) },
            pg_sys::DTK_LATE => return Some(DATE_NOEND),
            pg_sys::DTK_EARLY => return Some(DATE_NOBEGIN),
            _ => return None,
        }
        let tm = &decoded.tm;
        // IS_VALID_JULIAN: outside of these date2j overflows.
        let valid =
            (tm.tm_year, tm.tm_mon) >= (-4713, 11) && (tm.tm_year, tm.tm_mon) < (5_874_898, 6);
        valid.then_some(())?;
        // SAFETY: plain arithmetic.
        let julian = unsafe { pg_sys::date2j(tm.tm_year, tm.tm_mon, tm.tm_mday) };
        (0..DATE_END_JULIAN)
            .contains(&i64::from(julian))
            .then(|| julian - EPOCH_JULIAN_DAY)
    }
}

/// From 16 on the input functions report into an `ErrorSaveContext` in place of raising.
#[cfg(any(feature = "pg16", feature = "pg17", feature = "pg18"))]
mod imp {
    use super::pg_sys;
    use pgrx::pg_sys::Datum;
    use std::ffi::CString;

    unsafe extern "C-unwind" {
        fn date_in(call: pg_sys::FunctionCallInfo) -> Datum;
        fn timestamp_in(call: pg_sys::FunctionCallInfo) -> Datum;
        fn timestamptz_in(call: pg_sys::FunctionCallInfo) -> Datum;
    }

    type InputFunction = unsafe extern "C-unwind" fn(pg_sys::FunctionCallInfo) -> Datum;

    fn input(function: InputFunction, text: &str) -> Option<Datum> {
        let text = CString::new(text).ok()?;
        let mut context = pg_sys::ErrorSaveContext {
            type_: pg_sys::NodeTag::T_ErrorSaveContext,
            ..Default::default()
        };
        let mut result = Datum::null();
        // SAFETY: an input function of the server, a C string and two locals.
        let read = unsafe {
            pg_sys::DirectInputFunctionCallSafe(
                Some(function),
                text.as_ptr().cast_mut(),
                pg_sys::InvalidOid,
                -1,
                (&raw mut context).cast(),
                &mut result,
            )
        };
        read.then_some(result)
    }

    pub(super) fn date(text: &str) -> Option<i32> {
        input(date_in, text).map(|date| date.value() as i32)
    }

    pub(super) fn timestamp(text: &str, with_zone: bool) -> Option<i64> {
        input(
            if with_zone {
                timestamptz_in
            } else {
                timestamp_in
            },
            text,
        )
        .map(|timestamp| timestamp.value() as i64)
    }
}
