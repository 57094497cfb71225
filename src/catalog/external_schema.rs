//! redshift.external_schema: the external schemas that were created or adopted in this database.

use crate::pg::relation::Oid;
use crate::pg::spi::{self, as_extension_owner};

/// Makes an external schema this database's own: it is synchronized by itself, if it has the option.
pub fn adopt(server: Oid) {
    as_extension_owner(|| {
        spi::execute(
            "INSERT INTO redshift.external_schema AS e (server, origin) VALUES ($1, redshift.origin())
             ON CONFLICT (server) DO UPDATE SET origin = excluded.origin WHERE e.origin <> excluded.origin",
            &[server.into()],
        )
    });
}
