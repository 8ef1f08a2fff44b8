//! One viewer's stream: what it missed, then every event as it comes, a keepalive when nothing comes.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::Stream;
use tokio::time::{Instant, Sleep};
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::wrappers::errors::BroadcastStreamRecvError;

use super::feed::{Event, Subscription};
use super::frame;
use crate::telemetry::instruments::StreamInstruments;

/// How often a quiet stream says that it is alive.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
/// Events that wait are written together, up to about this many bytes: fewer system calls when a viewer is behind.
const COALESCE_BYTES: usize = 32 * 1024;

/// The body of one viewer's response.
pub struct SseStream {
    first: Option<Bytes>,
    events: BroadcastStream<Event>,
    keepalive: Pin<Box<Sleep>>,
    instruments: Arc<StreamInstruments>,
    /// What an event must contain to concern this viewer, if not all do.
    only: Option<Bytes>,
    ended: bool,
    dropped: bool,
}

impl SseStream {
    /// The stream of a subscription.
    pub fn new(subscription: Subscription, instruments: Arc<StreamInstruments>) -> Self {
        Self::filtered(subscription, instruments, None)
    }

    /// The same, of those events alone whose text contains `only`.
    pub fn about(subscription: Subscription, instruments: Arc<StreamInstruments>, only: Bytes) -> Self {
        Self::filtered(subscription, instruments, Some(only))
    }

    fn filtered(subscription: Subscription, instruments: Arc<StreamInstruments>, only: Option<Bytes>) -> Self {
        let Subscription { backlog, mut messages, reset, events } = subscription;
        let mut first = BytesMut::from(frame::CONNECTED);
        match &only {
            None => first.extend_from_slice(&backlog),
            Some(only) => {
                let frames = frame::about(&backlog, only);
                messages = (frames.len() - usize::from(reset)) as u64;
                frames.iter().for_each(|frame| first.extend_from_slice(frame));
            }
        }
        instruments.active.increment(1.0);
        instruments.opened.increment(1);
        instruments.connected.increment(1);
        instruments.messages.increment(messages);
        instruments.resets.increment(u64::from(reset));
        Self {
            first: Some(first.freeze()),
            events: BroadcastStream::new(events),
            keepalive: Box::pin(tokio::time::sleep(KEEPALIVE_INTERVAL)),
            instruments,
            only,
            ended: false,
            dropped: false,
        }
    }

    /// The next event that concerns this viewer, as bytes; `None` when the stream is over.
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            return Poll::Ready(match ready!(Pin::new(&mut self.events).poll_next(cx)) {
                Some(Ok(Event::Message(encoded))) => {
                    if self.only.as_ref().is_some_and(|only| frame::about(&encoded, only).is_empty()) {
                        continue;
                    }
                    self.instruments.messages.increment(1);
                    Some(encoded)
                }
                Some(Ok(Event::Reset(encoded))) => {
                    self.instruments.resets.increment(1);
                    Some(match &self.only {
                        None => encoded,
                        Some(only) => Bytes::from(frame::about(&encoded, only).concat()),
                    })
                }
                Some(Ok(Event::Closing)) => {
                    self.ended = true;
                    Some(Bytes::from_static(frame::RETRY.as_bytes()))
                }
                // Too slow: cut off. It comes back with the id of what it saw last, and goes on from there.
                Some(Err(BroadcastStreamRecvError::Lagged(_))) => {
                    self.dropped = true;
                    self.ended = true;
                    None
                }
                None => {
                    self.ended = true;
                    None
                }
            });
        }
    }

    /// Adds to `head` what else is ready.
    fn coalesce(&mut self, head: Bytes, cx: &mut Context<'_>) -> Bytes {
        let mut all = BytesMut::new();
        while !self.ended && all.len() + head.len() < COALESCE_BYTES {
            let Poll::Ready(Some(more)) = self.poll_event(cx) else { break };
            if all.is_empty() {
                all.extend_from_slice(&head);
            }
            all.extend_from_slice(&more);
        }
        if all.is_empty() { head } else { all.freeze() }
    }
}

impl Stream for SseStream {
    type Item = Result<Bytes, std::convert::Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if let Some(first) = this.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        if this.ended {
            return Poll::Ready(None);
        }
        if let Poll::Ready(event) = this.poll_event(cx) {
            let Some(head) = event else { return Poll::Ready(None) };
            let frames = this.coalesce(head, cx);
            this.keepalive.as_mut().reset(Instant::now() + KEEPALIVE_INTERVAL);
            return Poll::Ready(Some(Ok(frames)));
        }
        ready!(this.keepalive.as_mut().poll(cx));
        this.keepalive.as_mut().reset(Instant::now() + KEEPALIVE_INTERVAL);
        // The new deadline has to be asked for, or nothing would wake this stream at it.
        let _ = this.keepalive.as_mut().poll(cx);
        this.instruments.keepalives.increment(1);
        Poll::Ready(Some(Ok(Bytes::from_static(frame::KEEPALIVE.as_bytes()))))
    }
}

impl Drop for SseStream {
    fn drop(&mut self) {
        self.instruments.active.decrement(1.0);
        if self.dropped {
            self.instruments.dropped.increment(1);
            self.instruments.slow.increment(1);
        } else {
            self.instruments.closed.increment(1);
        }
    }
}
