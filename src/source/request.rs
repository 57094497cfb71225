//! Requests to a source, whose answers are waited for interruptibly.

use super::Client;
use crate::pg::wait::{self, Event};
use std::marker::PhantomData;
use std::time::{Duration, Instant};
use stream::Error;

/// An answer that will come.
pub trait Pending<T> {
    /// The answer, once it has come.
    fn poll(&mut self) -> Option<Result<T, Error>>;

    /// The request ends by itself then.
    fn deadline(&self) -> Instant;
}

impl<T> Pending<T> for stream::Pending<T> {
    fn poll(&mut self) -> Option<Result<T, Error>> {
        stream::Pending::poll(self)
    }

    fn deadline(&self) -> Instant {
        stream::Pending::deadline(self)
    }
}

impl<T: Send + 'static> Pending<T> for stream::kinesis::Pending<T> {
    fn poll(&mut self) -> Option<Result<T, Error>> {
        stream::kinesis::Pending::poll(self)
    }

    fn deadline(&self) -> Instant {
        stream::kinesis::Pending::deadline(self)
    }
}

impl<T> Pending<T> for Box<dyn Pending<T>> {
    fn poll(&mut self) -> Option<Result<T, Error>> {
        (**self).poll()
    }

    fn deadline(&self) -> Instant {
        (**self).deadline()
    }
}

/// An answer that is there.
pub struct Ready<T>(Option<T>);

impl<T> Ready<T> {
    /// This one.
    pub fn new(answer: T) -> Ready<T> {
        Ready(Some(answer))
    }
}

impl<T> Pending<T> for Ready<T> {
    fn poll(&mut self) -> Option<Result<T, Error>> {
        self.0.take().map(Ok)
    }

    fn deadline(&self) -> Instant {
        Instant::now()
    }
}

/// An answer that is made of another one.
pub struct Map<P, F, T> {
    asked: P,
    make: F,
    of: PhantomData<T>,
}

impl<T, P: Pending<T>, F> Map<P, F, T> {
    /// What `make` makes of it.
    pub fn new(asked: P, make: F) -> Map<P, F, T> {
        Map {
            asked,
            make,
            of: PhantomData,
        }
    }
}

impl<T, U, P: Pending<T>, F: FnMut(T) -> U> Pending<U> for Map<P, F, T> {
    fn poll(&mut self) -> Option<Result<U, Error>> {
        let answer = self.asked.poll()?;
        Some(answer.map(&mut self.make))
    }

    fn deadline(&self) -> Instant {
        self.asked.deadline()
    }
}

/// Waits for an answer. A request ends by itself after `redshift.connect_timeout_ms`; a little later we stop waiting for it.
pub fn answer<T>(client: &impl Client, mut pending: impl Pending<T>) -> Result<T, Error> {
    const GRACE: Duration = Duration::from_millis(500);
    let deadline = pending.deadline() + GRACE;
    loop {
        client.clear_wake();
        if let Some(answer) = pending.poll() {
            return answer;
        }
        if Instant::now() >= deadline {
            return Err(Error::Timeout {
                request: "request".to_owned(),
                cause: client.trouble(),
            });
        }
        wait::readable(client.wake_fd(), deadline, Event::BrokerAnswer);
    }
}
