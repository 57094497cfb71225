//! The mains of background workers: each connects and hands on to `crate::worker`.

use crate::pg::guard::entry;
use crate::pg::shared::{self, Place};
use crate::pg::{background, batch, spi};
use crate::worker;
use pgrx::pg_sys;

/// The launcher's main function.
#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn redshift_launcher_main(_argument: pg_sys::Datum) {
    // SAFETY: Postgres calls it in a fresh process.
    unsafe {
        entry(|| {
            background::handle_signals();
            background::connect(None);
            worker::launcher::run()
        })
    }
}

/// A worker's main function.
#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn redshift_worker_main(argument: pg_sys::Datum) {
    // SAFETY: Postgres calls it in a fresh process.
    unsafe {
        entry(|| {
            background::handle_signals();
            let (database, number) = background::identity(argument);
            // Before it connects: whoever wants the database for himself has to find it.
            let place = shared::set_worker(database, number);
            if place == Place::NotWanted {
                return;
            }
            let settings = shared::crew(database).settings_changes;
            background::connect(Some(database));
            background::introduce(database, number);
            if place == Place::NoRoom {
                return worker::database::tell_that_there_is_no_room();
            }
            spi::keep_plans();
            batch::prepare(database, number);
            worker::database::run(database, number, settings)
        })
    }
}

/// A monitor's main function.
#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn redshift_monitor_main(argument: pg_sys::Datum) {
    // SAFETY: Postgres calls it in a fresh process.
    unsafe {
        entry(|| {
            background::handle_signals();
            let (database, _) = background::identity(argument);
            if shared::set_monitor(database) {
                let settings = shared::crew(database).settings_changes;
                background::connect(Some(database));
                worker::monitor::run(database, settings)
            }
        })
    }
}
