//! Memory and CPU of the server while a load runs.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::process::Processes;

/// One moment of the server.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Since the sampling began.
    pub at: Duration,
    pub rss_mib: f64,
    /// Since the sample before; 100 is one core.
    pub cpu_percent: f64,
}

/// A thread that samples.
pub struct Sampler {
    thread: JoinHandle<Vec<Sample>>,
    stop: Sender<()>,
}

/// What it saw.
pub struct Samples(pub Vec<Sample>);

impl Sampler {
    /// Samples `processes` every `interval`.
    pub fn start(processes: Processes, interval: Duration) -> Self {
        let (stop, stopped) = channel();
        let thread = std::thread::spawn(move || {
            let began = Instant::now();
            let mut samples = Vec::new();
            let (mut at, mut usage) = (began, processes.usage());
            loop {
                let last = !matches!(stopped.recv_timeout(interval), Err(RecvTimeoutError::Timeout));
                let (now, next) = (Instant::now(), processes.usage());
                // A process that has ended has no usage; its last moment was the one before.
                if next.cpu_seconds < usage.cpu_seconds {
                    return samples;
                }
                let cpu = (next.cpu_seconds - usage.cpu_seconds) / (now - at).as_secs_f64();
                samples.push(Sample { at: now - began, rss_mib: next.rss_mib, cpu_percent: cpu * 100.0 });
                if last {
                    return samples;
                }
                (at, usage) = (now, next);
            }
        });
        Self { thread, stop }
    }

    /// Ends the sampling.
    pub fn finish(self) -> anyhow::Result<Samples> {
        drop(self.stop);
        self.thread.join().map(Samples).map_err(|_| anyhow::anyhow!("the sampler panicked"))
    }
}

impl Samples {
    /// The most memory seen.
    pub fn peak_rss(&self) -> f64 {
        self.0.iter().map(|sample| sample.rss_mib).fold(0.0, f64::max)
    }

    /// CPU over the whole time; 100 is one core.
    pub fn cpu_percent(&self) -> f64 {
        let (mut spent, mut before) = (0.0, Duration::ZERO);
        for sample in &self.0 {
            spent += sample.cpu_percent * (sample.at - before).as_secs_f64();
            before = sample.at;
        }
        spent / before.as_secs_f64().max(f64::EPSILON)
    }

    /// Minimum, median and maximum of a value.
    pub fn spread(&self, value: impl Fn(&Sample) -> f64) -> [f64; 3] {
        let mut values: Vec<f64> = self.0.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        match values.as_slice() {
            [] => [0.0; 3],
            values => [values[0], values[(values.len() - 1) / 2], values[values.len() - 1]],
        }
    }
}
