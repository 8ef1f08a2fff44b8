//! A Redis of one node: kevy, on a thread of its own. docs/embedded.md lists what it lacks.

use std::io;
use std::net::{SocketAddr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use kevy_rt::{Fsync, Runtime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::embedded::lock::{Lock, LockError};
use commands::EmbeddedCommands;
use scripts::Scripts;

mod append_only;
mod commands;
mod scripts;

/// How often a server that starts is asked whether it is there.
const ASK_INTERVAL: Duration = Duration::from_millis(1);
/// Bytes of its file from which on the server writes it anew: reading it again takes a start a second for some ten
/// thousands of calls.
const REWRITE_FROM: u64 = 4 << 20;
/// By how many percent the file has grown since, when it is written anew.
const REWRITE_GROWTH: u32 = 100;
const PING: &[u8] = b"PING\r\n";
const PONG: &[u8; 7] = b"+PONG\r\n";

/// The embedded Redis can't be had.
#[derive(Debug, thiserror::Error)]
pub enum RedisServerError {
    /// Its folder.
    #[error(transparent)]
    Folder(#[from] LockError),
    /// Its thread can't be made, or its address listened on.
    #[error("the embedded Redis doesn't start: {0}")]
    Start(#[from] io::Error),
    /// It ended by itself; what it had to say is on stderr.
    #[error("the embedded Redis has ended by itself; its data is in {}", folder.display())]
    Ended {
        /// The folder of its data.
        folder: PathBuf,
    },
}

/// A Redis that runs.
pub struct Running {
    folder: PathBuf,
    stop: Arc<AtomicBool>,
    /// Told by the thread when it ends.
    ended: oneshot::Receiver<io::Result<()>>,
    _lock: Lock,
}

/// Loads what is in `folder` and serves it where `listener` listens, from when this returns.
///
/// # Errors
/// The folder is in use or can't be read, or somebody took the address in this moment.
pub async fn start(listener: TcpListener, folder: &Path) -> Result<Running, RedisServerError> {
    let lock = Lock::take(folder)?;
    let SocketAddr::V4(address) = listener.local_addr()? else {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "it listens on IPv4 addresses only").into());
    };
    // kevy can't take a listener over, it makes its own.
    drop(listener);
    let (stop, (tell, ended)) = (Arc::new(AtomicBool::new(false)), oneshot::channel());
    let commands = EmbeddedCommands::new(Scripts::load(folder.join("scripts"))?);
    append_only::cut_torn_end(folder)?;
    let runtime = runtime(address, folder, commands);
    let stopping = Arc::clone(&stop);
    thread::Builder::new().name("redis".to_owned()).spawn(move || {
        // Nobody listens any more when the process is ending.
        let _ = tell.send(runtime.run(stopping));
    })?;
    let mut running = Running { folder: folder.to_owned(), stop, ended, _lock: lock };
    tokio::select! {
        () = answers(address) => Ok(running),
        error = running.ended() => Err(error),
    }
}

fn runtime(address: SocketAddrV4, folder: &Path, commands: EmbeddedCommands) -> Runtime<EmbeddedCommands> {
    let (ip, port) = (address.ip().octets(), address.port());
    let mut config = kevy_config::Config::default();
    config.server.bind = ip;
    config.server.port = port;
    config.server.threads = 1;
    config.server.data_dir = folder.to_owned();
    // With anything less, kevy keeps what it has answered to itself for up to a second, where kill -9 takes it.
    config.persistence.appendfsync = kevy_config::AppendFsync::Always;
    config.persistence.auto_aof_rewrite_min_size = REWRITE_FROM;
    // What CONFIG GET and INFO tell, and the limits of scripts.
    kevy::config_init(Arc::new(config));
    // One shard, as Redis has: a script sees all keys.
    let runtime = Runtime::new(ip, port, 1, commands).with_data_dir(folder);
    runtime.with_aof(true).with_appendfsync(Fsync::Always).with_auto_aof_rewrite(REWRITE_GROWTH, REWRITE_FROM)
}

/// Waits until the server has loaded its data and answers.
async fn answers(address: SocketAddrV4) {
    while !matches!(pong(address).await, Ok(true)) {
        tokio::time::sleep(ASK_INTERVAL).await;
    }
}

async fn pong(address: SocketAddrV4) -> io::Result<bool> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(PING).await?;
    let mut answer = [0; PONG.len()];
    stream.read_exact(&mut answer).await?;
    Ok(answer == *PONG)
}

impl Running {
    /// Waits until the server ends by itself, which it should not.
    pub async fn ended(&mut self) -> RedisServerError {
        match (&mut self.ended).await {
            Ok(Err(error)) => error.into(),
            Ok(Ok(())) | Err(_) => RedisServerError::Ended { folder: self.folder.clone() },
        }
    }

    /// Ends it; everything that it answered is in its file then.
    ///
    /// # Errors
    /// It had ended before.
    pub async fn stop(mut self) -> Result<(), RedisServerError> {
        if !matches!(self.ended.try_recv(), Err(oneshot::error::TryRecvError::Empty)) {
            return Err(RedisServerError::Ended { folder: self.folder });
        }
        self.stop.store(true, Ordering::SeqCst);
        match self.ended.await {
            Ok(ended) => ended.map_err(RedisServerError::Start),
            Err(_) => Err(RedisServerError::Ended { folder: self.folder }),
        }
    }
}

#[cfg(test)]
mod tests;
