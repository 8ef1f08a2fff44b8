//! A new topic.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use warp::http::{Method, StatusCode};
use warp::reply::Response;

use crate::console::Console;
use crate::console::form::Fields;
use crate::console::frame::{self, Frame, Section};
use crate::console::refusal::Refusal;
use crate::console::request::{Params, Request};
use crate::console::route::Route;
use crate::kafka::admin::plan::{Action, Desired};
use crate::kafka::admin::settings::{CLEANUP_POLICY, RETENTION_MS};
use crate::kafka::admin::{self, apply, topics};

pub(super) fn routes() -> Vec<Route> {
    vec![
        // Not below /console/topics: a topic may have any name.
        Route::page("/console/new-topic", page),
        Route::form("/console/new-topic", submitted),
        Route::action(
            Method::POST,
            "/api/console/topics",
            "Creates a topic",
            |console, _: Params, topic: NewTopic| async move { create(&console, topic).await },
        ),
    ]
}

/// A topic to be made.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct NewTopic {
    /// Its name.
    name: String,
    /// How many partitions; the brokers' default when left out.
    partitions: Option<i32>,
    /// How many brokers hold each; from the settings or the cluster's size when left out.
    replication_factor: Option<i16>,
    /// Settings of its own.
    #[serde(default)]
    config: BTreeMap<String, String>,
    /// Whether the brokers are only asked for their objections.
    #[serde(default)]
    dry_run: bool,
}

/// A topic that was made, or would be.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Created {
    /// Its name.
    name: String,
    /// How many partitions; `null` leaves it to the brokers.
    partitions: Option<i32>,
    /// How many brokers hold each.
    replication_factor: Option<i16>,
    /// Settings of its own.
    config: BTreeMap<String, String>,
    /// Whether nothing was made, since that was not asked for.
    dry_run: bool,
}

async fn create(console: &Console, topic: NewTopic) -> Result<Created, Refusal> {
    let name = admin::topic_name(topic.name.trim()).map_err(|reason| Refusal::field("name", reason))?;
    if topic.partitions.is_some_and(|partitions| partitions < 1) {
        return Err(Refusal::field("partitions", "a topic has at least one partition"));
    }
    if topic.replication_factor.is_some_and(|factor| factor < 1) {
        return Err(Refusal::field("replication_factor", "at least one broker must hold each partition"));
    }
    if !topics::layout(&console.cluster, [&name]).await?.is_empty() {
        return Err(Refusal { field: Some("name"), ..Refusal::conflict(format!("there is a topic {name:?} already")) });
    }
    let desired = Desired {
        name: name.clone(),
        partitions: topic.partitions,
        replication_factor: topic.replication_factor,
        config: topic.config.into_iter().map(|(key, value)| (key, Some(value))).collect(),
    };
    let plan = apply::plan(&console.cluster, &[desired], &console.defaults).await?;
    if let Some(objection) = apply::objections(&console.cluster, &plan, &console.defaults).await?.into_iter().next() {
        let refusal = Refusal::from(objection);
        return Err(Refusal { field: field_of(&refusal.reason), ..refusal });
    }
    let mut created =
        Created { name, partitions: None, replication_factor: None, config: BTreeMap::new(), dry_run: topic.dry_run };
    for step in &plan.steps {
        if !topic.dry_run {
            apply::carry_out(&console.cluster, step, &console.defaults).await?;
        }
        if let Action::Create { partitions, replication_factor, config } = &step.action {
            created.partitions = *partitions;
            created.replication_factor = *replication_factor;
            created.config = config.clone();
        }
    }
    Ok(created)
}

/// The field that a broker's objection is about: it names the setting, but no field.
fn field_of(reason: &str) -> Option<&'static str> {
    let reason = reason.to_lowercase();
    let words = [("replication", "replication_factor"), ("partition", "partitions"), ("topic name", "name")];
    let found = words.iter().find(|(word, _)| reason.contains(word)).map(|(_, field)| *field);
    if reason.contains("configuration") || reason.contains("config") { Some("config") } else { found }
}

#[derive(askama::Template)]
#[template(path = "console/topics/create.html")]
struct Page {
    frame: Frame,
    typed: Fields,
    error: Option<Refusal>,
}

impl Page {
    fn error_at(&self, field: &str) -> Option<&str> {
        let error = self.error.as_ref()?;
        (error.field == Some(field)).then_some(error.reason.as_str())
    }

    /// What is wrong with no single field.
    fn other_error(&self) -> Option<&str> {
        let error = self.error.as_ref()?;
        let at_a_field = ["name", "partitions", "replication_factor", "retention", "config"];
        (!error.field.is_some_and(|field| at_a_field.contains(&field))).then_some(error.reason.as_str())
    }
}

async fn page(console: Arc<Console>, request: Request) -> Result<Response, Refusal> {
    let frame = Frame::new(&console, Section::Topics, &request);
    Ok(frame::page(&request, StatusCode::OK, &Page { frame, typed: Fields::default(), error: None }))
}

async fn submitted(
    console: Arc<Console>,
    request: Request,
    fields: Vec<(String, String)>,
) -> Result<Response, Refusal> {
    let typed = Fields::new(fields);
    let created = match read(&typed) {
        Ok(topic) => create(&console, topic).await,
        Err(refusal) => Err(refusal),
    };
    match created {
        Ok(Created { name, .. }) => Ok(frame::done(&super::address(&name), &format!("Topic {name} was created"))),
        Err(error) if error.status.is_client_error() => {
            let frame = Frame::new(&console, Section::Topics, &request);
            let status = error.status;
            Ok(frame::page(&request, status, &Page { frame, typed, error: Some(error) }))
        }
        Err(error) => Err(error),
    }
}

fn read(fields: &Fields) -> Result<NewTopic, Refusal> {
    let mut config = BTreeMap::new();
    for line in fields.text("config").lines().map(str::trim).filter(|line| !line.is_empty()) {
        let Some((key, value)) = line.split_once('=') else {
            return Err(Refusal::field("config", format!("{line:?}: expected setting=value")));
        };
        config.insert(key.trim().to_owned(), value.trim().to_owned());
    }
    if let Some(policy) = fields.given("cleanup") {
        config.insert(CLEANUP_POLICY.to_owned(), policy.to_owned());
    }
    if let Some(text) = fields.given("retention") {
        let millis = retention(text).map_err(|reason| Refusal::field("retention", reason))?;
        config.insert(RETENTION_MS.to_owned(), millis.to_string());
    }
    Ok(NewTopic {
        name: fields.text("name").to_owned(),
        partitions: fields.number("partitions")?,
        replication_factor: fields.number("replication_factor")?,
        config,
        dry_run: false,
    })
}

/// How long records are kept, as people write it: `7d`, `12h`, `for ever`, or milliseconds.
fn retention(text: &str) -> Result<i64, String> {
    if ["for ever", "forever", "-1"].contains(&text.to_lowercase().as_str()) {
        return Ok(-1);
    }
    if let Ok(millis) = text.parse::<i64>() {
        return Ok(millis);
    }
    let expected = || format!("expected a time such as 7d, 12h or for ever, not {text:?}");
    let span: jiff::Span = text.parse().map_err(|_| expected())?;
    let length = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| expected())?;
    i64::try_from(length.as_millis()).ok().filter(|millis| *millis > 0).ok_or_else(expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retention_is_read_as_people_write_it() {
        for (text, millis) in
            [("7d", 604_800_000), ("1h 30m", 5_400_000), ("For ever", -1), ("-1", -1), ("1000", 1_000)]
        {
            assert_eq!(retention(text), Ok(millis), "{text}");
        }
        assert!(retention("soon").unwrap_err().contains("7d"));
        assert!(retention("-3h").is_err());
    }

    #[test]
    fn fields_become_a_topic() {
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let fields = [
            field("name", "a"),
            field("partitions", ""),
            field("cleanup", "compact"),
            field("config", "a.b = c=d\n\n"),
        ];
        let topic = read(&Fields::new(fields.to_vec())).unwrap();
        assert_eq!((topic.partitions, topic.config.len(), topic.config["a.b"].as_str()), (None, 2, "c=d"));
        assert_eq!(read(&Fields::new(vec![field("config", "oops")])).unwrap_err().field, Some("config"));
    }
}
