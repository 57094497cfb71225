//! DROP MATERIALIZED VIEW. Postgres drops the table, which takes the definition along; an event trigger removes the registration.

use crate::error;
use crate::pg::relation::{self, Oid};

/// Refuses what DROP TABLE would refuse with another word.
pub fn check(table: Oid) {
    if !relation::is_owned_by_current_user(table) {
        error::not_owner(&relation::name(table).unwrap_or_default()).raise();
    }
}
