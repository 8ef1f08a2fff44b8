//! `kboard broker` of a test's own.

use std::path::PathBuf;
use std::process::Output;

use tempfile::TempDir;

use super::{Kboard, kboard, ports};

/// A broker with a folder of its own.
#[derive(Debug)]
pub struct Embedded {
    /// The process.
    pub kboard: Kboard,
    /// Where it listens, `host:port`.
    pub address: String,
    /// Its data.
    pub folder: TempDir,
}

impl Embedded {
    /// Starts one and waits until it serves.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = format!("127.0.0.1:{}", ports::free());
        let kboard = Kboard::broker(&arguments(&folder, &address)).await;
        Self { kboard, address, folder }
    }

    /// Dies as in a power cut of the process, and starts again.
    pub async fn die_and_come_back(&mut self) {
        self.kboard.kill9();
        self.kboard.relaunch();
        self.kboard.alive().await;
    }

    /// The folder of the broker's own data.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("kafka")
    }

    /// A command on it.
    pub async fn run(&self, arguments: &[&str]) -> Output {
        kboard::run(&[arguments, &["--kafka", &self.address]].concat()).await
    }

    /// What a command on it prints; it must succeed.
    pub async fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments).await;
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

/// The arguments of a broker on this folder and address.
pub fn arguments(folder: &TempDir, address: &str) -> Vec<String> {
    let folder = folder.path().to_str().unwrap();
    let own = ["broker", "--data", folder, "--kafka-listen", address, "--redis-listen", "127.0.0.1:0"];
    own.map(str::to_owned).to_vec()
}
