//! Deleting a group, or what it committed for a topic. Both need the name typed.

use std::sync::Arc;

use krafka::admin::TopicPartition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use warp::http::{Method, StatusCode};
use warp::reply::Response;

use crate::console::form::{Fields, confirmed};
use crate::console::frame::{self, Frame, Section, segment};
use crate::console::refusal::Refusal;
use crate::console::request::{Params, Request};
use crate::console::route::Route;
use crate::console::{Console, human};
use crate::kafka::admin::groups::{self, Group};

/// The addresses of what removes.
pub fn routes() -> Vec<Route> {
    vec![
        Route::page("/console/groups/{group}/delete", ask),
        Route::form("/console/groups/{group}/delete", submit),
        Route::page("/console/groups/{group}/topics/{topic}/forget", ask),
        Route::form("/console/groups/{group}/topics/{topic}/forget", submit),
        Route::action(Method::DELETE, "/api/console/groups/{group}", "Delete a group with its offsets", delete),
        Route::action(
            Method::DELETE,
            "/api/console/groups/{group}/topics/{topic}",
            "Delete what a group committed for a topic",
            forget,
        ),
    ]
}

/// What is to be removed.
struct Target {
    group: Group,
    /// The topic whose offsets go; the whole group when `None`.
    topic: Option<String>,
}

impl Target {
    async fn find(console: &Arc<Console>, params: &Params) -> Result<Self, Refusal> {
        let group = super::asked(console, params.text("group")).await?;
        let topic = Some(params.text("topic")).filter(|topic| !topic.is_empty()).map(str::to_owned);
        let target = Self { group, topic };
        match &target.topic {
            Some(topic) if target.committed().is_empty() => {
                let reason = format!("group {:?} has committed nothing for topic {topic:?}", target.group.group);
                Err(Refusal::not_found(reason))
            }
            _ => Ok(target),
        }
    }

    /// The partitions whose offsets go.
    fn committed(&self) -> Vec<TopicPartition> {
        let committed = self.group.committed().into_keys();
        committed.filter(|key| self.topic.as_ref().is_none_or(|topic| key.topic == *topic)).collect()
    }

    /// Why it can't be removed now. Of a group in use, what it committed for a topic that none of its members reads may go.
    fn in_use(&self) -> Option<String> {
        let Some(topic) = &self.topic else { return self.group.may_change().err() };
        let readers: Vec<String> = (self.group.members.iter())
            .filter(|member| member.partitions.contains_key(topic))
            .map(|member| format!("{} at {}", member.client, member.host))
            .collect();
        (!readers.is_empty()).then(|| format!("{topic} is being read by {}; stop them first", readers.join(", ")))
    }

    /// The name that has to be typed.
    fn name(&self) -> &str {
        self.topic.as_ref().unwrap_or(&self.group.group)
    }

    async fn remove(&self, console: &Arc<Console>) -> Result<Removed, Refusal> {
        self.in_use().map_or(Ok(()), |reason| Err(Refusal::conflict(reason)))?;
        let offsets = self.committed();
        let count = offsets.len();
        match &self.topic {
            Some(_) => groups::forget(&console.cluster, &self.group.group, offsets).await?,
            None => groups::delete(&console.cluster, &self.group.group).await?,
        }
        console.watch.look_now().await;
        Ok(Removed { group: self.group.group.clone(), topic: self.topic.clone(), offsets: count })
    }
}

/// What was removed.
#[derive(Serialize, JsonSchema)]
struct Removed {
    /// The group.
    group: String,
    /// The topic whose offsets went; the whole group when `null`.
    topic: Option<String>,
    /// How many partitions had a committed offset.
    offsets: usize,
}

#[derive(askama::Template)]
#[template(path = "console/groups/remove.html")]
struct Page<'a> {
    frame: Frame,
    target: &'a Target,
    in_use: Option<String>,
    error: Option<&'a str>,
}

impl Page<'_> {
    fn here(&self) -> String {
        let group = segment(&self.target.group.group);
        match &self.target.topic {
            Some(topic) => format!("/console/groups/{group}/topics/{}/forget", segment(topic)),
            None => format!("/console/groups/{group}/delete"),
        }
    }
}

fn shown(console: &Console, request: &Request, target: &Target, error: Option<&str>) -> Response {
    let frame = Frame::new(console, Section::Groups, request);
    let in_use = target.in_use();
    let status = if error.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    frame::page(request, status, &Page { frame, target, in_use, error })
}

async fn ask(console: Arc<Console>, request: Request) -> Result<Response, Refusal> {
    let target = Target::find(&console, &request.params).await?;
    Ok(shown(&console, &request, &target, None))
}

async fn submit(console: Arc<Console>, request: Request, fields: Vec<(String, String)>) -> Result<Response, Refusal> {
    let target = Target::find(&console, &request.params).await?;
    if let Err(refusal) = confirmed(Fields::new(fields).text("confirm"), target.name()) {
        return Ok(shown(&console, &request, &target, Some(&refusal.reason)));
    }
    let removed = target.remove(&console).await?;
    Ok(match &removed.topic {
        Some(topic) => frame::done(
            &format!("/console/groups/{}", segment(&removed.group)),
            &format!("Deleted {} of topic {topic}", human::counted(removed.offsets, "committed offset")),
        ),
        None => frame::done("/console/groups", &format!("Deleted group {}", removed.group)),
    })
}

#[derive(Deserialize, JsonSchema)]
struct Nothing {}

async fn delete(console: Arc<Console>, params: Params, _: Nothing) -> Result<Removed, Refusal> {
    Target::find(&console, &params).await?.remove(&console).await
}

async fn forget(console: Arc<Console>, params: Params, _: Nothing) -> Result<Removed, Refusal> {
    Target::find(&console, &params).await?.remove(&console).await
}
