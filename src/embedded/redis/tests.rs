//! The server as its clients see it; the suites of tests/ run on it, too.

use super::*;
use tokio::io::{AsyncBufReadExt, BufReader};

const SOON: Duration = Duration::from_secs(30);

struct Client(BufReader<TcpStream>);

impl Client {
    async fn connect(address: SocketAddr) -> Self {
        Self(BufReader::new(TcpStream::connect(address).await.unwrap()))
    }

    /// The first line of the answer to a command.
    async fn ask(&mut self, words: &[&str]) -> String {
        let mut command = format!("*{}\r\n", words.len());
        words.iter().for_each(|word| command.push_str(&format!("${}\r\n{word}\r\n", word.len())));
        self.0.get_mut().write_all(command.as_bytes()).await.unwrap();
        self.line().await
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        tokio::time::timeout(SOON, self.0.read_line(&mut line)).await.expect("an answer").unwrap();
        line.trim_end().to_owned()
    }
}

async fn started(folder: &Path) -> (Running, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (start(listener, folder).await.unwrap(), address)
}

#[tokio::test]
async fn what_was_answered_is_there_again_after_the_end() {
    let folder = tempfile::tempdir().unwrap();
    for round in 1..=3 {
        let (server, address) = started(folder.path()).await;
        let mut client = Client::connect(address).await;
        assert_eq!(client.ask(&["INCR", "rounds"]).await, format!(":{round}"));
        server.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_folder_in_use_and_an_address_of_ipv6_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (server, _) = started(folder.path()).await;
    let second = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refused = start(second, folder.path()).await.err().unwrap();
    assert!(matches!(refused, RedisServerError::Folder(LockError::InUse { .. })), "{refused}");
    server.stop().await.unwrap();
    let second = TcpListener::bind("[::1]:0").await.unwrap();
    let refused = start(second, folder.path()).await.err().unwrap();
    assert!(refused.to_string().contains("IPv4"), "{refused}");
}

#[tokio::test]
async fn what_a_script_called_by_its_hash_has_written_is_there_again() {
    let folder = tempfile::tempdir().unwrap();
    let script = "return redis.call('INCR', KEYS[1])";
    let (server, address) = started(folder.path()).await;
    let mut client = Client::connect(address).await;
    client.ask(&["SCRIPT", "LOAD", script]).await;
    let hash = client.line().await;
    assert_eq!(client.ask(&["EVALSHA", &hash, "1", "calls"]).await, ":1");
    server.stop().await.unwrap();
    // A process that has never heard of the script: kevy's cache is the process's.
    kevy::dispatch(&mut kevy_rt::Store::new(), &argv(&["SCRIPT", "FLUSH"]));
    let (server, address) = started(folder.path()).await;
    let mut client = Client::connect(address).await;
    assert_eq!(client.ask(&["EVALSHA", &hash, "1", "calls"]).await, ":2");
    server.stop().await.unwrap();
}

fn argv(words: &[&str]) -> kevy::Argv {
    let mut argv = kevy::Argv::default();
    words.iter().for_each(|word| argv.push(word.as_bytes()));
    argv
}

#[tokio::test]
async fn shutdown_does_not_end_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let (server, address) = started(folder.path()).await;
    let mut client = Client::connect(address).await;
    assert!(client.ask(&["SHUTDOWN", "NOSAVE"]).await.starts_with("-ERR"));
    assert_eq!(client.ask(&["PING"]).await, "+PONG");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_call_that_missed_its_script_is_not_made_up_for_later() {
    let folder = tempfile::tempdir().unwrap();
    let script = "return redis.call('INCR', KEYS[1]) -- missed";
    let (server, address) = started(folder.path()).await;
    let mut client = Client::connect(address).await;
    client.ask(&["SCRIPT", "LOAD", script]).await;
    let hash = client.line().await;
    client.ask(&["SCRIPT", "FLUSH"]).await;
    for _ in 0..3 {
        assert!(client.ask(&["EVALSHA", &hash, "1", "calls"]).await.starts_with("-NOSCRIPT"));
    }
    assert_eq!(client.ask(&["EVAL", script, "1", "calls"]).await, ":1");
    server.stop().await.unwrap();
    let (server, address) = started(folder.path()).await;
    assert_eq!(Client::connect(address).await.ask(&["INCR", "calls"]).await, ":2");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_written_behind_a_torn_end_is_there_again() {
    let folder = tempfile::tempdir().unwrap();
    let (server, address) = started(folder.path()).await;
    let mut client = Client::connect(address).await;
    client.ask(&["SET", "first", "kept"]).await;
    client.ask(&["SET", "second", "torn"]).await;
    server.stop().await.unwrap();
    let file = std::fs::File::options().write(true).open(folder.path().join("aof-0.aof")).unwrap();
    file.set_len(file.metadata().unwrap().len() - 3).unwrap();
    for round in 1..=2 {
        let (server, address) = started(folder.path()).await;
        assert_eq!(Client::connect(address).await.ask(&["INCR", "rounds"]).await, format!(":{round}"));
        assert_eq!(Client::connect(address).await.ask(&["EXISTS", "first", "second"]).await, ":1");
        server.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_file_that_has_grown_is_written_anew_and_says_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (server, address) = started(folder.path()).await;
    let mut client = Client::connect(address).await;
    let value = "x".repeat(100_000);
    let path = folder.path().join("aof-0.aof");
    let mut grown = 0;
    loop {
        client.ask(&["SET", "large", &value]).await;
        client.ask(&["INCR", "writes"]).await;
        let length = std::fs::metadata(&path).unwrap().len();
        if length < grown {
            break;
        }
        grown = length;
        assert!(grown < 10 * REWRITE_FROM, "it is never written anew");
    }
    let written = client.ask(&["INCR", "writes"]).await;
    server.stop().await.unwrap();
    let (server, address) = started(folder.path()).await;
    let mut client = Client::connect(address).await;
    let number = |answer: &str| answer.trim_start_matches(':').parse::<u64>().unwrap();
    assert_eq!(number(&client.ask(&["INCR", "writes"]).await), number(&written) + 1);
    assert_eq!(client.ask(&["STRLEN", "large"]).await, ":100000");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_command_that_kevy_fails_at_costs_an_error_only() {
    let folder = tempfile::tempdir().unwrap();
    let (server, address) = started(folder.path()).await;
    let mut client = Client::connect(address).await;
    assert!(client.ask(&["XPENDING"]).await.starts_with("-ERR"));
    assert!(client.ask(&["CONFIG", "SET", "maxmemory", "1"]).await.starts_with("-ERR"));
    assert_eq!(client.ask(&["PING"]).await, "+PONG");
    server.stop().await.unwrap();
}
