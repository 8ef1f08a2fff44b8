//! The apps' consumer groups, run as tasks of this process.

use anyhow::Context;
use tokio::task::JoinSet;

use crate::apps::{GroupSpec, Services};
use crate::kafka::consumer::GroupHealth;

/// Members of groups, running.
pub struct Members {
    tasks: JoinSet<anyhow::Result<()>>,
    /// Each group with its health.
    pub health: Vec<(String, GroupHealth)>,
}

impl Members {
    /// Starts a member of each group.
    pub fn start(services: &Services, groups: impl IntoIterator<Item = &'static GroupSpec>) -> Self {
        let mut members = Self { tasks: JoinSet::new(), health: Vec::new() };
        for group in groups {
            let (name, health) = (services.prefix.apply(group.name), GroupHealth::default());
            let member = (group.run)(services.clone(), health.clone());
            members.health.push((name.clone(), health));
            members.tasks.spawn(async move { member.await.with_context(|| format!("group {name}")) });
        }
        members
    }

    /// Waits until every member has ended. One that fails ends the process's other parts too.
    ///
    /// # Errors
    /// The first failure.
    pub async fn join(mut self, services: &Services) -> anyhow::Result<()> {
        let mut result = Ok(());
        while let Some(ended) = self.tasks.join_next().await {
            let ended = ended.context("a consumer group's task panicked").and_then(|ended| ended);
            if ended.is_err() {
                services.shutdown.cancel();
            }
            result = result.and(ended);
        }
        result
    }
}
