//! Foreign servers and tables: their options and names.

use super::node::{Definition, definition, pointers};
use super::relation::{self, Oid, c_text, text};
use super::report::{Report, sqlstate};
use pgrx::pg_sys;

/// A foreign server.
pub struct Server {
    /// Its OID.
    pub oid: Oid,
    /// Its name.
    pub name: String,
    /// Whose it is.
    pub owner: Oid,
    /// `TYPE '..'` of CREATE SERVER.
    pub kind: Option<String>,
    /// Its options.
    pub options: Vec<Definition>,
}

/// The server of a foreign table, and the table's own options.
pub fn of_table(table: Oid) -> (Server, Vec<Definition>) {
    // SAFETY: both raise for what does not exist and return palloc'd copies.
    unsafe {
        let table = pg_sys::GetForeignTable(table);
        (
            server(pg_sys::GetForeignServer((*table).serverid)),
            options((*table).options),
        )
    }
}

/// Is it a foreign table, still?
pub fn is_stream_table(table: Oid) -> bool {
    let none = pg_sys::Datum::from(0);
    // SAFETY: a look-up by an OID.
    unsafe {
        let cache = pg_sys::SysCacheIdentifier::FOREIGNTABLEREL as i32;
        pg_sys::SearchSysCacheExists(cache, table.into(), none, none, none)
    }
}

/// The server of that name; raises if there is none.
pub fn server_by_name(name: &str) -> Server {
    // SAFETY: raises for a name that does not exist.
    unsafe { server(pg_sys::GetForeignServerByName(c_text(name).as_ptr(), false)) }
}

/// The server of that name, if it exists.
pub fn find_server(name: &str) -> Option<Server> {
    // SAFETY: null for a name that does not exist.
    unsafe {
        let found = pg_sys::GetForeignServerByName(c_text(name).as_ptr(), true);
        (!found.is_null()).then(|| server(found))
    }
}

/// May the current user make servers with our foreign-data wrapper?
pub fn may_use_wrapper() -> bool {
    // SAFETY: raises if there is no such wrapper, else a check without side effects.
    unsafe {
        let wrapper =
            pg_sys::get_foreign_data_wrapper_oid(super::relation::EXTENSION.as_ptr(), true);
        wrapper == pg_sys::InvalidOid
            || super::polyfill::may_use_wrapper(wrapper, pg_sys::GetUserId())
    }
}

/// Is there a server of that name of our foreign-data wrapper?
pub fn is_server_of_ours(name: &std::ffi::CStr) -> bool {
    // SAFETY: null for a name that does not exist; a server has a wrapper.
    unsafe {
        let server = pg_sys::GetForeignServerByName(name.as_ptr(), true);
        if server.is_null() {
            return false;
        }
        let wrapper = pg_sys::GetForeignDataWrapper((*server).fdwid);
        std::ffi::CStr::from_ptr((*wrapper).fdwname) == super::relation::EXTENSION
    }
}

/// The options of a user's mapping to a server, else those of PUBLIC's; None without either.
pub fn mapping(server: Oid, user: Oid) -> Option<Vec<Definition>> {
    let exists = |user: Oid| {
        let none = pg_sys::Datum::from(0);
        // SAFETY: a look-up by two OIDs, as the cache has it.
        unsafe {
            pg_sys::SearchSysCacheExists(
                pg_sys::SysCacheIdentifier::USERMAPPINGUSERSERVER as i32,
                user.into(),
                server.into(),
                none,
                none,
            )
        }
    };
    // PUBLIC's has no user.
    if !exists(user) && !exists(Oid::INVALID) {
        return None;
    }
    // SAFETY: one of them is there, so this does not raise; it returns a palloc'd copy.
    unsafe { Some(options((*pg_sys::GetUserMapping(user, server)).options)) }
}

unsafe fn server(server: *mut pg_sys::ForeignServer) -> Server {
    // SAFETY: a struct of foreign.h with NUL-terminated names.
    unsafe {
        Server {
            oid: (*server).serverid,
            name: text((*server).servername).unwrap_or_default(),
            owner: (*server).owner,
            kind: text((*server).servertype),
            options: options((*server).options),
        }
    }
}

unsafe fn options(list: *mut pg_sys::List) -> Vec<Definition> {
    // SAFETY: option lists hold DefElems.
    unsafe {
        pointers::<pg_sys::DefElem>(list)
            .into_iter()
            .map(|option| definition(option))
            .collect()
    }
}

/// What the option array of the validator function holds: `{name=value,..}` as stored in the catalogue.
pub fn parse_options(array: &[String]) -> Vec<Definition> {
    array
        .iter()
        .map(|option| match option.split_once('=') {
            Some((name, value)) => Definition {
                name: name.to_owned(),
                value: Some(value.to_owned()),
            },
            None => Definition {
                name: option.clone(),
                value: None,
            },
        })
        .collect()
}

/// The value of an option.
pub fn option(options: &[Definition], name: &str) -> Option<String> {
    options
        .iter()
        .find(|option| option.name == name)
        .and_then(|option| option.value.clone())
}

/// Raises an error unless the current user owns the server.
pub fn require_ownership(name: &str) {
    let Some(server) = find_server(name) else {
        return;
    };
    if !relation::owns_server(server.oid) {
        Report::new(
            sqlstate::INSUFFICIENT_PRIVILEGE,
            format!("must be owner of foreign server {name}"),
        )
        .raise();
    }
}
