//! What a topic is set to, and how that is changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use warp::http::{Method, StatusCode};
use warp::reply::Response;

use super::one::Head;
use crate::console::Console;
use crate::console::form::Fields;
use crate::console::frame::{self, Frame, Section};
use crate::console::human;
use crate::console::refusal::Refusal;
use crate::console::request::{Params, Request};
use crate::console::route::Route;
use crate::kafka::admin::apply;
use crate::kafka::admin::plan::{Action, Change, Desired};
use crate::kafka::admin::settings::{self, Kind};

/// Settings whose values are names, and those names.
const CHOICES: &[(&str, &[&str])] = &[
    ("cleanup.policy", &["delete", "compact", "compact,delete"]),
    ("compression.type", &["producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"]),
    ("message.timestamp.type", &["CreateTime", "LogAppendTime"]),
];

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::page("/console/topics/{topic}/settings", page),
        Route::form("/console/topics/{topic}/settings", submitted),
        Route::get(
            "/api/console/topics/{topic}/settings",
            "The settings of a topic, those of its own first",
            |console, params: Params, _: Nothing| async move { settings(&console, params.text("topic")).await },
        ),
        Route::action(
            Method::PATCH,
            "/api/console/topics/{topic}/settings",
            "Changes settings of a topic: all of them or, where the brokers object to one, none",
            |console, params: Params, changes: Changes| async move { change(&console, params.text("topic"), changes).await },
        ),
    ]
}

#[derive(Deserialize, JsonSchema)]
struct Nothing {}

/// The settings of a topic.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SettingsView {
    /// The topic.
    topic: String,
    /// Its settings, those of its own first.
    settings: Vec<SettingView>,
}

/// A setting of a topic.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SettingView {
    /// Its name.
    name: String,
    /// The value in force; `null` when the brokers keep it to themselves.
    value: Option<String>,
    /// The value that would be in force if the topic had none of its own.
    default: Option<String>,
    /// Whether the topic has one of its own.
    overridden: bool,
    /// Whether no topic can have its own.
    read_only: bool,
    /// What it does, in the brokers' words.
    documentation: Option<String>,
    /// The names that are its values; empty for other kinds of values.
    choices: Vec<String>,
    #[serde(skip)]
    error: Option<String>,
    /// What was typed, where that was refused.
    #[serde(skip)]
    typed: Option<String>,
}

impl SettingView {
    fn new(name: String, setting: settings::Setting) -> Self {
        let choices = match setting.kind {
            Kind::Boolean => vec!["true".to_owned(), "false".to_owned()],
            Kind::Text | Kind::Number | Kind::List => {
                let known = CHOICES.iter().find(|(key, _)| *key == name).map_or(&[][..], |(_, choices)| *choices);
                // A value that is none of them must not be lost by looking at it.
                let odd =
                    (!known.is_empty() && !known.contains(&setting.value.as_str())).then(|| setting.value.clone());
                odd.into_iter().chain(known.iter().map(|choice| (*choice).to_owned())).collect()
            }
        };
        Self {
            choices,
            value: (!setting.sensitive).then_some(setting.value),
            default: setting.default,
            overridden: setting.overridden,
            read_only: setting.read_only,
            documentation: setting.documentation.map(|text| plain(&text)),
            error: None,
            typed: None,
            name,
        }
    }

    /// The first sentence of its documentation, and the rest.
    fn sentences(&self) -> Option<(&str, &str)> {
        let text = self.documentation.as_deref()?.trim();
        Some(text.split_once(". ").unwrap_or((text, "")))
    }

    fn shown(&self) -> &str {
        self.typed.as_deref().or(self.value.as_deref()).unwrap_or_default()
    }

    /// The value in force, as people say it; `None` where that is no other than the value itself.
    fn meaning(&self) -> Option<String> {
        meaning(&self.name, self.value.as_deref()?)
    }

    fn default_text(&self) -> String {
        let Some(default) = &self.default else { return human::UNKNOWN.to_owned() };
        let default = if default.is_empty() { "empty" } else { default };
        meaning(&self.name, default).map_or_else(|| default.to_owned(), |meaning| format!("{default} ({meaning})"))
    }
}

/// `604800000` of `retention.ms` is `7d`.
fn meaning(name: &str, value: &str) -> Option<String> {
    let number: i64 = value.parse().ok()?;
    match name.rsplit_once('.')?.1 {
        "ms" if number == -1 || number == i64::MAX => Some("no limit".to_owned()),
        "ms" if number >= 1_000 => Some(human::length(number)),
        "bytes" if number == -1 => Some("no limit".to_owned()),
        "bytes" if number >= 1_024 => Some(human::size(u64::try_from(number).ok())),
        "messages" if number == i64::MAX => Some("no limit".to_owned()),
        _ => None,
    }
}

/// `html` without its tags: brokers document their settings in HTML, which is not ours to show.
fn plain(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(open) = rest.find('<') {
        text.push_str(&rest[..open]);
        let Some(close) = rest[open..].find('>') else { break };
        rest = &rest[open + close + 1..];
    }
    text.push_str(rest.split('<').next().unwrap_or_default());
    text
}

async fn settings(console: &Console, topic: &str) -> Result<SettingsView, Refusal> {
    super::one::exists(console, topic).await?;
    let found = settings::documented(&console.cluster, topic).await?;
    let mut settings: Vec<_> = found.into_iter().map(|(name, setting)| SettingView::new(name, setting)).collect();
    settings.sort_by_key(|setting| !setting.overridden);
    Ok(SettingsView { topic: topic.to_owned(), settings })
}

/// Settings to change.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Changes {
    /// Values by setting; `null` gives one back to the brokers' default.
    changes: BTreeMap<String, Option<String>>,
    /// Whether the brokers are only asked for their objections.
    #[serde(default)]
    dry_run: bool,
}

/// What was changed, or would be.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Changed {
    /// The topic.
    topic: String,
    /// By setting, its own value before and after; `null` is the brokers' default.
    changes: BTreeMap<String, FromTo>,
    /// Whether nothing was changed, since that was not asked for.
    dry_run: bool,
}

/// A value before and after.
#[derive(Debug, Serialize, JsonSchema)]
struct FromTo {
    from: Option<String>,
    to: Option<String>,
}

async fn change(console: &Console, topic: &str, changes: Changes) -> Result<Changed, Refusal> {
    super::one::exists(console, topic).await?;
    let desired = Desired { name: topic.to_owned(), config: changes.changes, ..Desired::default() };
    let plan = apply::plan(&console.cluster, &[desired], &console.defaults).await?;
    if let Some(objection) = apply::objections(&console.cluster, &plan, &console.defaults).await?.into_iter().next() {
        return Err(objection.into());
    }
    let mut changed = BTreeMap::new();
    for step in &plan.steps {
        if !changes.dry_run {
            apply::carry_out(&console.cluster, step, &console.defaults).await?;
        }
        if let Action::Change { config, .. } = &step.action {
            let from_to = |Change { from, to }: &Change<Option<String>>| FromTo { from: from.clone(), to: to.clone() };
            changed.extend(config.iter().map(|(name, change)| (name.clone(), from_to(change))));
        }
    }
    Ok(Changed { topic: topic.to_owned(), changes: changed, dry_run: changes.dry_run })
}

#[derive(askama::Template)]
#[template(path = "console/topics/settings.html")]
struct Page {
    frame: Frame,
    head: Head,
    own: usize,
    settings: Vec<SettingView>,
}

async fn page(console: Arc<Console>, request: Request) -> Result<Response, Refusal> {
    let view = settings(&console, request.params.text("topic")).await?;
    Ok(show(&console, &request, StatusCode::OK, view))
}

fn show(console: &Console, request: &Request, status: StatusCode, view: SettingsView) -> Response {
    let (frame, head) = (Frame::new(console, Section::Topics, request), Head::new(&view.topic, "settings"));
    let own = view.settings.iter().filter(|setting| setting.overridden).count();
    frame::page(request, status, &Page { frame, head, own, settings: view.settings })
}

/// One setting is changed at a time, or given back by the button `default`.
async fn submitted(
    console: Arc<Console>,
    request: Request,
    fields: Vec<(String, String)>,
) -> Result<Response, Refusal> {
    let fields = Fields::new(fields);
    let topic = request.params.text("topic");
    let (name, value) = (fields.text("name").to_owned(), fields.text("value").trim().to_owned());
    let reset = fields.given("default").is_some();
    let to = (!reset).then(|| value.clone());
    let changes = Changes { changes: BTreeMap::from([(name.clone(), to)]), dry_run: false };
    match change(&console, topic, changes).await {
        Ok(changed) => {
            let location = format!("{}/settings", super::address(topic));
            let notice = match changed.changes.get(&name) {
                None => format!("{name} is so already"),
                Some(FromTo { to: Some(to), .. }) => format!("{name} is now {to}"),
                Some(FromTo { to: None, .. }) => format!("{name} follows the brokers’ default again"),
            };
            Ok(frame::done(&location, &notice))
        }
        Err(refusal) if refusal.status.is_client_error() && refusal.status != StatusCode::NOT_FOUND => {
            let mut view = settings(&console, topic).await?;
            if let Some(setting) = view.settings.iter_mut().find(|setting| setting.name == name) {
                setting.error = Some(refusal.reason.clone());
                setting.typed = Some(value);
                return Ok(show(&console, &request, refusal.status, view));
            }
            Err(refusal)
        }
        Err(refusal) => Err(refusal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_said_in_words_where_they_need_it() {
        for (name, value, said) in [
            ("retention.ms", "604800000", Some("7d")),
            ("retention.ms", "-1", Some("no limit")),
            ("segment.bytes", "1073741824", Some("1.00 GiB")),
            ("flush.messages", "9223372036854775807", Some("no limit")),
            ("min.insync.replicas", "2", None),
            ("cleanup.policy", "delete", None),
        ] {
            assert_eq!(meaning(name, value).as_deref(), said, "{name}={value}");
        }
    }

    #[test]
    fn documentation_has_no_tags() {
        assert_eq!(plain("See <a href=\"x\">KIP</a>, <code>delete</code> or less"), "See KIP, delete or less");
        assert_eq!(plain("a <b"), "a ");
    }

    #[test]
    fn a_value_that_is_no_choice_is_still_one() {
        let setting = |value: &str| settings::Setting {
            value: value.to_owned(),
            default: None,
            overridden: true,
            kind: Kind::List,
            sensitive: false,
            read_only: false,
            documentation: None,
        };
        let choices = |value| SettingView::new("cleanup.policy".to_owned(), setting(value)).choices;
        assert_eq!(choices("delete").len(), 3);
        assert_eq!(choices("delete,compact")[0], "delete,compact");
    }
}
