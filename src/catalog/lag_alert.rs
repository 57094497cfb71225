//! redshift.lag_alert: which views are further behind than the limits allow, and who is told.

use crate::pg::spi::{self, as_extension_owner};

/// Compares the lag of each view with the limits; events are sent for those that crossed them since the last time. A broker that does not answer
/// changes nothing.
pub fn look(records: Option<i32>, seconds: Option<i32>) {
    as_extension_owner(|| {
        spi::execute(
            "SELECT redshift.look_at_lag($1, $2)",
            &[records.into(), seconds.into()],
        )
    });
}
