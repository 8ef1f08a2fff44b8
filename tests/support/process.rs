//! A process that a test started: in a directory of its own, with its output in a log, ended with the test.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

pub use rustix::process::Signal;
use rustix::process::{Pid, Resource, Rlimit, kill_process, prlimit};

use super::{eventually, services, unique};

/// How much of the log a failed test shows.
const TAIL_LINES: usize = 40;

/// A running process, or one that ended and may be started again in the same directory.
#[derive(Debug)]
pub struct Process {
    name: String,
    directory: PathBuf,
    child: Option<Child>,
}

impl Process {
    /// A directory for `name`, with nothing running in it.
    pub fn prepare(name: &str) -> Self {
        let directory = services::directory().join(unique(name));
        fs::create_dir_all(&directory).unwrap_or_else(|error| panic!("can't make {}: {error}", directory.display()));
        Self { name: name.to_owned(), directory, child: None }
    }

    /// Starts `command` in the directory.
    pub fn spawn(&mut self, command: &mut Command) {
        assert!(self.child.is_none(), "{} runs already", self.name);
        let log = File::options().create(true).append(true).open(self.log_path()).unwrap();
        let child = command
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("can't start {}: {error}", self.name));
        // If the test process itself is killed, `tests/services.sh` ends what this names.
        fs::write(self.directory.join("pid"), child.id().to_string()).unwrap();
        self.child = Some(child);
    }

    /// The directory, which is also the process's working directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The process id while it runs.
    pub fn id(&self) -> u32 {
        self.child.as_ref().unwrap_or_else(|| panic!("{} does not run", self.name)).id()
    }

    /// Whether it runs.
    pub fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_none())
    }

    /// Everything it wrote so far.
    pub fn log(&self) -> String {
        fs::read(self.log_path()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Resident memory in bytes.
    pub fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.id().cast_signed()).expect("the id of a process");
        kill_process(pid, signal).unwrap();
    }

    /// Has files of at most `bytes`, from now on; 0 is a disk without room.
    pub fn limit_files(&self, bytes: Option<u64>) {
        let pid = Pid::from_raw(self.id().cast_signed()).expect("the id of a process");
        prlimit(Some(pid), Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
    }

    /// Ends it as a power cut would, and waits until it is gone.
    pub fn kill9(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        // Fails only when it ended by itself, which `wait` then tells.
        let _ = child.kill();
        child.wait().unwrap();
    }

    /// Asks it to end and waits for that; fails the test when it takes longer than `timeout`.
    pub async fn terminate(&mut self, timeout: Duration) -> ExitStatus {
        self.signal(Signal::TERM);
        self.ended(timeout).await
    }

    /// Waits until it ended by itself.
    pub async fn ended(&mut self, timeout: Duration) -> ExitStatus {
        let child = self.child.as_mut().unwrap_or_else(|| panic!("{} does not run", self.name));
        let what = format!("the end of {}", self.name);
        let looked = std::cell::RefCell::new(child);
        let status = eventually(&what, timeout, async || looked.borrow_mut().try_wait().unwrap()).await;
        self.child = None;
        status
    }

    /// Fails the test when it ended although it should run; to be called while waiting for it.
    pub fn must_run(&mut self) {
        let Some(child) = self.child.as_mut() else { panic!("{} was not started", self.name) };
        if let Some(status) = child.try_wait().unwrap() {
            let how = status.signal().map_or_else(|| status.to_string(), |signal| format!("signal {signal}"));
            panic!("{} ended by itself: {how}", self.name);
        }
    }

    fn log_path(&self) -> PathBuf {
        self.directory.join("log")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill9();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let tail = &lines[lines.len().saturating_sub(TAIL_LINES)..];
            eprintln!("--- the end of {}'s log ({}):\n{}", self.name, self.log_path().display(), tail.join("\n"));
            let _ = fs::remove_file(self.directory.join("pid"));
        } else {
            let _ = fs::remove_dir_all(&self.directory);
        }
    }
}
