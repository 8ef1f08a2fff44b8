//! States that are gone are built anew by the first member that notices; the others wait behind its fence.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::contract::Processor;
use super::handler::{ProcessorHandler, Shared};
use crate::kafka::consumer::ApplyError;
use crate::kafka::log;
use crate::kafka::replay::{self, Letters, Part, Progress, Range, ReplayError};

/// How long a member waits for it at once. A group that never ran is soon done; for one that takes longer the member goes
/// on polling, so that it stays in its group, and asks again.
const AT_ONCE: Duration = Duration::from_millis(500);

type Task = AbortOnDropHandle<Result<(), ReplayError>>;

/// The rebuild that a member does, if it does one.
#[derive(Default)]
pub struct Healing {
    task: Mutex<Option<Task>>,
    turn: tokio::sync::Mutex<()>,
}

impl Healing {
    /// Whoever finds the states gone waits for this before it looks again: they are built once for all partitions.
    pub async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// Builds the states anew; answers once they are.
    ///
    /// # Errors
    /// [`ApplyError::Fenced`] while that takes its time, or another member does it.
    pub async fn heal<P: Processor>(&self, shared: &Arc<Shared<P>>) -> Result<(), ApplyError> {
        let mut task = self.take().unwrap_or_else(|| AbortOnDropHandle::new(tokio::spawn(rebuild(Arc::clone(shared)))));
        let Ok(ended) = timeout(AT_ONCE, &mut task).await else {
            *self.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
            return Err(ApplyError::Fenced);
        };
        match ended {
            Ok(Ok(())) => Ok(()),
            Ok(Err(ReplayError::Held)) => Err(ApplyError::Fenced),
            Ok(Err(error)) => Err(ApplyError::Unavailable(format!("can't build the states anew: {error}"))),
            Err(error) => Err(ApplyError::Unavailable(format!("building the states anew: {error}"))),
        }
    }

    fn take(&self) -> Option<Task> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

async fn rebuild<P: Processor>(shared: Arc<Shared<P>>) -> Result<(), ReplayError> {
    let setup = &shared.setup;
    let mut parts = Vec::new();
    for topic in setup.topics.iter().chain(setup.emits.iter().filter(|topic| !setup.topics.contains(topic))) {
        for log in log::open(&setup.cluster, topic).await? {
            let (from, to) = tokio::try_join!(log.start(), log.end())?;
            parts.push(Part { log, from, to, seen: i64::MAX });
        }
    }
    let range = Range { parts };
    let group = shared.group.clone();
    let records = range.len();
    if records > 0 {
        tracing::warn!(group, records, "there are no states here, and there is a log: building them from it");
    }
    let topic = Some(setup.retry.dead_letters.clone());
    let letters = Letters { producer: setup.producer.clone(), group: group.clone(), topic };
    let handler = ProcessorHandler { shared: Arc::clone(&shared), shadow: None };
    let report = replay::replay(&handler, range, &letters, Progress::default()).await?;
    if records > 0 {
        tracing::info!(group, records = report.applied, seconds = report.seconds, "the states are built");
    }
    Ok(())
}
