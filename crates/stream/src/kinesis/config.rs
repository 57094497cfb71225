//! How a client is set up.

use super::memory::Memory;
use crate::aws::Identity;

const MIB: usize = 1024 * 1024;

/// How to reach the service, and how much to hold in memory.
#[derive(Clone, Debug)]
pub struct Config {
    /// Who asks, in which region.
    pub identity: Identity,
    /// Another address of the service, such as an emulator's or a VPC endpoint's.
    pub endpoint_url: Option<String>,
    /// Bound on the records that are fetched but not read yet, whatever the number of shards; at least one page (10 MiB) is held.
    pub memory_bytes: usize,
    /// What that is a part of, where several clients have to keep within one bound together.
    pub part_of: Option<Memory>,
    /// Keep within the service's limits of reads and bytes a second and shard. Off only where nothing limits, such as an emulator.
    pub keep_limits: bool,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            identity: Identity::default(),
            endpoint_url: None,
            memory_bytes: 64 * MIB,
            part_of: None,
            keep_limits: true,
        }
    }
}
