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
    /// Starts a member of each group. A member works until the process is asked to end; one that ends before, because
    /// it failed, asks that itself: a server whose messages nobody shows any more had better be started anew.
    pub fn start(services: &Services, groups: impl IntoIterator<Item = &'static GroupSpec>) -> Self {
        let mut members = Self { tasks: JoinSet::new(), health: Vec::new() };
        for group in groups {
            let name = services.prefix.apply(group.name);
            let health = GroupHealth::new(&name);
            let member = (group.run)(services.clone(), health.clone());
            members.health.push((name.clone(), health));
            let ends_with_it = services.shutdown.clone().drop_guard();
            members.tasks.spawn(async move {
                let _ends_with_it = ends_with_it;
                member.await.with_context(|| format!("group {name}"))
            });
        }
        members
    }

    /// Waits until every member has ended.
    ///
    /// # Errors
    /// The first failure.
    pub async fn join(mut self) -> anyhow::Result<()> {
        let mut result = Ok(());
        while let Some(ended) = self.tasks.join_next().await {
            result = result.and(ended.context("a consumer group's task panicked").and_then(|ended| ended));
        }
        result
    }
}
