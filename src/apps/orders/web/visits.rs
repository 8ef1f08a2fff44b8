//! That pages were looked at: told to Kafka, never in the way of the page.

use tokio::sync::mpsc;
use uuid::Uuid;

use crate::apps::Prefix;
use crate::apps::orders::events::{Body, Event, Origin, PageView, Time, envelope};
use crate::clock::now_ms;
use crate::kafka::Producer;
use crate::kafka::event::TraceContext;

/// Page views that wait for Kafka at most; what comes beyond is not told.
const WAITING: usize = 1_000;

/// Tells of page views. Cheap to clone.
#[derive(Clone)]
pub struct Visits {
    queue: mpsc::Sender<Event>,
}

impl Visits {
    /// Tells through `producer`, until the last clone is gone.
    pub fn start(producer: Producer, prefix: Prefix) -> Self {
        let (queue, mut waiting) = mpsc::channel::<Event>(WAITING);
        tokio::spawn(async move {
            while let Some(event) = waiting.recv().await {
                if let Err(error) = producer.send(envelope::write(&prefix, &event)).await {
                    tracing::debug!(%error, "a page view is not told");
                }
            }
        });
        Self { queue }
    }

    /// Somebody looked at `page`. What is not remembered for want of room is missing from the counts, and nothing else is.
    pub fn page(&self, page: &'static str) {
        let view =
            PageView { page: page.to_owned(), user_id: None, session_id: None, user_agent: None, ts: Time(now_ms()) };
        if !self.tell(view) {
            tracing::debug!(page, "a page view is not told");
        }
    }

    /// Tells of a view; `false` when there is no room for it.
    pub fn tell(&self, view: PageView) -> bool {
        let id = Uuid::now_v7().to_string();
        let origin = Origin::new(id.clone(), TraceContext::random());
        self.queue.try_send(Event { id, origin, body: view.into(), place: None }).is_ok()
    }
}

/// Reads `{page, userId?, sessionId?, userAgent?}`; it happens at `now_ms` (milliseconds since the epoch), whatever it says.
///
/// # Errors
/// What is wrong with it, for people.
pub fn read(body: &[u8], now_ms: i64) -> Result<PageView, String> {
    let view: PageView = serde_json::from_slice(body).map_err(|error| format!("the body is no page view: {error}"))?;
    let view = PageView { ts: Time(now_ms), ..view };
    Body::from(view.clone()).check().map(|()| view)
}
