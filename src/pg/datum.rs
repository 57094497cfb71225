//! Our types as function arguments.
//!
//! Arguments are borrowed where they lie; only compressed and out-of-line ones are copied. That is done without pgrx's guard around each call, which costs
//! more than the work itself: what cannot raise an error needs none. Results are in [`super::varlena`].

use std::borrow::Cow;
use std::cmp::Ordering;

use pgrx::callconv::{Arg, ArgAbi};
use pgrx::pg_sys;
use pgrx::prelude::*;
use pgrx::varlena::{varatt_is_1b, varatt_is_1b_e, varatt_is_4b_u, vardata_any, varsize_any_exhdr};
use super_value::{Value, pace};

use super::report::{Report, sqlstate};
pub use super::varlena::{Output, TextOut, Varlena};

/// The payload of a varlena argument: text, varchar, bytea, varbyte, numeric.
#[derive(Clone, Copy)]
pub struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    /// What the value holds, without its varlena header.
    pub fn as_slice(&self) -> &'a [u8] {
        self.0
    }

    /// The bytes as text; an error where they are not UTF-8, which a database in another encoding or a broken value may hold.
    pub fn as_str(&self) -> &'a str {
        if pace::valid_utf8(self.0) < self.0.len() {
            Report::new(sqlstate::CHARACTER_NOT_IN_REPERTOIRE, "text is not UTF-8").raise()
        }
        // SAFETY: looked through right above, in pieces because it may have a gigabyte.
        unsafe { std::str::from_utf8_unchecked(self.0) }
    }

    /// The beginning of the text, to be quoted in a message.
    pub fn excerpt(&self) -> String {
        const MOST: usize = 200;
        let start = self.0.get(..4 * MOST).unwrap_or(self.0);
        let start = String::from_utf8_lossy(start);
        match start.char_indices().nth(MOST) {
            Some((end, _)) => format!("{}..", &start[..end]),
            None => start.into_owned(),
        }
    }

    /// A numeric in the form that `super_value` reads: with a long varlena header.
    pub fn to_numeric(self) -> Vec<u8> {
        super_value::number::with_header(self.0)
    }

    /// Borrows the payload of a varlena.
    ///
    /// # Safety
    /// `datum` is a varlena that is not null and lives as long as `'a`: as function arguments do, for the call. It may raise a Postgres error if
    /// the value is toasted, guarded by pgrx.
    pub unsafe fn from_raw(datum: pg_sys::Datum) -> Self {
        let mut varlena: *mut pg_sys::varlena = datum.cast_mut_ptr();
        // SAFETY: a varlena, as the caller promises; a detoasted copy is in the current memory context, which outlives the call.
        unsafe {
            let plain =
                varatt_is_4b_u(varlena) || varatt_is_1b(varlena) && !varatt_is_1b_e(varlena);
            if !plain {
                varlena = pg_sys::pg_detoast_datum_packed(varlena);
            }
            Bytes(std::slice::from_raw_parts(
                vardata_any(varlena).cast(),
                varsize_any_exhdr(varlena),
            ))
        }
    }
}

impl<'a> FromDatum for Bytes<'a> {
    unsafe fn from_polymorphic_datum(
        datum: pg_sys::Datum,
        is_null: bool,
        _: pg_sys::Oid,
    ) -> Option<Self> {
        // SAFETY: the SQL declarations give this argument a varlena type.
        (!is_null).then(|| unsafe { Bytes::from_raw(datum) })
    }
}

// SAFETY: the argument lives as long as the call.
unsafe impl<'fcx> ArgAbi<'fcx> for Bytes<'fcx> {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        // SAFETY: as above.
        unsafe { arg.unbox_arg_using_from_datum() }
            .expect("argument is not null: the function is strict")
    }
}

/// What a client sent for a binary input function: all that is left of the message.
pub struct Received<'a>(&'a [u8]);

impl<'a> Received<'a> {
    /// The bytes.
    pub fn as_slice(&self) -> &'a [u8] {
        self.0
    }
}

impl<'a> FromDatum for Received<'a> {
    unsafe fn from_polymorphic_datum(
        datum: pg_sys::Datum,
        is_null: bool,
        _: pg_sys::Oid,
    ) -> Option<Self> {
        let buffer: *mut pg_sys::StringInfoData = datum.cast_mut_ptr();
        // SAFETY: a receive function is only called by Postgres (its argument is internal), with a buffer whose cursor is within its length and
        // which lives as long as the call. The caller checks that everything was read.
        (!is_null).then(|| unsafe {
            let (cursor, length) = ((*buffer).cursor as usize, (*buffer).len as usize);
            (*buffer).cursor = (*buffer).len;
            Received(std::slice::from_raw_parts(
                (*buffer).data.add(cursor).cast(),
                length - cursor,
            ))
        })
    }
}

// SAFETY: the argument lives as long as the call.
unsafe impl<'fcx> ArgAbi<'fcx> for Received<'fcx> {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        // SAFETY: as above.
        unsafe { arg.unbox_arg_using_from_datum() }
            .expect("argument is not null: the function is strict")
    }
}

/// A SUPER argument.
#[derive(Clone, Copy)]
pub struct Super<'a>(Value<'a>);

impl<'a> Super<'a> {
    /// The value.
    pub fn value(&self) -> Value<'a> {
        self.0
    }

    /// As [`Bytes::from_raw`].
    ///
    /// # Safety
    /// As [`Bytes::from_raw`].
    pub unsafe fn from_raw(datum: pg_sys::Datum) -> Self {
        // SAFETY: the caller's promise.
        Self::from_body(unsafe { Bytes::from_raw(datum) })
    }

    /// As [`from_raw`](Self::from_raw), for a value of which only a part is read: it is asked for from memory at once, in place of step by step.
    ///
    /// # Safety
    /// As [`Bytes::from_raw`].
    pub unsafe fn prefetched(datum: pg_sys::Datum) -> Self {
        // SAFETY: the caller's promise.
        let body = unsafe { Bytes::from_raw(datum) };
        super_value::prefetch(body.as_slice());
        Self::from_body(body)
    }

    fn from_body(body: Bytes<'a>) -> Self {
        Super(Value::from_body(body.0).unwrap_or_else(|| {
            Report::new(sqlstate::DATA_CORRUPTED, "malformed SUPER value").raise()
        }))
    }
}

impl<'a> FromDatum for Super<'a> {
    unsafe fn from_polymorphic_datum(
        datum: pg_sys::Datum,
        is_null: bool,
        _: pg_sys::Oid,
    ) -> Option<Self> {
        // SAFETY: the SQL declarations give this argument the type super.
        (!is_null).then(|| unsafe { Super::from_raw(datum) })
    }
}

// SAFETY: the argument lives as long as the call.
unsafe impl<'fcx> ArgAbi<'fcx> for Super<'fcx> {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        // SAFETY: as above.
        unsafe { arg.unbox_arg_using_from_datum() }
            .expect("argument is not null: the function is strict")
    }
}

/// A value of any SQL type, as far as SUPER can hold it.
pub enum SqlValue<'a> {
    /// NULL.
    Null,
    /// A boolean.
    Boolean(bool),
    /// An integer of any size.
    Integer(i64),
    /// A double.
    Float(f64),
    /// A float in single precision.
    SingleFloat(f32),
    /// A numeric.
    Numeric(Bytes<'a>),
    /// A text, varchar, char, name or literal without a type.
    Text(&'a [u8]),
    /// A super or jsonb.
    Super(Super<'a>),
    /// Of a type that SUPER cannot hold: its name.
    Other(String),
}

impl<'a> SqlValue<'a> {
    /// The value of the argument at `index` of a call.
    ///
    /// # Safety
    /// `call` is that of the running function, which has so many arguments.
    unsafe fn argument(call: pg_sys::FunctionCallInfo, index: usize) -> Self {
        // SAFETY: as promised. The type is what the parser found; each datum is read as of its type, and lives as long as the call.
        unsafe {
            let argument = &*(*call).args.as_ptr().add(index);
            if argument.isnull {
                return SqlValue::Null;
            }
            let datum = argument.value;
            let declared = pg_sys::get_fn_expr_argtype((*call).flinfo, index as i32);
            let of = pg_sys::getBaseType(declared);
            match of {
                pg_sys::BOOLOID => SqlValue::Boolean(datum.value() != 0),
                pg_sys::INT2OID => SqlValue::Integer(i64::from(datum.value() as i16)),
                pg_sys::INT4OID => SqlValue::Integer(i64::from(datum.value() as i32)),
                pg_sys::INT8OID => SqlValue::Integer(datum.value() as i64),
                pg_sys::FLOAT4OID => SqlValue::SingleFloat(f32::from_bits(datum.value() as u32)),
                pg_sys::FLOAT8OID => SqlValue::Float(f64::from_bits(datum.value() as u64)),
                pg_sys::NUMERICOID => SqlValue::Numeric(Bytes::from_raw(datum)),
                pg_sys::TEXTOID | pg_sys::VARCHAROID | pg_sys::BPCHAROID => {
                    SqlValue::Text(Bytes::from_raw(datum).as_slice())
                }
                // Both are C strings; a name is padded by zeroes.
                pg_sys::UNKNOWNOID | pg_sys::NAMEOID => {
                    SqlValue::Text(core::ffi::CStr::from_ptr(datum.cast_mut_ptr()).to_bytes())
                }
                pg_sys::JSONBOID => SqlValue::Super(Super::from_raw(datum)),
                _ if super::analyze::is_super(of) => SqlValue::Super(Super::from_raw(datum)),
                _ => {
                    let name = core::ffi::CStr::from_ptr(pg_sys::format_type_be(declared));
                    SqlValue::Other(name.to_string_lossy().into_owned())
                }
            }
        }
    }
}

/// A value of any SQL type as text: by the type's output function, or for SUPER by its cast.
pub struct AnyText<'a>(Option<Cow<'a, [u8]>>);

impl AnyText<'_> {
    /// The text; `None` for a SUPER that is no scalar.
    pub fn as_slice(&self) -> Option<&[u8]> {
        self.0.as_deref()
    }
}

// SAFETY: the argument lives as long as the call, its type is what the parser found.
unsafe impl<'fcx> ArgAbi<'fcx> for AnyText<'fcx> {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        let index = arg.index();
        // SAFETY: as above; the text of an output function is in the current memory context, which outlives the call.
        unsafe {
            let call = <pg_sys::FunctionCallInfo as ArgAbi>::unbox_arg_unchecked(arg);
            let argument = (*call).args.as_ptr().add(index);
            AnyText(match SqlValue::argument(call, index) {
                SqlValue::Null => None,
                SqlValue::Text(text) => Some(Cow::Borrowed(text)),
                SqlValue::Super(value) => super_value::cast::to_text(value.value())
                    .map(|text| Cow::Owned(text.into_owned().into_bytes())),
                _ => {
                    let of = pg_sys::get_fn_expr_argtype((*call).flinfo, index as i32);
                    let (mut output, mut is_varlena) = (pg_sys::InvalidOid, false);
                    pg_sys::getTypeOutputInfo(of, &mut output, &mut is_varlena);
                    let text = pg_sys::OidOutputFunctionCall(output, (*argument).value);
                    Some(Cow::Borrowed(core::ffi::CStr::from_ptr(text).to_bytes()))
                }
            })
        }
    }
}

/// The arguments of a function of any number of arguments of any type. It takes no argument of the SQL function: it is all of them.
pub struct Arguments<'a>(Vec<SqlValue<'a>>);

impl<'a> Arguments<'a> {
    /// The arguments in order.
    pub fn as_slice(&self) -> &[SqlValue<'a>] {
        &self.0
    }
}

// SAFETY: it is read from the call, not from one argument.
unsafe impl<'fcx> ArgAbi<'fcx> for Arguments<'fcx> {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        // SAFETY: pgrx hands out the call that it was entered with.
        unsafe {
            let call = <pg_sys::FunctionCallInfo as ArgAbi>::unbox_arg_unchecked(arg);
            if pg_sys::get_fn_expr_variadic((*call).flinfo) {
                let message = "VARIADIC with an array is not supported here";
                Report::new(sqlstate::FEATURE_NOT_SUPPORTED, message).raise()
            }
            let count = (*call).nargs as usize;
            Arguments(
                (0..count)
                    .map(|index| SqlValue::argument(call, index))
                    .collect(),
            )
        }
    }

    fn is_virtual_arg() -> bool {
        true
    }
}

/// An operation of two numbers.
#[derive(Debug, Clone, Copy)]
pub enum NumericOperation {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`
    Modulo,
}

/// The result of Postgres's own operation on two numerics with long headers, such as those in a SUPER.
///
/// # Errors
/// Postgres's: 22012 for a division by zero, 22003 for a result out of range.
pub fn numeric_operation(operation: NumericOperation, a: &[u8], b: &[u8]) -> Vec<u8> {
    let function = match operation {
        NumericOperation::Add => pg_sys::numeric_add,
        NumericOperation::Subtract => pg_sys::numeric_sub,
        NumericOperation::Multiply => pg_sys::numeric_mul,
        NumericOperation::Divide => pg_sys::numeric_div,
        NumericOperation::Modulo => pg_sys::numeric_mod,
    };
    // Copies, because Postgres reads them at an aligned address.
    let (a, b) = (Varlena::copy(a).into_raw(), Varlena::copy(b).into_raw());
    // SAFETY: functions of two numerics that return one.
    unsafe {
        let result = pgrx::direct_function_call_as_datum(function, &[Some(a), Some(b)])
            .expect("numeric functions return no NULL");
        Bytes::from_raw(result).to_numeric()
    }
}

/// The collation that Postgres chose for a call. It takes no argument of the SQL function.
#[derive(Clone, Copy)]
pub struct Collation(pg_sys::Oid);

impl Collation {
    /// The database's own.
    pub fn default_of_database() -> Self {
        Collation(pg_sys::DEFAULT_COLLATION_OID)
    }

    /// Orders two strings; only equal bytes are equal.
    pub fn compare(&self, a: &[u8], b: &[u8]) -> Ordering {
        if a == b {
            return Ordering::Equal;
        }
        // SAFETY: pointers and lengths belong together; an error, if any, comes back as a panic.
        let order = unsafe {
            pg_sys::varstr_cmp(
                a.as_ptr().cast(),
                a.len() as i32,
                b.as_ptr().cast(),
                b.len() as i32,
                self.0,
            )
        };
        // A nondeterministic collation calls different strings equal; equality of SUPER is that of the bytes.
        order.cmp(&0).then_with(|| a.cmp(b))
    }
}

// SAFETY: it is read from the call, not from an argument.
unsafe impl<'fcx> ArgAbi<'fcx> for Collation {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        // SAFETY: pgrx hands out the call that it was entered with.
        let oid = unsafe {
            (*<pg_sys::FunctionCallInfo as ArgAbi>::unbox_arg_unchecked(arg)).fncollation
        };
        Collation(if oid == pg_sys::InvalidOid {
            pg_sys::DEFAULT_COLLATION_OID
        } else {
            oid
        })
    }

    fn is_virtual_arg() -> bool {
        true
    }
}
