//! Servers that want to know who comes: Kafka with TLS, client certificates and every SASL mechanism, Redis with TLS and
//! an ACL user. What the settings say reaches every client that kboard has.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ::kboard::config::{KafkaSettings, Sasl, SaslMechanism, Tls};
use ::kboard::kafka::fetch::{FetchOptions, fetch};
use ::kboard::kafka::{Cluster, KafkaError};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use support::{Broker, Kboard, RedisServer, eventually, kboard, ports, tools};

const SOON: Duration = Duration::from_secs(60);
const PASSWORD: &str = "correct horse battery staple";

/// A certificate authority, a certificate for 127.0.0.1 and one for a client, as files.
struct Certificates {
    directory: tempfile::TempDir,
}

impl Certificates {
    fn make() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        fs::write(directory.path().join("ca.pem"), authority.pem()).unwrap();
        for (name, address) in [("server", "127.0.0.1"), ("client", "client.test")] {
            let key = KeyPair::generate().unwrap();
            let certificate =
                CertificateParams::new(vec![address.to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
            let (certificate, key) = (certificate.pem(), key.serialize_pem());
            fs::write(directory.path().join(format!("{name}.crt")), &certificate).unwrap();
            fs::write(directory.path().join(format!("{name}.key")), &key).unwrap();
            // Kafka wants both in one file.
            fs::write(directory.path().join(format!("{name}.pem")), key + &certificate).unwrap();
        }
        Self { directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }
}

/// A broker whose second listener is the secured one.
async fn broker(certificates: &Certificates) -> (Broker, String) {
    let port = ports::free();
    let broker = Broker::start_with(&[
        &format!(
            "listeners=PLAINTEXT://127.0.0.1:@PORT@,CONTROLLER://127.0.0.1:@CONTROLLER_PORT@,SECURE://127.0.0.1:{port}"
        ),
        &format!("advertised.listeners=PLAINTEXT://127.0.0.1:@PORT@,SECURE://127.0.0.1:{port}"),
        "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL",
        "sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
        &format!(
            "listener.name.secure.plain.sasl.jaas.config=\
             org.apache.kafka.common.security.plain.PlainLoginModule required user_alice=\"{PASSWORD}\";"
        ),
        "listener.name.secure.scram-sha-256.sasl.jaas.config=\
         org.apache.kafka.common.security.scram.ScramLoginModule required;",
        "listener.name.secure.scram-sha-512.sasl.jaas.config=\
         org.apache.kafka.common.security.scram.ScramLoginModule required;",
        "listener.name.secure.ssl.client.auth=required",
        "ssl.keystore.type=PEM",
        &format!("ssl.keystore.location={}", certificates.text("server.pem")),
        "ssl.truststore.type=PEM",
        &format!("ssl.truststore.location={}", certificates.text("ca.pem")),
    ])
    .await;
    for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let credentials = format!("{mechanism}=[password={PASSWORD}]");
        let alter = ["--alter", "--entity-type", "users", "--entity-name", "alice", "--add-config", &credentials];
        tools::kafka_tool("kafka.admin.ConfigCommand", &broker.address(), &alter).await;
    }
    (broker, format!("127.0.0.1:{port}"))
}

fn kafka_flags(address: &str, certificates: &Certificates, mechanism: &str, password: &str) -> Vec<String> {
    let flags = [
        ("--kafka", address.to_owned()),
        ("--kafka-tls", "true".to_owned()),
        ("--kafka-tls-ca", certificates.text("ca.pem")),
        ("--kafka-tls-cert", certificates.text("client.crt")),
        ("--kafka-tls-key", certificates.text("client.key")),
        ("--kafka-sasl-mechanism", mechanism.to_owned()),
        ("--kafka-sasl-username", "alice".to_owned()),
        ("--kafka-sasl-password", password.to_owned()),
    ];
    flags.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]).collect()
}

#[tokio::test]
async fn a_secured_kafka_and_redis_serve_a_board() {
    let certificates = Certificates::make();
    let (broker, redis) = tokio::join!(broker(&certificates), secured_redis(&certificates));
    let ((broker, kafka), (_redis, redis_url)) = (broker, redis);
    for mechanism in ["plain", "scram-sha-256", "scram-sha-512"] {
        let mut command = vec!["topics".to_owned(), "list".to_owned()];
        command.extend(kafka_flags(&kafka, &certificates, mechanism, PASSWORD));
        let listed = kboard::run(&command.iter().map(String::as_str).collect::<Vec<_>>()).await;
        assert!(listed.status.success(), "{mechanism}: {listed:?}");
    }

    let mut arguments = vec!["serve".to_owned()];
    arguments.extend(kafka_flags(&kafka, &certificates, "scram-sha-512", PASSWORD));
    arguments.extend(["--redis".to_owned(), redis_url.clone()]);
    arguments.extend(["--redis-tls-ca".to_owned(), certificates.text("ca.pem")]);
    arguments.extend(["--redis-username", "board", "--redis-password", PASSWORD].map(str::to_owned));
    let mut board = Kboard::serve(&arguments).await;
    for number in 0..130 {
        board.post(&format!("message {number}"), "me").await.unwrap().error_for_status().unwrap();
    }
    // The window through Redis, and what is older through the client that reads partitions.
    eventually("the whole log, page by page", SOON, async || {
        (support::board::walk(&board, 50).await.len() == 130).then_some(())
    })
    .await;
    let log = board.process().log();
    assert!(!log.contains(PASSWORD), "a password in the log");
    drop(broker);
}

#[tokio::test]
async fn a_secured_kafka_is_read_at_log_speed() {
    let certificates = Certificates::make();
    let (broker, kafka) = broker(&certificates).await;
    let made = kboard::run(&["topics", "create", "secret", "--partitions", "1", "--kafka", &broker.address()]).await;
    assert!(made.status.success(), "{made:?}");
    tools::kcat(&broker.address(), &["-P", "-t", "secret"], "one\ntwo\n").await;
    let read = async |mechanism, password: &str, ca: &str| {
        let cluster = Cluster::new(KafkaSettings {
            bootstrap: vec![kafka.clone()],
            tls: Some(Tls {
                ca: Some(certificates.path(ca)),
                identity: Some((certificates.path("client.crt"), certificates.path("client.key"))),
            }),
            sasl: Some(Sasl { mechanism, username: "alice".to_owned(), password: password.to_owned() }),
            session_timeout: SOON,
        });
        let fetched = fetch(&cluster, "secret", 0, 0, &FetchOptions::default()).await?;
        Ok::<_, KafkaError>(fetched.records.len())
    };
    for mechanism in [SaslMechanism::Plain, SaslMechanism::ScramSha256, SaslMechanism::ScramSha512] {
        assert_eq!(read(mechanism, PASSWORD, "ca.pem").await.unwrap(), 2, "{mechanism:?}");
        let refused = read(mechanism, "wrong password", "ca.pem").await.unwrap_err();
        let reason = refused.to_string();
        assert!(!refused.is_retriable() && reason.contains("authentication") && reason.contains("alice"), "{reason}");
        assert!(!reason.contains("wrong password"), "{reason}");
    }
    let stranger = read(SaslMechanism::Plain, PASSWORD, "client.crt").await.unwrap_err().to_string();
    assert!(stranger.to_lowercase().contains("certificate"), "{stranger}");
}

#[tokio::test]
async fn who_is_not_let_in_is_told_at_once_and_without_the_password() {
    let certificates = Certificates::make();
    let (broker, redis) = tokio::join!(broker(&certificates), secured_redis(&certificates));
    let ((broker, kafka), (_redis, redis_url)) = (broker, redis);
    let run = async |arguments: Vec<String>| {
        let output = kboard::run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).await;
        let reason = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{reason}");
        assert!(!reason.contains("wrong password") && !reason.contains(PASSWORD), "{reason}");
        reason
    };
    let wrong = |mechanism| kafka_flags(&kafka, &certificates, mechanism, "wrong password");
    for mechanism in ["plain", "scram-sha-256"] {
        let reason = run([vec!["topics".to_owned(), "list".to_owned()], wrong(mechanism)].concat()).await;
        assert!(reason.to_lowercase().contains("auth"), "{mechanism}: {reason}");
    }
    let serve = ["serve", "--kafka", &broker.address(), "--redis", &redis_url, "--redis-username", "board"];
    let ca = certificates.text("ca.pem");
    let more = ["--redis-password", "wrong password", "--redis-tls-ca", &ca, "--listen", "127.0.0.1:0"];
    let reason = run(serve.iter().chain(&more).map(|argument| (*argument).to_owned()).collect()).await;
    assert!(reason.contains("Redis"), "{reason}");
    // A server that nobody vouches for.
    let mut stranger = kafka_flags(&kafka, &certificates, "plain", PASSWORD);
    let client = certificates.text("client.crt");
    stranger[5] = client;
    let reason = run([vec!["topics".to_owned(), "list".to_owned()], stranger].concat()).await;
    assert!(reason.to_lowercase().contains("certificate"), "{reason}");
}

/// A Redis that speaks TLS only, and knows one user.
async fn secured_redis(certificates: &Certificates) -> (RedisServer, String) {
    let port = ports::free();
    let tls = |flag: &str, name: &str| [flag.to_owned(), absolute(&certificates.path(name))];
    let server = RedisServer::start_configured(
        &[
            vec!["--tls-port".to_owned(), port.to_string(), "--tls-auth-clients".to_owned(), "no".to_owned()],
            tls("--tls-cert-file", "server.crt").to_vec(),
            tls("--tls-key-file", "server.key").to_vec(),
            tls("--tls-ca-cert-file", "ca.pem").to_vec(),
        ]
        .concat(),
    )
    .await;
    let rule = format!(">{PASSWORD}");
    server.cli(&["ACL", "SETUSER", "board", "on", &rule, "~*", "&*", "+@all"]).await;
    (server, format!("rediss://127.0.0.1:{port}"))
}

fn absolute(path: &Path) -> String {
    path.canonicalize().unwrap().display().to_string()
}
