//! A feed follows one projection and shares it with its viewers.
//!
//! It subscribes first, then reads the window, and from there on takes each announced message whose `seq` is the next.
//! Anything else (a gap, a step back, a new epoch, a lagging or lost subscription) makes it read the window again:
//! what is missing is filled in from there, and only if that can't be done are the viewers told to start over.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use fred::clients::SubscriberClient;
use fred::interfaces::{EventInterface, PubsubInterface};
use fred::types::Message;
use metrics::{Gauge, gauge};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::frame::{self, Announced, EventId};
use crate::backoff::Backoff;
use crate::redis::{RedisError, Window};
use crate::telemetry::metrics as m;
use crate::telemetry::trace::{self, Kind, Span, TraceContext};

/// Events a viewer may be behind before it is cut off.
const QUEUE: usize = 1_024;
/// How often the window is read although nothing seems amiss: heals an announcement that was never made.
const CHECK_INTERVAL: Duration = Duration::from_secs(15);
/// While the window moves as a whole (a backlog is drained), viewers get it this often.
const RESYNC_INTERVAL: Duration = Duration::from_millis(250);

/// What a viewer is sent.
#[derive(Clone, Debug)]
pub enum Event {
    /// One message, encoded.
    Message(Bytes),
    /// Start over: the reset event and the window, encoded.
    Reset(Bytes),
    /// The server is leaving.
    Closing,
}

/// A feed. Cheap to clone.
#[derive(Clone)]
pub struct Feed {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    events: broadcast::Sender<Event>,
    length: usize,
    size: Gauge,
    /// Where messages are announced.
    channel: String,
}

/// What the feed knows of the projection.
#[derive(Default)]
struct State {
    epoch: String,
    seq: u64,
    /// The newest messages, oldest first, encoded.
    ring: VecDeque<Bytes>,
    /// The reset event and the ring, once somebody needed them: after a new epoch all viewers do.
    reset: Option<Bytes>,
}

/// A viewer's place in the feed: what it missed, and the events from here on.
pub struct Subscription {
    /// Frames to send first.
    pub backlog: Bytes,
    /// Messages in the backlog.
    pub messages: u64,
    /// Whether the backlog starts with a reset.
    pub reset: bool,
    /// What follows.
    pub events: broadcast::Receiver<Event>,
}

impl Feed {
    /// Starts following `window` until `shutdown`; returns once the first window was read. `size` shows how many messages it
    /// has.
    ///
    /// # Errors
    /// When Redis can't be subscribed to or read.
    pub async fn start(
        window: Window,
        subscriber: &SubscriberClient,
        length: usize,
        size: Gauge,
        shutdown: CancellationToken,
    ) -> Result<Self, RedisError> {
        let (messages, reconnects) = (subscriber.message_rx(), subscriber.reconnect_rx());
        subscribe(subscriber, &window).await?;
        gauge!(m::REDIS_SUBSCRIPTIONS.name).increment(2.0);
        let (state, events, channel) = (Mutex::default(), broadcast::channel(QUEUE).0, window.channel().to_owned());
        let shared = Shared { state, events, length, size, channel };
        let feed = Self { shared: Arc::new(shared) };
        feed.resync(&window).await?;
        let follower =
            Follower { feed: feed.clone(), window, subscriber: subscriber.clone(), subscribed: true, stale: false };
        tokio::spawn(follower.follow(messages, reconnects, shutdown));
        Ok(feed)
    }

    /// Joins the feed after `last`, the last message the viewer has seen; without one, from the next message on.
    pub fn subscribe(&self, last: Option<&EventId>) -> Subscription {
        let mut state = self.state();
        let events = self.shared.events.subscribe();
        let Some(last) = last else {
            return Subscription { backlog: Bytes::new(), messages: 0, reset: false, events };
        };
        let missed = state.seq.checked_sub(last.seq).map(|missed| missed as usize);
        match missed {
            Some(missed) if last.epoch == state.epoch && missed <= state.ring.len() => {
                let backlog = concat(state.ring.iter().skip(state.ring.len() - missed));
                Subscription { backlog, messages: missed as u64, reset: false, events }
            }
            _ => Subscription { messages: state.ring.len() as u64, backlog: state.reset(), reset: true, events },
        }
    }

    /// The last message that viewers were sent: who has seen the projection as it is now goes on from there.
    pub fn last(&self) -> EventId {
        let state = self.state();
        EventId { epoch: state.epoch.clone(), seq: state.seq }
    }

    /// The events from here on, without a place among viewers.
    pub fn watch(&self) -> broadcast::Receiver<Event> {
        self.shared.events.subscribe()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an announced message; `false` when it is not the next one.
    fn take(&self, json: &[u8]) -> bool {
        let Some(announced) = Announced::read(json) else { return false };
        let (seq, started) = (announced.seq, Instant::now());
        let mut state = self.state();
        if seq == state.seq + 1 && !state.epoch.is_empty() {
            let encoded = announced.frame(&state.epoch);
            state.push(encoded.clone(), self.shared.length);
            // Sent under the lock, so that who subscribes sees each message once. Nobody listening is no error.
            let viewers = self.shared.events.send(Event::Message(encoded)).unwrap_or(0);
            drop(state);
            if let Some(work) = announced.trace {
                self.trace(work, seq, viewers, started.elapsed());
            }
            return true;
        }
        // Announced before the window was read: the same message stands in the ring.
        let behind = state.seq.checked_sub(seq).map(|behind| behind as usize);
        behind.is_some_and(|behind| {
            let index = state.ring.len().checked_sub(behind + 1);
            let known = index.and_then(|index| state.ring.get(index));
            known.is_some_and(|known| *known == announced.frame(&state.epoch))
        })
    }

    /// Tells that a message was handed to so many viewers at once, which follows from `work`. Each of them writes it out by
    /// itself, and nothing is told of that.
    fn trace(&self, work: TraceContext, seq: u64, viewers: usize, took: Duration) {
        let context = work.child();
        trace::tell(&context, || {
            Span::ended(Kind::Producer, format!("stream {}", self.shared.channel), context, took)
                .under(Some(work.span_id))
                .with("kboard.seq", i64::try_from(seq).unwrap_or(i64::MAX))
                .with("kboard.viewers", viewers)
        });
    }

    /// Reads the window and brings the viewers up to date; how many messages nobody had announced.
    async fn resync(&self, window: &Window) -> Result<usize, RedisError> {
        let snapshot = window.snapshot().await?;
        self.shared.size.set(snapshot.members.len() as f64);
        let frames: VecDeque<Bytes> = (snapshot.members.iter().rev())
            .filter_map(|json| Some(Announced::read(json)?.frame(&snapshot.epoch)))
            .collect();
        let mut state = self.state();
        if state.epoch.is_empty() && snapshot.seq == frames.len() as u64 {
            // The first messages ever: whoever watched the empty board goes on from there.
            state.epoch.clone_from(&snapshot.epoch);
        }
        let unannounced = if state.continues(&snapshot.epoch, snapshot.seq, &frames) {
            let missing = (snapshot.seq - state.seq) as usize;
            for encoded in frames.iter().skip(frames.len() - missing) {
                state.push(encoded.clone(), self.shared.length);
                let _ = self.shared.events.send(Event::Message(encoded.clone()));
            }
            missing
        } else {
            *state = State { epoch: snapshot.epoch, seq: snapshot.seq, ring: frames, reset: None };
            let reset = state.reset();
            let _ = self.shared.events.send(Event::Reset(reset));
            0
        };
        Ok(unannounced)
    }
}

impl State {
    fn push(&mut self, encoded: Bytes, length: usize) {
        self.seq += 1;
        self.reset = None;
        self.ring.push_back(encoded);
        while self.ring.len() > length {
            self.ring.pop_front();
        }
    }

    /// Whether a window (oldest first) carries on where this state is: same life, not before it, without a hole
    /// between, and with the same message at the seam.
    fn continues(&self, epoch: &str, seq: u64, frames: &VecDeque<Bytes>) -> bool {
        let Some(missing) = seq.checked_sub(self.seq).map(|missing| missing as usize) else { return false };
        if epoch != self.epoch || missing > frames.len() {
            return false;
        }
        match (frames.len().checked_sub(missing + 1).and_then(|seam| frames.get(seam)), self.ring.back()) {
            (Some(theirs), Some(ours)) => theirs == ours,
            _ => true,
        }
    }

    fn reset(&mut self) -> Bytes {
        let (epoch, ring) = (&self.epoch, &self.ring);
        let encode = || {
            let reset = Bytes::from(frame::reset(epoch));
            concat(std::iter::once(&reset).chain(ring))
        };
        self.reset.get_or_insert_with(encode).clone()
    }
}

fn concat<'a>(frames: impl Iterator<Item = &'a Bytes>) -> Bytes {
    let mut all = BytesMut::new();
    frames.for_each(|frame| all.extend_from_slice(frame));
    all.freeze()
}

async fn subscribe(subscriber: &SubscriberClient, window: &Window) -> Result<(), RedisError> {
    let subscribed = subscriber.subscribe(vec![window.channel(), window.control()]).await;
    subscribed.map_err(|source| RedisError::Command { operation: "subscribe", source })
}

/// The task behind a feed.
struct Follower {
    feed: Feed,
    window: Window,
    subscriber: SubscriberClient,
    /// The connection knows of the subscription, as far as can be told.
    subscribed: bool,
    /// The window has to be read again.
    stale: bool,
}

impl Follower {
    async fn follow(
        mut self,
        mut messages: broadcast::Receiver<Message>,
        mut reconnects: broadcast::Receiver<fred::types::config::Server>,
        shutdown: CancellationToken,
    ) {
        let mut check = tokio::time::interval_at(Instant::now() + CHECK_INTERVAL, CHECK_INTERVAL);
        check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut backoff = Backoff::new(RESYNC_INTERVAL, Duration::from_secs(2));
        let mut resync_at = Instant::now();
        let mut checking = false;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                message = messages.recv() => match message {
                    Ok(message) => self.receive(&message),
                    Err(RecvError::Lagged(missed)) => {
                        tracing::debug!(missed, "the subscription lagged");
                        self.stale = true;
                    }
                    Err(RecvError::Closed) => break,
                },
                Ok(_) = reconnects.recv() => {
                    // A new connection knows nothing of the subscriptions of the old one.
                    self.subscribed = false;
                    self.stale = true;
                }
                _ = check.tick() => checking = true,
                () = tokio::time::sleep_until(resync_at), if self.stale || checking => {}
            }
            if !(self.stale || checking) || Instant::now() < resync_at {
                continue;
            }
            resync_at = Instant::now()
                + match self.catch_up().await {
                    Ok(unannounced) => {
                        // Nothing seemed amiss, and yet there was more: a connection that is dead without saying so.
                        self.subscribed = self.stale || unannounced == 0;
                        self.stale = !self.subscribed;
                        checking = false;
                        backoff.reset();
                        RESYNC_INTERVAL
                    }
                    Err(error) => {
                        self.stale = true;
                        tracing::debug!(%error, "can't read the window");
                        backoff.after_failure()
                    }
                };
        }
        let _ = self.feed.shared.events.send(Event::Closing);
    }

    /// Subscribed first and read then, so that nothing falls between the two.
    async fn catch_up(&mut self) -> Result<usize, RedisError> {
        if !self.subscribed {
            subscribe(&self.subscriber, &self.window).await?;
            self.subscribed = true;
        }
        self.feed.resync(&self.window).await
    }

    fn receive(&mut self, message: &Message) {
        if *message.channel == *self.window.channel() {
            if let Some(json) = message.value.as_bytes()
                && !self.feed.take(json)
            {
                self.stale = true;
            }
        } else if *message.channel == *self.window.control() {
            self.stale = true;
        }
    }
}
