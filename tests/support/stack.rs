//! What most tests start from: a place on a broker, a Redis, and kboard between them.

use std::process::Output;

use super::{Broker, Kboard, RedisServer, kboard, services, unique};

/// Everything a board needs, apart from every other test's.
///
/// A Redis costs 50 ms, so each test has its own; a broker costs seconds, so tests share the run's and put a prefix
/// of their own before every topic and group. Only tests that kill a broker bring one.
#[derive(Debug)]
pub struct Stack {
    /// The Redis of this test.
    pub redis: RedisServer,
    /// The broker of this test, when it has one of its own.
    pub broker: Option<Broker>,
    /// What comes before every topic and group name.
    pub prefix: String,
    kafka: String,
}

impl Stack {
    /// The shared broker and a private Redis.
    pub async fn start() -> Self {
        Self { redis: RedisServer::start().await, broker: None, prefix: unique("t") + ".", kafka: services::kafka() }
    }

    /// A private broker and a private Redis: both may be killed.
    pub async fn with_own_broker() -> Self {
        let (redis, broker) = tokio::join!(RedisServer::start(), Broker::start());
        Self { redis, kafka: broker.address(), broker: Some(broker), prefix: String::new() }
    }

    /// The broker at `kafka`, whoever runs it, and a private Redis.
    pub async fn on(kafka: &str) -> Self {
        Self { redis: RedisServer::start().await, broker: None, prefix: String::new(), kafka: kafka.to_owned() }
    }

    /// The broker's `host:port`.
    pub fn kafka(&self) -> &str {
        &self.kafka
    }

    /// The name that topic or group `name` of an app has here.
    pub fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// The private broker.
    pub fn broker(&mut self) -> &mut Broker {
        self.broker.as_mut().expect("a stack started with_own_broker")
    }

    /// `kboard serve` of the board, ready.
    pub async fn serve(&self) -> Kboard {
        self.serve_with(&[]).await
    }

    /// The same with more arguments.
    pub async fn serve_with(&self, arguments: &[&str]) -> Kboard {
        self.serve_app("board", arguments).await
    }

    /// `kboard serve` of one app, ready.
    pub async fn serve_app(&self, app: &str, arguments: &[&str]) -> Kboard {
        Kboard::serve(&self.arguments("serve", &[&["--apps", app], arguments].concat())).await
    }

    /// `kboard consume --group message-board`, ready.
    pub async fn consume(&self) -> Kboard {
        self.consume_with(&[]).await
    }

    /// The same with more arguments.
    pub async fn consume_with(&self, arguments: &[&str]) -> Kboard {
        let group = self.name("message-board");
        let all = [&["--group", group.as_str()], arguments].concat();
        Kboard::consume(&self.arguments("consume", &all)).await
    }

    /// A kboard command, run to its end.
    pub async fn run(&self, arguments: &[&str]) -> Output {
        let [command, rest @ ..] = arguments else { panic!("a subcommand is needed") };
        let arguments = self.arguments(command, rest);
        kboard::run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).await
    }

    /// `COMMAND --kafka … --redis … --topic-prefix … ARGUMENTS…`.
    pub fn arguments(&self, command: &str, arguments: &[&str]) -> Vec<String> {
        let redis = self.redis.url();
        let own = [command, "--kafka", &self.kafka, "--redis", &redis, "--topic-prefix", &self.prefix];
        own.iter().chain(arguments).map(|argument| (*argument).to_owned()).collect()
    }
}
