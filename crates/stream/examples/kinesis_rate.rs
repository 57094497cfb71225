//! Reads a stream of Kinesis with the bare SDK, all shards side by side, from the first record until nothing is behind, and prints how many records,
//! how many bytes and how many seconds: what `make bench` holds a refresh against.
//! `kinesis_rate http://localhost:4567 orders [limits]`; with `limits` at most 5 reads and 2 MB a second and shard, as the service allows.

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::types::ShardIteratorType;
use aws_smithy_http_client::{Builder, tls};
use std::error::Error;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

type Failure = Box<dyn Error + Send + Sync>;

const BETWEEN_READS: Duration = Duration::from_millis(200);
/// What follows a full one may have arrived in the same millisecond.
const FULL_PAGE: usize = 10_000;
const BYTES_PER_SECOND: f64 = 2.0 * 1024.0 * 1024.0;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let endpoint = arguments.next().ok_or("no endpoint")?;
    let stream = arguments.next().ok_or("no stream")?;
    let has_limits = arguments.next().is_some();
    let started = Instant::now();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let (records, bytes) = runtime.block_on(read(endpoint, stream, has_limits))?;
    println!("{records} {bytes} {}", started.elapsed().as_secs_f64());
    Ok(())
}

async fn read(endpoint: String, stream: String, has_limits: bool) -> Result<(u64, u64), Failure> {
    let http = Builder::new()
        .tls_provider(tls::Provider::Rustls(
            tls::rustls_provider::CryptoMode::Ring,
        ))
        .build_https();
    let config = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new(
            "emulator", "emulator", None, None, "bench",
        ))
        .endpoint_url(endpoint)
        .load()
        .await;
    let client = Client::new(&config);
    let shards = client.list_shards().stream_name(&stream).send().await?;
    let readers: Vec<_> = shards
        .shards()
        .iter()
        .map(|shard| {
            let (client, stream, id) = (client.clone(), stream.clone(), shard.shard_id.clone());
            tokio::spawn(read_shard(client, stream, id, has_limits))
        })
        .collect();
    let mut sum = (0, 0);
    for reader in readers {
        let (records, bytes) = reader.await??;
        sum = (sum.0 + records, sum.1 + bytes);
    }
    Ok(sum)
}

async fn read_shard(
    client: Client,
    stream: String,
    shard: String,
    has_limits: bool,
) -> Result<(u64, u64), Failure> {
    let first = client
        .get_shard_iterator()
        .stream_name(&stream)
        .shard_id(&shard)
        .shard_iterator_type(ShardIteratorType::TrimHorizon)
        .send()
        .await?;
    let mut iterator = first.shard_iterator;
    let (mut records, mut bytes) = (0, 0);
    let mut turn = Instant::now();
    while let Some(current) = iterator {
        sleep_until(turn).await;
        let asked = Instant::now();
        let page = client.get_records().shard_iterator(current).send().await?;
        let size: usize = page.records().iter().map(|r| r.data().as_ref().len()).sum();
        records += page.records().len() as u64;
        bytes += size as u64;
        if has_limits {
            let paid = Duration::from_secs_f64(size as f64 / BYTES_PER_SECOND);
            turn = (asked + BETWEEN_READS).max(Instant::now() + paid);
        }
        if page.millis_behind_latest == Some(0) && page.records().len() < FULL_PAGE {
            break;
        }
        iterator = page.next_shard_iterator;
    }
    Ok((records, bytes))
}
