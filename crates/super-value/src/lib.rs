//! JSON text to the stored form of SUPER, and back; knows nothing of Postgres.
