//! The embedded Kafka of the demo and the tests.
fn main() {}
