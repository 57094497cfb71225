//! What differs between the Postgres majors, and nothing else.

use pgrx::pg_sys;
use std::ffi::{CStr, c_void};

/// May `user` do what the relation's owner may? (aclchk.c: `pg_class_ownercheck` until 15, `object_ownercheck` since.)
///
/// # Safety
/// Looks into the catalogues: inside a transaction only.
pub(super) unsafe fn owns_relation(relation: pg_sys::Oid, user: pg_sys::Oid) -> bool {
    #[cfg(any(feature = "pg14", feature = "pg15"))]
    // SAFETY: the caller's promise.
    unsafe {
        pg_sys::pg_class_ownercheck(relation, user)
    }
    #[cfg(not(any(feature = "pg14", feature = "pg15")))]
    // SAFETY: the caller's promise.
    unsafe {
        pg_sys::object_ownercheck(pg_sys::RelationRelationId, relation, user)
    }
}

/// More of what a worker's session sets: a transaction has a timeout since 17.
pub(super) const WORKER_SETTINGS: &[(&CStr, &CStr)] = &[
    #[cfg(any(feature = "pg17", feature = "pg18"))]
    (c"transaction_timeout", c"0"),
];

/// May `user` do what the database's owner may?
///
/// # Safety
/// Looks into the catalogues: inside a transaction only.
pub unsafe fn owns_database(database: pg_sys::Oid, user: pg_sys::Oid) -> bool {
    #[cfg(any(feature = "pg14", feature = "pg15"))]
    // SAFETY: the caller's promise.
    unsafe {
        pg_sys::pg_database_ownercheck(database, user)
    }
    #[cfg(not(any(feature = "pg14", feature = "pg15")))]
    // SAFETY: the caller's promise.
    unsafe {
        pg_sys::object_ownercheck(pg_sys::DatabaseRelationId, database, user)
    }
}

/// May `user` create something in the tablespace?
///
/// # Safety
/// Looks into the catalogues: inside a transaction only.
pub unsafe fn may_use_tablespace(tablespace: pg_sys::Oid, user: pg_sys::Oid) -> bool {
    let create = pg_sys::ACL_CREATE as _;
    #[cfg(any(feature = "pg14", feature = "pg15"))]
    // SAFETY: the caller's promise.
    let result = unsafe { pg_sys::pg_tablespace_aclcheck(tablespace, user, create) };
    #[cfg(not(any(feature = "pg14", feature = "pg15")))]
    // SAFETY: the caller's promise.
    let result =
        unsafe { pg_sys::object_aclcheck(pg_sys::TableSpaceRelationId, tablespace, user, create) };
    result == pg_sys::AclResult::ACLCHECK_OK
}

/// Whose rights a foreign scan has: the owner's of the view that it stands in, or the current user's. (In the range table until 15, in the
/// plan since.)
///
/// # Safety
/// `node` is a foreign scan of a plan that is being started.
pub unsafe fn scan_user(node: *mut pg_sys::ForeignScanState) -> pg_sys::Oid {
    // SAFETY: the caller's promise; the range table holds the scan's relation.
    unsafe {
        let plan = (*node).ss.ps.plan.cast::<pg_sys::ForeignScan>();
        #[cfg(any(feature = "pg14", feature = "pg15"))]
        let user = {
            let place = (*plan).scan.scanrelid as i32 - 1;
            let entries = (*(*node).ss.ps.state).es_range_table;
            (*pg_sys::list_nth(entries, place).cast::<pg_sys::RangeTblEntry>()).checkAsUser
        };
        #[cfg(not(any(feature = "pg14", feature = "pg15")))]
        let user = (*plan).checkAsUser;
        if user == pg_sys::InvalidOid {
            pg_sys::GetUserId()
        } else {
            user
        }
    }
}

/// The pointers in a list of the executor's.
unsafe fn pointers<T>(list: *mut pg_sys::List) -> impl Iterator<Item = *mut T> {
    // SAFETY: the caller's promise that every cell points to a T; the places are the list's.
    unsafe { (0..pg_sys::list_length(list)).map(move |place| pg_sys::list_nth(list, place).cast()) }
}

/// Looks at a plan that is being started: its range table and, if they are asked for, the views that the plan needs permissions for.
pub type PlanCheck = unsafe fn(*mut pg_sys::List, &dyn Fn() -> Vec<pg_sys::Oid>);

/// The check, and the hook that stood there before; set once.
static mut PLAN_CHECK: Option<PlanCheck> = None;
static mut NEXT_CHECK: pg_sys::ExecutorCheckPerms_hook_type = None;

/// From now on `check` looks at each plan that is being started, before Postgres checks its permissions. To be called once, from `_PG_init`.
pub fn check_plans(check: PlanCheck) {
    // SAFETY: before the first statement, on the main thread.
    unsafe {
        PLAN_CHECK = Some(check);
        NEXT_CHECK = pg_sys::ExecutorCheckPerms_hook;
        pg_sys::ExecutorCheckPerms_hook = Some(check_permissions);
    }
}

/// Calls the check.
unsafe fn check_plan(entries: *mut pg_sys::List, views: &dyn Fn() -> Vec<pg_sys::Oid>) {
    // SAFETY: set with the hook; the arguments are the executor's.
    unsafe {
        if let Some(check) = PLAN_CHECK {
            check(entries, views);
        }
    }
}

/// The executor's hook for permissions: what is ours to refuse, then the hook before. (A list of the permissions that a plan needs stands beside the range
/// table since 16, in it until 15.)
///
/// # Safety
/// Arguments from the executor.
#[cfg(any(feature = "pg14", feature = "pg15"))]
unsafe extern "C-unwind" fn check_permissions(entries: *mut pg_sys::List, raises: bool) -> bool {
    // SAFETY: the caller's promise; the last frame holds nothing that an error would leave behind.
    unsafe {
        super::guard::entry(|| {
            check_plan(entries, &|| {
                pointers::<pg_sys::RangeTblEntry>(entries)
                    .filter(|entry| {
                        (**entry).rtekind == pg_sys::RTEKind::RTE_RELATION
                            && (**entry).relkind as u8 == pg_sys::RELKIND_VIEW
                            && (**entry).requiredPerms != 0
                    })
                    .map(|entry| (*entry).relid)
                    .collect()
            })
        });
        NEXT_CHECK.is_none_or(|next| next(entries, raises))
    }
}

/// See the other one.
///
/// # Safety
/// Arguments from the executor.
#[cfg(not(any(feature = "pg14", feature = "pg15")))]
unsafe extern "C-unwind" fn check_permissions(
    entries: *mut pg_sys::List,
    permissions: *mut pg_sys::List,
    raises: bool,
) -> bool {
    // SAFETY: the caller's promise; the last frame holds nothing that an error would leave behind.
    unsafe {
        super::guard::entry(|| {
            check_plan(entries, &|| {
                pointers::<pg_sys::RTEPermissionInfo>(permissions)
                    .filter(|permission| (**permission).requiredPerms != 0)
                    .map(|permission| (*permission).relid)
                    .collect()
            })
        });
        NEXT_CHECK.is_none_or(|next| next(entries, permissions, raises))
    }
}

/// Memory for the `extra` of a setting, which Postgres frees; null if there is none. (`malloc` until 15, `guc_malloc` since.)
///
/// # Safety
/// To be called from a check hook only.
pub(super) unsafe fn allocate_guc_extra(size: usize) -> *mut c_void {
    #[cfg(any(feature = "pg14", feature = "pg15"))]
    // SAFETY: nothing is assumed of the result.
    unsafe {
        libc::malloc(size).cast()
    }
    #[cfg(not(any(feature = "pg14", feature = "pg15")))]
    // SAFETY: at LOG it raises no error.
    unsafe {
        pg_sys::guc_malloc(pg_sys::LOG as i32, size)
    }
}

/// The number of a wait event with this name; of all extensions' where they have no names yet (until 16).
pub(super) fn wait_event(name: &CStr) -> u32 {
    #[cfg(any(feature = "pg14", feature = "pg15", feature = "pg16"))]
    {
        let _ = name;
        pg_sys::PG_WAIT_EXTENSION
    }
    #[cfg(not(any(feature = "pg14", feature = "pg15", feature = "pg16")))]
    // SAFETY: the name is copied into shared memory, once a server.
    unsafe {
        pg_sys::WaitEventExtensionNew(name.as_ptr())
    }
}

/// A function that Postgres calls on each node of a tree.
pub(super) type Walker = unsafe extern "C-unwind" fn(*mut pg_sys::Node, *mut c_void) -> bool;

mod unbound {
    //! Exported by Postgres, not bound by pgrx.
    use super::Walker;
    use pgrx::pg_sys;
    use std::ffi::{c_int, c_void};
    #[cfg(any(feature = "pg14", feature = "pg15"))]
    unsafe extern "C-unwind" {
        pub fn query_tree_walker(
            q: *mut pg_sys::Query,
            w: Walker,
            c: *mut c_void,
            flags: c_int,
        ) -> bool;
        pub fn expression_tree_walker(n: *mut pg_sys::Node, w: Walker, c: *mut c_void) -> bool;
    }
    #[cfg(not(any(feature = "pg14", feature = "pg15")))]
    unsafe extern "C-unwind" {
        #[link_name = "query_tree_walker_impl"]
        pub fn query_tree_walker(
            q: *mut pg_sys::Query,
            w: Walker,
            c: *mut c_void,
            flags: c_int,
        ) -> bool;
        #[link_name = "expression_tree_walker_impl"]
        pub fn expression_tree_walker(n: *mut pg_sys::Node, w: Walker, c: *mut c_void) -> bool;
    }
    unsafe extern "C-unwind" {
        pub fn StoreViewQuery(view: pg_sys::Oid, query: *mut pg_sys::Query, replace: bool);
        pub fn find_all_inheritors(
            parent: pg_sys::Oid,
            lock: c_int,
            counts: *mut *mut pg_sys::List,
        ) -> *mut pg_sys::List;
    }
}

mod unguarded {
    //! For frames that an error may jump over.
    use pgrx::pg_sys;
    unsafe extern "C-unwind" {
        pub fn ExecInsertIndexTuples(
            target: *mut pg_sys::ResultRelInfo,
            slot: *mut pg_sys::TupleTableSlot,
            estate: *mut pg_sys::EState,
            update: bool,
            no_error: bool,
            conflict: *mut bool,
            arbiters: *mut pg_sys::List,
            #[cfg(not(any(feature = "pg14", feature = "pg15")))] only_summarizing: bool,
        ) -> *mut pg_sys::List;
        #[cfg(not(any(feature = "pg14", feature = "pg15")))]
        pub fn ExecGetRootToChildMap(
            target: *mut pg_sys::ResultRelInfo,
            estate: *mut pg_sys::EState,
        ) -> *mut pg_sys::TupleConversionMap;
    }
}

/// `ExecInsertIndexTuples` for a row that was inserted: raises when it is in the way of another.
///
/// # Safety
/// The indexes of `target` are open, and `slot` has the place of its row. Raises by longjmp.
pub(super) unsafe fn insert_index_tuples(
    target: *mut pg_sys::ResultRelInfo,
    slot: *mut pg_sys::TupleTableSlot,
    estate: *mut pg_sys::EState,
) -> *mut pg_sys::List {
    let nothing = std::ptr::null_mut();
    // SAFETY: the caller's promise.
    unsafe {
        unguarded::ExecInsertIndexTuples(
            target,
            slot,
            estate,
            false,
            false,
            std::ptr::null_mut(),
            nothing,
            #[cfg(not(any(feature = "pg14", feature = "pg15")))]
            false,
        )
    }
}

/// How a row of the partitioned table becomes one of the partition; null if it is one already.
///
/// # Safety
/// `partition` is what ExecFindPartition gave. Raises by longjmp.
pub(super) unsafe fn map_to_partition(
    partition: *mut pg_sys::ResultRelInfo,
    estate: *mut pg_sys::EState,
) -> *mut pg_sys::TupleConversionMap {
    #[cfg(any(feature = "pg14", feature = "pg15"))]
    // SAFETY: the caller's promise.
    unsafe {
        let _ = estate;
        (*partition).ri_RootToPartitionMap
    }
    #[cfg(not(any(feature = "pg14", feature = "pg15")))]
    // SAFETY: the caller's promise.
    unsafe {
        unguarded::ExecGetRootToChildMap(partition, estate)
    }
}

/// `query_tree_walker`; with `entries` the walker is called for each range table entry too, before what is in it.
///
/// # Safety
/// `query` is a query; an error in the walker jumps over no value that needs dropping.
pub(super) unsafe fn walk_query(
    query: *mut pg_sys::Query,
    walker: Walker,
    context: *mut c_void,
    entries: bool,
) -> bool {
    let flags = if entries {
        pg_sys::QTW_EXAMINE_RTES_BEFORE as i32
    } else {
        0
    };
    // SAFETY: the caller's promise.
    unsafe { unbound::query_tree_walker(query, walker, context, flags) }
}

/// `expression_tree_walker`.
///
/// # Safety
/// As [`walk_query`].
pub(super) unsafe fn walk_expression(
    node: *mut pg_sys::Node,
    walker: Walker,
    context: *mut c_void,
) -> bool {
    // SAFETY: the caller's promise.
    unsafe { unbound::expression_tree_walker(node, walker, context) }
}

/// `StoreViewQuery` (view.c): gives an empty view its query.
///
/// # Safety
/// `query` is a copy of an analysed query whose columns are the view's.
pub(super) unsafe fn store_view_query(view: pg_sys::Oid, query: *mut pg_sys::Query) {
    // SAFETY: the caller's promise; nothing of ours is dropped in this frame.
    unsafe { super::guard::preserving(|| unbound::StoreViewQuery(view, query, false)) }
}

/// `find_all_inheritors` (pg_inherits.c), without locks: the relation, its partitions and what inherits from it.
///
/// # Safety
/// Looks into the catalogues: inside a transaction only.
pub unsafe fn find_all_inheritors(parent: pg_sys::Oid) -> *mut pg_sys::List {
    let nothing = std::ptr::null_mut();
    // SAFETY: the caller's promise; nothing of ours is dropped in this frame.
    unsafe {
        super::guard::preserving(|| {
            unbound::find_all_inheritors(parent, pg_sys::NoLock as i32, nothing)
        })
    }
}

/// The text of a String node (a Value node before PostgreSQL 15).
///
/// # Safety
/// `node` is a String node.
pub(super) unsafe fn string_value(node: *mut pg_sys::Node) -> *const std::ffi::c_char {
    #[cfg(feature = "pg14")]
    // SAFETY: the caller's promise.
    unsafe {
        (*node.cast::<pg_sys::Value>()).val.str_
    }
    #[cfg(not(feature = "pg14"))]
    // SAFETY: the caller's promise.
    unsafe {
        (*node.cast::<pg_sys::String>()).sval
    }
}

/// The four-byte header of an uncompressed varlena of `len` bytes, header included (SET_VARSIZE_4B of varatt.h).
pub(super) fn varlena_header(len: usize) -> [u8; 4] {
    let len = u32::try_from(len).unwrap_or(u32::MAX);
    if cfg!(target_endian = "little") {
        (len << 2).to_ne_bytes()
    } else {
        len.to_ne_bytes()
    }
}

/// Attribute `i` (from 0) of a tuple descriptor; PostgreSQL 18 moved them behind the compact ones.
///
/// # Safety
/// `i` is less than the descriptor's `natts`.
pub(super) unsafe fn attribute(
    descriptor: pg_sys::TupleDesc,
    i: usize,
) -> *const pg_sys::FormData_pg_attribute {
    #[cfg(not(feature = "pg18"))]
    // SAFETY: the caller's promise.
    unsafe {
        (*descriptor).attrs.as_ptr().add(i)
    }
    #[cfg(feature = "pg18")]
    // SAFETY: the caller's promise.
    unsafe {
        pg_sys::TupleDescAttr(descriptor, i as i32)
    }
}

/// May `user` do what the server's owner may?
///
/// # Safety
/// Looks into the catalogues: inside a transaction only.
pub(super) unsafe fn owns_server(server: pg_sys::Oid, user: pg_sys::Oid) -> bool {
    #[cfg(any(feature = "pg14", feature = "pg15"))]
    // SAFETY: the caller's promise.
    unsafe {
        pg_sys::pg_foreign_server_ownercheck(server, user)
    }
    #[cfg(not(any(feature = "pg14", feature = "pg15")))]
    // SAFETY: the caller's promise.
    unsafe {
        pg_sys::object_ownercheck(pg_sys::ForeignServerRelationId, server, user)
    }
}

/// Has `user` USAGE on the server?
///
/// # Safety
/// Looks into the catalogues: inside a transaction only.
pub(super) unsafe fn may_use_server(server: pg_sys::Oid, user: pg_sys::Oid) -> bool {
    #[cfg(any(feature = "pg14", feature = "pg15"))]
    // SAFETY: the caller's promise.
    let result =
        unsafe { pg_sys::pg_foreign_server_aclcheck(server, user, pg_sys::ACL_USAGE as _) };
    #[cfg(not(any(feature = "pg14", feature = "pg15")))]
    // SAFETY: the caller's promise.
    let result = unsafe {
        pg_sys::object_aclcheck(
            pg_sys::ForeignServerRelationId,
            server,
            user,
            pg_sys::ACL_USAGE as _,
        )
    };
    result == pg_sys::AclResult::ACLCHECK_OK
}

/// Has `user` USAGE on the foreign-data wrapper?
///
/// # Safety
/// Looks into the catalogues: inside a transaction only.
pub(super) unsafe fn may_use_wrapper(wrapper: pg_sys::Oid, user: pg_sys::Oid) -> bool {
    #[cfg(any(feature = "pg14", feature = "pg15"))]
    // SAFETY: the caller's promise.
    let result =
        unsafe { pg_sys::pg_foreign_data_wrapper_aclcheck(wrapper, user, pg_sys::ACL_USAGE as _) };
    #[cfg(not(any(feature = "pg14", feature = "pg15")))]
    // SAFETY: the caller's promise.
    let result = unsafe {
        pg_sys::object_aclcheck(
            pg_sys::ForeignDataWrapperRelationId,
            wrapper,
            user,
            pg_sys::ACL_USAGE as _,
        )
    };
    result == pg_sys::AclResult::ACLCHECK_OK
}

/// `table_endscan`, which is an inline function of tableam.h.
///
/// # Safety
/// `scan` was begun and is not used again.
pub(super) unsafe fn end_scan(scan: pg_sys::TableScanDesc) {
    // SAFETY: the caller's promise; the table's access method has the function.
    unsafe {
        if let Some(end) = (*(*(*scan).rs_rd).rd_tableam).scan_end {
            super::guard::preserving(|| end(scan));
        }
    }
}

/// What Postgres knows of the backend of that number, from 1. (`pgstat_fetch_stat_local_beentry` until 15.)
///
/// # Safety
/// The result is this process's copy, which the end of the transaction frees.
pub(super) unsafe fn backend_status(number: i32) -> *const pg_sys::PgBackendStatus {
    // SAFETY: the number is within those of pgstat_fetch_stat_numbackends.
    unsafe {
        #[cfg(any(feature = "pg14", feature = "pg15"))]
        let local = pg_sys::pgstat_fetch_stat_local_beentry(number);
        #[cfg(not(any(feature = "pg14", feature = "pg15")))]
        let local = pg_sys::pgstat_get_local_beentry_by_index(number);
        if local.is_null() {
            std::ptr::null()
        } else {
            &raw const (*local).backendStatus
        }
    }
}

/// The plain path of a foreign scan. (`create_foreignscan_path` knows more since 17, and again since 18.)
///
/// # Safety
/// Arguments from the planner.
pub unsafe fn foreign_scan_path(
    root: *mut pg_sys::PlannerInfo,
    relation: *mut pg_sys::RelOptInfo,
    startup_cost: f64,
    total_cost: f64,
) -> *mut pg_sys::ForeignPath {
    let nothing = std::ptr::null_mut();
    // SAFETY: the caller's promise.
    unsafe {
        pg_sys::create_foreignscan_path(
            root,
            relation,
            std::ptr::null_mut(),
            (*relation).rows,
            #[cfg(feature = "pg18")]
            0,
            startup_cost,
            total_cost,
            nothing,
            (*relation).lateral_relids,
            std::ptr::null_mut(),
            #[cfg(any(feature = "pg17", feature = "pg18"))]
            nothing,
            nothing,
        )
    }
}
