//! The console as a whole: who may do what, what it needs, and what its API says of itself.

mod support;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use support::{Kboard, Stack, kboard, services};

/// `kboard serve --apps none` with these arguments, on the run's Kafka.
async fn console(arguments: &[&str]) -> Kboard {
    let kafka = services::kafka();
    let arguments = [&["serve", "--apps", "none", "--kafka", &kafka], arguments].concat();
    Kboard::serve(&arguments.into_iter().map(str::to_owned).collect::<Vec<_>>()).await
}

async fn json(console: &Kboard, path: &str) -> Value {
    console.http().get(console.url(path)).send().await.unwrap().error_for_status().unwrap().json().await.unwrap()
}

async fn token(console: &Kboard) -> String {
    json(console, "/api/console/session").await["token"].as_str().unwrap_or_default().to_owned()
}

/// Every address of the API with its method, and an example in place of each name.
async fn addresses(console: &Kboard) -> Vec<(Method, String)> {
    let document = json(console, "/api/console/openapi.json").await;
    let paths = document["paths"].as_object().unwrap();
    let mut addresses = Vec::new();
    for (path, operations) in paths {
        let path = path.replace("{partition}", "0").replace("{offset}", "0").replace(['{', '}'], "");
        for method in operations.as_object().unwrap().keys() {
            addresses.push((method.to_uppercase().parse().unwrap(), path.clone()));
        }
    }
    assert!(addresses.len() > 3, "{addresses:?}");
    addresses
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_alone_needs_no_redis_and_is_what_the_first_page_leads_to() {
    let console = console(&["--redis", "redis://127.0.0.1:1"]).await;
    let first = console.http().get(console.url("/")).send().await.unwrap();
    assert_eq!((first.status(), &first.headers()["location"]), (StatusCode::SEE_OTHER, &"/console".parse().unwrap()));
    let page = console.http().get(console.url("/console")).send().await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    assert!(page.headers()["content-security-policy"].to_str().unwrap().starts_with("default-src 'self'"));
    let ready = json(&console, "/readyz").await;
    assert_eq!(ready["checks"], json!({ "kafka": "ok" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_console_shows_and_does_nothing() {
    let console = console(&["--console", "read-only"]).await;
    assert_eq!(json(&console, "/api/console/session").await["token"], Value::Null);
    for (method, path) in addresses(&console).await {
        let request = console.http().request(method.clone(), console.url(&path)).json(&json!({}));
        let status = request.send().await.unwrap().status();
        if method == Method::GET {
            assert_ne!(status, StatusCode::FORBIDDEN, "{path}");
        } else {
            assert_eq!(status, StatusCode::FORBIDDEN, "{method} {path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_site_can_neither_act_nor_read_by_a_name_of_its_own() {
    let console = console(&[]).await;
    let token = token(&console).await;
    assert!(!token.is_empty());
    for (method, path) in addresses(&console).await {
        // Its page can send forms, but knows no token.
        if method != Method::GET {
            let form = console.http().request(method.clone(), console.url(&path)).body("a=b");
            let form = form.header("origin", "http://evil.example").header("content-type", "text/plain");
            assert_eq!(form.send().await.unwrap().status(), StatusCode::FORBIDDEN, "{method} {path}");
        }
        // Its name may lead to this machine.
        let rebound = console.http().request(method.clone(), console.url(&path));
        let rebound = rebound.header("host", "evil.example:3000").header("x-kboard-token", &token);
        assert_eq!(rebound.send().await.unwrap().status(), StatusCode::MISDIRECTED_REQUEST, "{method} {path}");
    }
    let answer = console.http().get(console.url("/api/console/session")).header("origin", "http://evil.example");
    let answer = answer.send().await.unwrap();
    assert!(!answer.headers().contains_key("access-control-allow-origin"));
    assert_eq!(answer.headers()["cross-origin-resource-policy"], "same-origin");
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_loopback_there_is_no_console_unless_it_is_asked_for() {
    let stack = Stack::start().await;
    let board = stack.serve().await;
    assert!(page(&board).await.contains("href=\"/console\""), "the board leads to it");
    let kafka = services::kafka();
    let output = kboard::run(&["serve", "--apps", "none", "--kafka", &kafka, "--listen", "0.0.0.0:0"]).await;
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && complaint.contains("--console is off"), "{complaint}");
    let output = kboard::run(&["serve", "--apps", "nonsense", "--kafka", &kafka]).await;
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && complaint.contains("there is no app \"nonsense\""), "{complaint}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_through_a_proxy_is_refused_unless_somebody_said_what_it_may_do() {
    let path = "/api/console/session";
    let ask = async |console: &Kboard, name: &'static str, value: &'static str| {
        console.http().get(console.url(path)).header(name, value).send().await.unwrap().status()
    };
    let usual = console(&[]).await;
    for (name, value) in [("X-Forwarded-For", "10.1.2.3"), ("Forwarded", "for=10.1.2.3"), ("Via", "1.1 proxy")] {
        assert_eq!(ask(&usual, name, value).await, StatusCode::FORBIDDEN, "{name}");
    }
    let told = console(&["--console", "read-only"]).await;
    assert_eq!(ask(&told, "X-Forwarded-For", "10.1.2.3").await, StatusCode::OK);

    let named = console(&["--console", "full", "--console-hosts", "Kafka.example:3000, 127.0.0.1"]).await;
    assert_eq!(ask(&named, "Host", "kafka.example:3000").await, StatusCode::OK);
    assert_eq!(ask(&named, "Host", "evil.example:3000").await, StatusCode::MISDIRECTED_REQUEST);
    assert_eq!(ask(&named, "Accept", "*/*").await, StatusCode::OK, "by its address");
}

async fn page(board: &Kboard) -> String {
    board.http().get(board.url("/")).send().await.unwrap().text().await.unwrap()
}
