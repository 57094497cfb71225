//! The threads that speak HTTP with AWS: one small tokio runtime a process, started by the first request.
//!
//! Nothing of it may be alive when a process forks, so it must never be started in the postmaster. Its threads block all signals and run no
//! code of the caller's; the caller polls a [`Pending`], and the client's [`Wake`] says when that is worth while.

use crate::wake::Wake;
use crate::{Error, http, signals};
use aws_smithy_http_client::{Connector, tls};
use aws_smithy_runtime_api::client::http::{SharedHttpClient, SharedHttpConnector};
use std::future::Future;
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::AbortHandle;

/// They wait for the network nearly all of the time; what takes a processor is unpacking JSON.
const THREADS: usize = 2;
/// Name resolution takes one while it lasts.
const BLOCKING_THREADS: usize = 4;
/// No request waits longer.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(3_600);

struct Process {
    id: u32,
    runtime: Runtime,
    http: SharedHttpClient,
    connector: SharedHttpConnector,
}

static PROCESS: OnceLock<Result<Process, String>> = OnceLock::new();

fn process() -> Result<&'static Process, Error> {
    let process = PROCESS.get_or_init(|| start().map_err(|error| error.to_string()));
    match process {
        Ok(process) if process.id == std::process::id() => Ok(process),
        Ok(_) => Err(Error::Config(
            "the threads for AWS were started before this process was forked".to_owned(),
        )),
        Err(error) => Err(Error::Config(format!("no threads for AWS: {error}"))),
    }
}

fn start() -> std::io::Result<Process> {
    // Threads that the pool adds later are started by these, and inherit.
    let runtime = signals::blocked(|| {
        Builder::new_multi_thread()
            .worker_threads(THREADS)
            .max_blocking_threads(BLOCKING_THREADS)
            .thread_name("aws")
            .on_thread_start(signals::block_here)
            .enable_all()
            .build()
    })?;
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(
            tls::rustls_provider::CryptoMode::Ring,
        ))
        .build_https();
    let connector = Connector::builder()
        .tls_provider(tls::Provider::Rustls(
            tls::rustls_provider::CryptoMode::Ring,
        ))
        .build();
    Ok(Process {
        id: std::process::id(),
        runtime,
        http: http::bounded(http),
        connector: http::bounded_connector(connector),
    })
}

/// Where tasks of this process run.
pub fn handle() -> Result<&'static Handle, Error> {
    Ok(process()?.runtime.handle())
}

/// Connections of this process, shared by all clients. Certificates are checked against the system's authorities.
pub fn http_client() -> Result<SharedHttpClient, Error> {
    Ok(process()?.http.clone())
}

/// The same for requests that are made without a client of the SDK.
pub fn connector() -> Result<&'static SharedHttpConnector, Error> {
    Ok(&process()?.connector)
}

/// A request that is under way. Dropping it gives it up.
pub struct Pending<T> {
    answer: Option<Result<Receiver<Result<T, Error>>, Error>>,
    request: String,
    deadline: Instant,
    task: Option<AbortHandle>,
}

/// Starts a request; `text` says in words what is asked for. `wake` becomes readable when the answer is there.
pub fn ask<T: Send + 'static>(
    wake: &Arc<Wake>,
    text: impl Into<String>,
    timeout: Duration,
    answer: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Pending<T> {
    let deadline = Instant::now() + timeout.min(LONGEST_TIMEOUT);
    let request = text.into();
    let (sender, receiver) = mpsc::channel();
    let wake = Arc::clone(wake);
    match handle() {
        Ok(handle) => {
            let task = handle.spawn(async move {
                // Nobody may be waiting any more.
                let _ = sender.send(answer.await);
                wake.send();
            });
            Pending {
                answer: Some(Ok(receiver)),
                request,
                deadline,
                task: Some(task.abort_handle()),
            }
        }
        Err(error) => Pending {
            answer: Some(Err(error)),
            request,
            deadline,
            task: None,
        },
    }
}

impl<T> Pending<T> {
    /// The answer, once, if it has come; [`Error::Timeout`] after the deadline; None before, and after the answer.
    pub fn poll(&mut self) -> Option<Result<T, Error>> {
        let answer = match self.answer.as_ref()? {
            Err(error) => Err(error.clone()),
            Ok(receiver) => match receiver.try_recv() {
                Ok(answer) => answer,
                Err(TryRecvError::Empty) if Instant::now() < self.deadline => return None,
                // A task that ended without an answer has panicked.
                Err(TryRecvError::Disconnected) => Err(Error::Config(format!(
                    "{}: the request was given up",
                    self.request
                ))),
                Err(TryRecvError::Empty) => Err(Error::Timeout {
                    request: self.request.clone(),
                    cause: None,
                }),
            },
        };
        self.answer = None;
        Some(answer)
    }

    /// When [`Pending::poll`] will report a timeout at the latest.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }
}

impl<T> Drop for Pending<T> {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocked_signals() -> String {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
        status
            .lines()
            .find_map(|line| line.strip_prefix("SigBlk:"))
            .unwrap_or_default()
            .trim()
            .to_owned()
    }

    fn wait<T>(wake: &Wake, pending: &mut Pending<T>) -> Result<T, Error> {
        loop {
            wake.clear();
            if let Some(answer) = pending.poll() {
                return answer;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn every_thread_blocks_signals() {
        let wake = Arc::new(Wake::new().unwrap());
        let ask_in_pool = async { Ok(tokio::task::spawn_blocking(blocked_signals).await.unwrap()) };
        let mut worker = ask(&wake, "worker", Duration::from_secs(5), async {
            Ok(blocked_signals())
        });
        let mut pool = ask(&wake, "pool", Duration::from_secs(5), ask_in_pool);
        // All but SIGKILL and SIGSTOP (and the two that glibc keeps for itself).
        let all = "fffffffe7ffbfeff";
        assert_eq!(wait(&wake, &mut worker).unwrap(), all);
        assert_eq!(wait(&wake, &mut pool).unwrap(), all);
        assert_ne!(blocked_signals(), all);
    }

    #[test]
    fn a_request_ends_at_its_deadline() {
        let wake = Arc::new(Wake::new().unwrap());
        let never = std::future::pending::<Result<(), Error>>();
        let mut pending = ask(&wake, "nothing", Duration::from_millis(20), never);
        assert!(matches!(
            wait(&wake, &mut pending),
            Err(Error::Timeout { .. })
        ));
        assert!(pending.poll().is_none());
    }
}
