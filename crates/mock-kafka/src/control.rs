//! The control socket: one command a line, one answer a line (`ok`, `ok TEXT` or `error TEXT`).

use crate::Failure;
use crate::serve::{Cluster, Event, create_topic};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::str::FromStr;
use std::sync::mpsc::{self, Sender};
use std::time::Duration;

const HELP: &str = "create-topic NAME PARTITIONS | broker-down ID | broker-up ID | rtt ID MS | rack ID NAME | \
    leader TOPIC PARTITION ID | follower TOPIC PARTITION ID | follower-watermarks TOPIC PARTITION LOW HIGH | \
    topic-error TOPIC CODE | request-errors API CODE[,CODE..] | clear-request-errors API | bootstrap | help \
    (broker ID -1 is all, leader ID -1 is none; CODE is Kafka's number or librdkafka's, -195 cuts the connection; \
    API is Kafka's name or number, such as Fetch or 1)";

/// One line, and where its answer goes.
pub struct Request {
    line: String,
    answer: Sender<String>,
}

impl Request {
    /// Does what the line says.
    pub fn answer(self, cluster: &Cluster) {
        let words: Vec<&str> = self.line.split_whitespace().collect();
        let answer = match obey(cluster, &words) {
            Ok(text) if text.is_empty() => "ok".to_owned(),
            Ok(text) => format!("ok {text}"),
            Err(failure) => format!("error {failure}"),
        };
        // The other side may have hung up.
        let _ = self.answer.send(answer);
    }
}

fn obey(cluster: &Cluster, words: &[&str]) -> Result<String, Failure> {
    match *words {
        ["create-topic", name, partitions] => create_topic(cluster, name, number(partitions)?)?,
        ["broker-down", id] => cluster.broker_down(number(id)?)?,
        ["broker-up", id] => cluster.broker_up(number(id)?)?,
        ["rtt", id, ms] => {
            cluster.broker_round_trip_time(number(id)?, Duration::from_millis(number(ms)?))?
        }
        ["rack", id, name] => cluster.broker_rack(number(id)?, name)?,
        ["leader", topic, partition, id] => {
            let id = Some(number(id)?).filter(|id| *id >= 0);
            cluster.partition_leader(topic, number(partition)?, id)?;
        }
        ["follower", topic, partition, id] => {
            cluster.partition_follower(topic, number(partition)?, number(id)?)?
        }
        ["follower-watermarks", topic, partition, low, high] => {
            cluster.follower_watermarks(
                topic,
                number(partition)?,
                Some(number(low)?),
                Some(number(high)?),
            )?;
        }
        ["topic-error", topic, code] => cluster.topic_error(topic, error_code(code)?)?,
        ["request-errors", api, codes] => {
            let codes = codes
                .split(',')
                .map(error_code)
                .collect::<Result<Vec<_>, _>>()?;
            cluster.request_errors(api_key(api)?, &codes);
        }
        ["clear-request-errors", api] => cluster.clear_request_errors(api_key(api)?),
        ["bootstrap"] => return Ok(cluster.bootstrap_servers()),
        ["help"] => return Ok(HELP.to_owned()),
        _ => return Err(format!("unknown command; there is: {HELP}").into()),
    }
    Ok(String::new())
}

fn number<T: FromStr>(word: &str) -> Result<T, Failure> {
    word.parse()
        .map_err(|_| format!("not a number that fits here: {word}").into())
}

fn error_code(word: &str) -> Result<RDKafkaRespErr, Failure> {
    RDKafkaRespErr::try_from(number::<i32>(word)?)
        .map_err(|_| format!("no such error code: {word}").into())
}

/// The requests that a reader, a producer and their clients make.
fn api_key(word: &str) -> Result<RDKafkaApiKey, Failure> {
    Ok(match word {
        "Produce" | "0" => RDKafkaApiKey::Produce,
        "Fetch" | "1" => RDKafkaApiKey::Fetch,
        "ListOffsets" | "2" => RDKafkaApiKey::ListOffsets,
        "Metadata" | "3" => RDKafkaApiKey::Metadata,
        "FindCoordinator" | "10" => RDKafkaApiKey::FindCoordinator,
        "ApiVersions" | "18" => RDKafkaApiKey::ApiVersion,
        "InitProducerId" | "22" => RDKafkaApiKey::InitProducerId,
        "OffsetForLeaderEpoch" | "23" => RDKafkaApiKey::OffsetForLeaderEpoch,
        _ => return Err(format!("no such request: {word}").into()),
    })
}

/// Starts to accept connections at `path`, which is replaced if it exists.
pub fn listen(path: &Path, events: Sender<Event>) -> Result<(), Failure> {
    let _ = std::fs::remove_file(path);
    let listener =
        UnixListener::bind(path).map_err(|error| format!("{}: {error}", path.display()))?;
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let events = events.clone();
            std::thread::spawn(move || converse(connection, &events));
        }
    });
    Ok(())
}

/// Passes on line after line until one side hangs up.
fn converse(mut connection: UnixStream, events: &Sender<Event>) {
    let Ok(reader) = connection.try_clone() else {
        return;
    };
    for line in BufReader::new(reader).lines().map_while(Result::ok) {
        let (answer, answers) = mpsc::channel();
        if events
            .send(Event::Control(Request { line, answer }))
            .is_err()
        {
            return;
        }
        let Ok(answer) = answers.recv() else { return };
        if writeln!(connection, "{answer}").is_err() {
            return;
        }
    }
}

/// Sends one command and returns its answer; an `error` answer is an error here too.
pub fn send(path: &Path, command: &[String]) -> Result<String, Failure> {
    let mut connection =
        UnixStream::connect(path).map_err(|error| format!("{}: {error}", path.display()))?;
    writeln!(connection, "{}", command.join(" "))?;
    let mut answer = String::new();
    BufReader::new(connection).read_line(&mut answer)?;
    match answer.trim_end() {
        "" => Err("the cluster hung up".into()),
        text => match text.strip_prefix("error ") {
            Some(failure) => Err(failure.into()),
            None => Ok(text.to_owned()),
        },
    }
}
