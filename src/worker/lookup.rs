//! What AWS is asked before a client can be made (brokers, secrets, certificates): asked once for all who need it, while the worker goes on.

use crate::aws::{Asking, Question};
use crate::pg::background::{Failure, transaction};
use crate::pg::wait::WakeSet;
use std::time::{Duration, Instant};

/// Who asks again so soon after a failure is given the same one.
const FAILED: Duration = Duration::from_secs(2);

/// A question without an answer.
struct Refused {
    question: Question,
    when: Instant,
    failure: Failure,
}

/// The questions of a worker.
#[derive(Default)]
pub struct Lookups {
    asking: Vec<Asking>,
    refused: Vec<Refused>,
}

impl Lookups {
    /// Are all answered, so that a client can be made without waiting? What has not been asked yet is asked.
    pub fn are_answered(
        &mut self,
        questions: &[Question],
        wake: Option<&WakeSet>,
    ) -> Result<bool, Failure> {
        self.poll();
        let mut all = true;
        for question in questions {
            if question.is_answered() {
                continue;
            }
            if let Some(refused) = self.refused.iter().find(|r| r.question == *question) {
                return Err(Failure {
                    sqlstate: refused.failure.sqlstate.clone(),
                    message: refused.failure.message.clone(),
                });
            }
            all = false;
            if self.asking.iter().all(|a| a.question() != question) {
                let asking = transaction(|| question.ask())?;
                if let Some(wake) = wake {
                    wake.add(asking.wake_fd());
                }
                self.asking.push(asking);
            }
        }
        Ok(all)
    }

    fn poll(&mut self) {
        self.refused
            .retain(|refused| refused.when.elapsed() < FAILED);
        let refused = &mut self.refused;
        self.asking.retain_mut(|asking| match asking.poll() {
            Ok(is_answered) => !is_answered,
            Err(error) => {
                let question = asking.question().clone();
                let raised: Result<(), Failure> = transaction(|| question.report(&error).raise());
                if let Err(failure) = raised {
                    refused.push(Refused {
                        question,
                        when: Instant::now(),
                        failure,
                    });
                }
                false
            }
        });
    }
}
