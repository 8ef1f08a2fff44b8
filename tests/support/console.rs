//! A console on the run's Kafka, asked as a browser and as a program would.

use reqwest::{Method, Response};
use serde_json::Value;

use super::{Kboard, services};

/// `kboard serve --apps none`, with its token.
#[derive(Debug)]
pub struct Console {
    kboard: Kboard,
    token: String,
}

impl Console {
    /// Starts one.
    pub async fn start() -> Self {
        let kafka = services::kafka();
        let arguments = ["serve", "--apps", "none", "--kafka", &kafka].map(str::to_owned);
        let kboard = Kboard::serve(&arguments).await;
        let mut console = Self { kboard, token: String::new() };
        console.token = console.get("/session").await["token"].as_str().unwrap().to_owned();
        console
    }

    /// What the API answers at this path, below /api/console; it must succeed.
    pub async fn get(&self, path: &str) -> Value {
        let answer = self.ask(path).await;
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{path} answered {status}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Asks the API, whatever it answers.
    pub async fn ask(&self, path: &str) -> Response {
        self.kboard.http().get(self.kboard.url(&format!("/api/console{path}"))).send().await.unwrap()
    }

    /// Has the API do something.
    pub async fn act(&self, method: Method, path: &str, body: &Value) -> Response {
        let request = self.kboard.http().request(method, self.kboard.url(&format!("/api/console{path}")));
        request.header("x-kboard-token", &self.token).json(body).send().await.unwrap()
    }

    /// Has the API take a body that is no JSON document.
    pub async fn upload(&self, path: &str, body: impl Into<reqwest::Body>) -> Response {
        let request = self.kboard.http().post(self.kboard.url(&format!("/api/console{path}")));
        request.header("x-kboard-token", &self.token).body(body).send().await.unwrap()
    }

    /// A page; it must be there.
    pub async fn page(&self, path: &str) -> String {
        let answer = self.kboard.http().get(self.kboard.url(path)).send().await.unwrap();
        let status = answer.status();
        let page = answer.text().await.unwrap();
        assert!(status.is_success(), "{path} answered {status}: {page}");
        page
    }

    /// Sends a form as a browser without scripts does.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Response {
        let fields: Vec<_> = fields.iter().copied().chain([("token", self.token.as_str())]).collect();
        self.kboard.http().post(self.kboard.url(path)).form(&fields).send().await.unwrap()
    }
}
