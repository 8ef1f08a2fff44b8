//! What the kernel says of the server: its memory, its CPU time, and which processes it is.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::net::SocketAddr;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The processes of a server; several where it forks workers.
#[derive(Clone, Debug, Default)]
pub struct Processes {
    pids: Vec<u32>,
}

/// What they use at a moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    pub rss_mib: f64,
    /// CPU seconds, user and system, since they started.
    pub cpu_seconds: f64,
}

impl Processes {
    /// One process.
    pub fn one(pid: u32) -> Self {
        Self { pids: vec![pid] }
    }

    /// Those that listen at `address`; none when it is on another machine or another user's.
    pub fn listening_at(address: SocketAddr) -> Self {
        let sockets: HashSet<String> =
            listening_inodes(address.port()).iter().map(|inode| format!("socket:[{inode}]")).collect();
        let pids = numbers_in("/proc").filter(|pid| has_open(*pid, &sockets)).collect();
        Self { pids }
    }

    /// Whether any is known.
    pub fn is_known(&self) -> bool {
        !self.pids.is_empty()
    }

    /// Their memory and CPU time, summed.
    pub fn usage(&self) -> Usage {
        let mut usage = Usage::default();
        for &pid in &self.pids {
            usage.rss_mib += rss_mib(pid).unwrap_or_default();
            usage.cpu_seconds += cpu_seconds(pid).unwrap_or_default();
        }
        usage
    }
}

fn rss_mib(pid: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().split(' ').next()?.parse::<f64>().ok().map(|kib| kib / 1024.0)
}

fn cpu_seconds(pid: u32) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold spaces; user and system time are the 12th and 13th field after it.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / rustix::param::clock_ticks_per_second() as f64)
}

fn listening_inodes(port: u16) -> HashSet<String> {
    const LISTEN: &str = "0A";
    let suffix = format!(":{port:04X}");
    let mut inodes = HashSet::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        for line in fs::read_to_string(table).unwrap_or_default().lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            if fields.len() > 9 && fields[1].ends_with(&suffix) && fields[3] == LISTEN {
                inodes.insert(fields[9].to_owned());
            }
        }
    }
    inodes
}

fn has_open(pid: u32, sockets: &HashSet<String>) -> bool {
    let directory = format!("/proc/{pid}/fd");
    let Ok(entries) = fs::read_dir(directory) else { return false };
    entries
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .any(|link| link.to_str().is_some_and(|link| sockets.contains(link)))
}

fn numbers_in(directory: &str) -> impl Iterator<Item = u32> {
    fs::read_dir(directory).into_iter().flatten().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// Raises the limit of open files of this process, and of the servers it starts, to what is needed or more.
pub fn raise_open_files(needed: u64) -> io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    // Where the hard limit does not suffice, only a privileged user can raise it.
    let maximum = limit.maximum.map(|maximum| maximum.max(needed));
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
        .map_err(|error| io::Error::other(format!("{needed} open files are needed (ulimit -n): {error}")))
}
