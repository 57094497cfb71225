//! redshift.lag_alert: which views are further behind than the limits allow, and who is told.

use crate::pg::spi::{self, as_extension_owner};

/// Has a view a limit of its own?
pub fn has_own_limits() -> bool {
    let sql = "SELECT 1 FROM redshift.materialized_view WHERE lag_alert_records > 0 OR lag_alert_seconds > 0 LIMIT 1";
    as_extension_owner(|| spi::first(sql, &[], |_| ()).is_some())
}

/// Compares the lag of each view with the limits, its own or these (0 is none); events are sent for those that crossed them since the last time. A broker
/// that does not answer changes nothing.
pub fn look(records: i32, seconds: i32) {
    as_extension_owner(|| {
        spi::execute(
            "SELECT redshift.look_at_lag($1, $2)",
            &[records.into(), seconds.into()],
        )
    });
}
