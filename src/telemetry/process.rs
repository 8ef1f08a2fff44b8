//! What the process costs: processor, memory, files, and how busy its asynchronous runtime is.

use std::time::{Duration, Instant};

use metrics::{Gauge, gauge};
use metrics_process::Collector;
use tokio::runtime::{Handle, RuntimeMetrics};

use super::metrics as m;

/// Looks at the process and keeps its metrics true.
pub struct ProcessFacts {
    /// Writes those whose names begin with `process_`, as the clients of Prometheus name them:
    /// <https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>.
    collector: Collector,
    runtime: RuntimeMetrics,
    tasks: Gauge,
    queue: Gauge,
    busy: Gauge,
    looked: Instant,
    spent: Duration,
}

impl ProcessFacts {
    #[expect(clippy::new_without_default, reason = "it is of where it is made, which no default is")]
    /// Of the runtime that this is called in.
    pub fn new() -> Self {
        let runtime = Handle::current().metrics();
        gauge!(m::BUILD_INFO.name, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        gauge!(m::TOKIO_WORKERS.name).set(runtime.num_workers() as f64);
        Self {
            collector: Collector::default(),
            tasks: gauge!(m::TOKIO_TASKS.name),
            queue: gauge!(m::TOKIO_QUEUE.name),
            busy: gauge!(m::TOKIO_BUSY.name),
            looked: Instant::now(),
            spent: spent(&runtime),
            runtime,
        }
    }

    /// Looks again.
    pub fn look(&mut self) {
        self.collector.collect();
        self.tasks.set(self.runtime.num_alive_tasks() as f64);
        self.queue.set(self.runtime.global_queue_depth() as f64);
        let (before, spent_before) = (self.looked, self.spent);
        (self.looked, self.spent) = (Instant::now(), spent(&self.runtime));
        let had = (self.looked - before).as_secs_f64() * self.runtime.num_workers() as f64;
        if had > 0.0 {
            self.busy.set((self.spent.saturating_sub(spent_before).as_secs_f64() / had).min(1.0));
        }
    }
}

/// How long all workers together have run tasks.
fn spent(runtime: &RuntimeMetrics) -> Duration {
    (0..runtime.num_workers()).map(|worker| runtime.worker_total_busy_duration(worker)).sum()
}
