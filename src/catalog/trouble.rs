//! Which views are in trouble, as it was told: column `told` of redshift.auto_refresh_state, a row for each worker of a view. Workers that share a view tell
//! once together: the first that fails, and the last that is past it.

use crate::pg::background;
use crate::pg::spi::{self, as_extension_owner};

/// A worker's part of a view fails; true if the others' do not, so that it is news.
pub fn begin(mv_id: i64, worker: usize) -> bool {
    as_extension_owner(|| {
        let is_news = !others_fail(mv_id, worker);
        spi::execute(
            "INSERT INTO redshift.auto_refresh_state AS s (mv_id, worker, pid, state, told) VALUES ($1, $2, $3, 'retrying', true)
             ON CONFLICT (mv_id, worker) DO UPDATE SET told = true",
            &[
                mv_id.into(),
                (worker as i32).into(),
                background::pid().into(),
            ],
        );
        is_news
    })
}

/// It is past that; true if the others are too.
pub fn end(mv_id: i64, worker: usize) -> bool {
    as_extension_owner(|| {
        let is_news = !others_fail(mv_id, worker);
        let ended = spi::execute(
            "UPDATE redshift.auto_refresh_state SET told = false WHERE mv_id = $1 AND worker = $2 AND told",
            &[mv_id.into(), (worker as i32).into()],
        );
        is_news && ended > 0
    })
}

/// The rows are locked first, in one order: of two workers in the same moment the second one sees what the first has written.
fn others_fail(mv_id: i64, worker: usize) -> bool {
    let told = spi::rows(
        "SELECT worker, told FROM redshift.auto_refresh_state WHERE mv_id = $1 ORDER BY worker FOR UPDATE",
        &[mv_id.into()],
        |row| (row.expect::<i32>("worker"), row.expect::<bool>("told")),
    );
    told.iter()
        .any(|(other, told)| *told && *other != worker as i32)
}

/// The views whose trouble a worker's predecessor of the same number has told and not ended.
pub fn inherited(worker: usize) -> Vec<i64> {
    as_extension_owner(|| {
        spi::rows(
            "SELECT mv_id FROM redshift.auto_refresh_state WHERE worker = $1 AND told",
            &[(worker as i32).into()],
            spi::only,
        )
    })
}
