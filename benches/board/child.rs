//! A server that a load program starts and stops itself.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};

/// How long a server may take to end after SIGTERM.
const ENDING: Duration = Duration::from_secs(10);

/// A running child; ended when dropped.
pub struct Managed {
    name: String,
    child: Child,
}

impl Managed {
    /// Starts `command`, with what it says written to `log`.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> anyhow::Result<Self> {
        let log = File::create(log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("start {name} ({})", command.get_program().to_string_lossy()))?;
        Ok(Self { name: name.to_owned(), child })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    fn ask(&self) -> anyhow::Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).context("a pid")?;
        Ok(kill_process(pid, Signal::TERM)?)
    }

    /// Asks it to end and waits until it has; returns how long that took.
    pub fn stop(mut self) -> anyhow::Result<Duration> {
        let asked = Instant::now();
        self.ask()?;
        while self.child.try_wait()?.is_none() {
            if asked.elapsed() > ENDING {
                bail!("{} did not end within {ENDING:?} of SIGTERM", self.name);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(asked.elapsed())
    }
}

impl Drop for Managed {
    fn drop(&mut self) {
        // Asked first: a master that is killed leaves its workers behind. Gone already after `stop`; and nothing is left
        // to do about a failure here.
        if let Ok(None) = self.child.try_wait() {
            let _ = self.ask();
            let asked = Instant::now();
            while matches!(self.child.try_wait(), Ok(None)) && asked.elapsed() < ENDING {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A loopback address whose port was free a moment ago.
pub fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
