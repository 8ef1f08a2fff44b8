//! Work that goes on while its page is looked at: sending many records, sending back dead letters. It can be followed and
//! stopped, and does not end with the page that began it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use warp::Reply;
use warp::http::header::{CONTENT_TYPE, HeaderValue};
use warp::http::{Method, StatusCode};
use warp::reply::Response;

use super::Console;
use super::frame::{self, Frame, Section};
use super::human;
use super::refusal::Refusal;
use super::request::{Params, Request};
use super::route::Route;
use crate::kafka::bulk::Placement;

/// Runs that go on at once.
const AT_ONCE: usize = 8;
/// Runs that are remembered, those that go on included.
const REMEMBERED: usize = 50;
/// Failures of a run that are remembered.
const FAILURES: usize = 100;
/// How often a run is told of that goes on.
const TICK: Duration = Duration::from_millis(200);

/// The addresses of runs.
pub fn routes() -> Vec<Route> {
    vec![
        Route::page("/console/runs/{run}", page),
        Route::form("/console/runs/{run}/stop", stop_form),
        Route::get("/api/console/runs/{run}", "How far a run is", |console, params: Params, _: Nothing| async move {
            Ok(console.runs.find(&params)?.view())
        }),
        Route::stream(
            "/api/console/runs/{run}/stream",
            "How far a run is, several times a second until it ends: one JSON document a line",
            &["application/x-ndjson"],
            stream,
        ),
        Route::action(
            Method::DELETE,
            "/api/console/runs/{run}",
            "Stops a run; what it has done stays done",
            |console, params: Params, _: Nothing| async move {
                let run = console.runs.find(&params)?;
                run.stop.cancel();
                run.ended().await;
                Ok(run.view())
            },
        ),
    ]
}

#[derive(Deserialize, JsonSchema)]
struct Nothing {}

/// The runs of this process.
#[derive(Default)]
pub struct Runs(Mutex<VecDeque<Arc<Run>>>);

/// A run.
pub struct Run {
    id: String,
    /// What it does.
    title: String,
    /// What it counts, such as `record`.
    unit: &'static str,
    /// Where the records go.
    topic: Option<String>,
    /// The page that it began on.
    back: String,
    started: Instant,
    /// Cancelled when it is to stop.
    pub stop: CancellationToken,
    progress: watch::Sender<Progress>,
}

/// What a run is about, for [`Runs::start`].
pub struct About {
    /// What it does.
    pub title: String,
    /// What it counts, such as `record`.
    pub unit: &'static str,
    /// Where the records go, if it is one topic.
    pub topic: Option<String>,
    /// The page that it began on.
    pub back: String,
    /// How many there are to do, when that is known.
    pub total: Option<u64>,
}

/// How far a run is.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// How many there are to do, when that is known.
    pub total: Option<u64>,
    /// How many are done.
    pub done: u64,
    /// How many failed.
    pub failed: u64,
    /// How many were looked at and left alone.
    pub skipped: u64,
    /// Where the last records are that were acknowledged, the newest at the end.
    pub places: Vec<Placement>,
    /// The first failures: what was numbered so, and why.
    pub failures: Vec<(u64, String)>,
    end: Option<(Duration, End)>,
}

#[derive(Clone, Debug)]
enum End {
    Done,
    Stopped,
    Failed(String),
}

impl Progress {
    /// Notes a failure.
    pub fn fail(&mut self, number: u64, reason: String) {
        if self.failures.len() < FAILURES {
            self.failures.push((number, reason));
        }
    }
}

impl Runs {
    /// Begins a run in a task of its own, until it ends, is stopped, or `shutdown`. A run that fails says why.
    ///
    /// # Errors
    /// Too many go on already.
    pub fn start<F, Fut>(&self, about: About, shutdown: &CancellationToken, work: F) -> Result<Arc<Run>, Refusal>
    where
        F: FnOnce(Arc<Run>) -> Fut,
        Fut: Future<Output = Result<(), String>> + Send + 'static,
    {
        let About { title, unit, topic, back, total } = about;
        let (progress, _) = watch::channel(Progress { total, ..Progress::default() });
        let id = Uuid::now_v7().simple().to_string();
        let (started, stop) = (Instant::now(), shutdown.child_token());
        let run = Arc::new(Run { id, title, unit, topic, back, started, stop, progress });
        self.add(Arc::clone(&run))?;
        let working = work(Arc::clone(&run));
        let ours = Arc::clone(&run);
        tokio::spawn(async move {
            let end = match working.await {
                _ if ours.stop.is_cancelled() => End::Stopped,
                Ok(()) => End::Done,
                Err(reason) => End::Failed(reason),
            };
            ours.progress.send_modify(|progress| progress.end = Some((ours.started.elapsed(), end)));
        });
        Ok(run)
    }

    fn add(&self, run: Arc<Run>) -> Result<(), Refusal> {
        // A list stays whole whoever panicked.
        let mut runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if runs.iter().filter(|run| run.goes_on()).count() >= AT_ONCE {
            let reason = format!("{AT_ONCE} runs go on already; wait for one to end, or stop it");
            return Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, reason));
        }
        if runs.len() >= REMEMBERED
            && let Some(oldest) = runs.iter().position(|run| !run.goes_on())
        {
            runs.remove(oldest);
        }
        runs.push_back(run);
        Ok(())
    }

    fn find(&self, params: &Params) -> Result<Arc<Run>, Refusal> {
        let runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = runs.iter().find(|run| run.id == params.text("run"));
        found.cloned().ok_or_else(|| {
            Refusal::not_found("this run is not known any more: only the last ones are, until the console restarts")
        })
    }
}

impl Run {
    /// The address of its page.
    pub fn address(&self) -> String {
        format!("/console/runs/{}", self.id)
    }

    /// Notes how far it is.
    pub fn update(&self, change: impl FnOnce(&mut Progress)) {
        self.progress.send_modify(change);
    }

    /// Waits until it has ended.
    pub async fn ended(&self) {
        // We hold the sender, so that it can't be gone.
        let _ = self.progress.subscribe().wait_for(|progress| progress.end.is_some()).await;
    }

    fn goes_on(&self) -> bool {
        self.progress.borrow().end.is_none()
    }

    /// How far it is, for people and programs.
    pub fn view(&self) -> RunView {
        let progress = self.progress.borrow().clone();
        let (elapsed, state, problem) = match progress.end {
            None => (self.started.elapsed(), State::Running, None),
            Some((elapsed, End::Done)) => (elapsed, State::Done, None),
            Some((elapsed, End::Stopped)) => (elapsed, State::Stopped, None),
            Some((elapsed, End::Failed(reason))) => (elapsed, State::Failed, Some(reason)),
        };
        let seconds = elapsed.as_secs_f64().max(0.001);
        let place = |place: &Placement| Place {
            partition: place.partition,
            offset: place.offset,
            timestamp: place.timestamp,
            address: self.topic.as_deref().zip(place.offset).map(|(topic, offset)| {
                format!("{}/messages/{}/{offset}", super::topics::address(topic), place.partition)
            }),
        };
        RunView {
            id: self.id.clone(),
            title: self.title.clone(),
            unit: self.unit,
            topic: self.topic.clone(),
            back: self.back.clone(),
            state,
            problem,
            total: progress.total,
            done: progress.done,
            failed: progress.failed,
            skipped: progress.skipped,
            elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            rate: (progress.done + progress.failed) as f64 / seconds,
            places: progress.places.iter().map(place).collect(),
            failures: progress.failures.into_iter().map(|(number, reason)| Failure { number, reason }).collect(),
        }
    }
}

/// Whether a run goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It goes on.
    Running,
    /// It went through.
    Done,
    /// It was stopped.
    Stopped,
    /// It gave up.
    Failed,
}

/// How far a run is.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RunView {
    /// Its id.
    pub id: String,
    /// What it does.
    pub title: String,
    /// What it counts.
    pub unit: &'static str,
    /// Where the records go.
    pub topic: Option<String>,
    #[serde(skip)]
    back: String,
    /// Whether it goes on.
    pub state: State,
    /// Why it gave up.
    pub problem: Option<String>,
    /// How many there are to do, when that is known.
    pub total: Option<u64>,
    /// How many are done.
    pub done: u64,
    /// How many failed.
    pub failed: u64,
    /// How many were looked at and left alone.
    pub skipped: u64,
    /// How long it went on, in milliseconds.
    pub elapsed_ms: u64,
    /// How many a second.
    pub rate: f64,
    /// Where the last records are that were acknowledged, the newest at the end.
    pub places: Vec<Place>,
    /// The first hundred failures.
    pub failures: Vec<Failure>,
}

/// Where a record is.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Place {
    /// Its partition.
    pub partition: i32,
    /// Its offset; `null` when the broker did not tell it.
    pub offset: Option<i64>,
    /// Its time, in milliseconds since the epoch.
    pub timestamp: i64,
    /// The address of its page.
    pub address: Option<String>,
}

/// Something that failed.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Failure {
    /// Which one: a line's or a record's number, from 1, or an offset.
    pub number: u64,
    /// Why.
    pub reason: String,
}

impl RunView {
    fn goes_on(&self) -> bool {
        self.state == State::Running
    }

    /// What has become of it, in a sentence.
    pub fn told(&self) -> String {
        let done = human::counted(self.done, self.unit);
        if self.goes_on() { format!("{done} sent so far") } else { format!("{done} sent") }
    }

    /// How it goes, in a word.
    fn state_text(&self) -> &'static str {
        match self.state {
            State::Running => "running",
            State::Done if self.failed > 0 => "done, with failures",
            State::Done => "done",
            State::Stopped => "stopped",
            State::Failed => "gave up",
        }
    }

    fn rate_text(&self) -> String {
        human::rate(Some(self.rate))
    }

    fn elapsed_text(&self) -> String {
        human::length(i64::try_from(self.elapsed_ms).unwrap_or(i64::MAX))
    }

    /// What of `total` is behind it, for a progress bar.
    fn behind(&self) -> u64 {
        self.done + self.failed + self.skipped
    }
}

async fn stream(console: Arc<Console>, params: Params, _: Nothing) -> Result<Response, Refusal> {
    let run = console.runs.find(&params)?;
    let over = console.shutdown.clone().cancelled_owned();
    let changes = WatchStream::new(run.progress.subscribe());
    let lines = futures::stream::unfold((changes, run, false), |(mut changes, run, ended)| async move {
        if ended {
            return None;
        }
        changes.next().await?;
        let view = run.view();
        let mut line = serde_json::to_vec(&view).ok()?;
        line.push(b'\n');
        if view.goes_on() {
            // What changes meanwhile is told together; an end that comes meanwhile is the next change.
            let _ = tokio::time::timeout(TICK, run.ended()).await;
        }
        Some((Ok::<_, std::convert::Infallible>(Bytes::from(line)), (changes, run, !view.goes_on())))
    });
    let mut response = warp::reply::stream(lines.take_until(over)).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    Ok(response)
}

#[derive(askama::Template)]
#[template(path = "console/runs/run.html")]
struct Page {
    frame: Frame,
    run: RunView,
}

async fn page(console: Arc<Console>, request: Request) -> Result<Response, Refusal> {
    let run = console.runs.find(&request.params)?.view();
    let frame = Frame::new(&console, Section::Produce, &request);
    Ok(frame::page(&request, StatusCode::OK, &Page { frame, run }))
}

async fn stop_form(console: Arc<Console>, request: Request, _: Vec<(String, String)>) -> Result<Response, Refusal> {
    let run = console.runs.find(&request.params)?;
    run.stop.cancel();
    run.ended().await;
    Ok(frame::done(&run.address(), "Stopped; what was done stays done"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(total: u64) -> About {
        About {
            title: "count".to_owned(),
            unit: "record",
            topic: None,
            back: "/console".to_owned(),
            total: Some(total),
        }
    }

    #[tokio::test]
    async fn a_run_tells_how_far_it_is_and_how_it_ended() {
        let (runs, shutdown) = (Runs::default(), CancellationToken::new());
        let run = runs.start(about(3), &shutdown, |run| async move {
            run.update(|progress| progress.done = 2);
            run.update(|progress| progress.fail(3, "too large".to_owned()));
            Ok(())
        });
        let run = run.unwrap();
        run.ended().await;
        let view = run.view();
        assert_eq!((view.state, view.done, view.total, view.failures[0].number), (State::Done, 2, Some(3), 3));
        let failed = runs.start(about(1), &shutdown, |_| async { Err("no leader".to_owned()) }).unwrap();
        failed.ended().await;
        assert_eq!((failed.view().state, failed.view().problem.as_deref()), (State::Failed, Some("no leader")));
    }

    #[tokio::test]
    async fn a_run_ends_when_it_is_stopped_and_only_so_many_go_on() {
        let (runs, shutdown) = (Runs::default(), CancellationToken::new());
        let endless = |run: Arc<Run>| async move {
            run.stop.cancelled().await;
            Ok(())
        };
        let first = runs.start(about(1), &shutdown, endless).unwrap();
        for _ in 1..AT_ONCE {
            runs.start(about(1), &shutdown, endless).unwrap();
        }
        let refused = runs.start(about(1), &shutdown, endless).err().unwrap();
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
        first.stop.cancel();
        first.ended().await;
        assert_eq!(first.view().state, State::Stopped);
        let next = runs.start(about(1), &shutdown, endless).unwrap();
        shutdown.cancel();
        next.ended().await;
    }

    #[tokio::test]
    async fn old_runs_are_forgotten() {
        let (runs, shutdown) = (Runs::default(), CancellationToken::new());
        for _ in 0..2 * REMEMBERED {
            runs.start(about(1), &shutdown, |_| async { Ok(()) }).unwrap().ended().await;
        }
        assert_eq!(runs.0.lock().unwrap().len(), REMEMBERED);
    }
}
