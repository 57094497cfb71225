//! Reads records from Kafka topics; knows nothing of Postgres.
