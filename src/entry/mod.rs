//! What Postgres calls: the library's start, hooks, the foreign-data wrapper, SQL functions, the mains of background workers.
//!
//! Each takes its arguments apart and hands on to the room that decides; see [the README](README.md) for the rules of `unsafe` here. Nothing imports
//! this room.

mod database_command;
mod definition_guard;
mod fdw;
mod functions;
mod hints;
mod init;
mod shape_watch;
mod statement_clock;
mod statement_history;
mod stop_batch;
mod stream_insert;
mod subscript;
mod utility;
mod worker_main;
