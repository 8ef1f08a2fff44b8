//! That pages were looked at: told to Kafka, never in the way of the page.

use futures::StreamExt;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use uuid::Uuid;

use crate::apps::Prefix;
use crate::apps::orders::events::{Body, Event, Origin, PageView, Time, envelope};
use crate::clock::now_ms;
use crate::kafka::Producer;
use crate::telemetry::trace::{Current, TraceContext, current};

/// Page views that wait for Kafka at most; what comes beyond is not told.
const WAITING: usize = 1_000;
/// And those on their way to it.
const UNDER_WAY: usize = 100;

/// That somebody looked, and the request that said so.
type Visit = (Event, Option<TraceContext>);

/// Tells of page views. Cheap to clone.
#[derive(Clone)]
pub struct Visits {
    queue: mpsc::Sender<Visit>,
}

impl Visits {
    /// Tells through `producer`, until the last clone is gone.
    pub fn start(producer: Producer, prefix: Prefix) -> Self {
        let (queue, waiting) = mpsc::channel(WAITING);
        let told = ReceiverStream::new(waiting).for_each_concurrent(UNDER_WAY, move |(event, request): Visit| {
            let (producer, record) = (producer.clone(), envelope::write(&prefix, &event));
            async move {
                if let Err(error) = Current::new(request).scope(producer.send(record)).await {
                    tracing::debug!(%error, "a page view is not told");
                }
            }
        });
        tokio::spawn(told);
        Self { queue }
    }

    /// Somebody looked at `page`. What there is no room for is missing from the counts, and does no other harm.
    pub fn page(&self, page: &str) {
        let view =
            PageView { page: page.to_owned(), user_id: None, session_id: None, user_agent: None, ts: Time(now_ms()) };
        if !self.tell(view) {
            tracing::debug!(page, "a page view is not told");
        }
    }

    /// Tells of a view; `false` when there is no room for it.
    pub fn tell(&self, view: PageView) -> bool {
        let id = Uuid::now_v7().to_string();
        let origin = Origin::new(id.clone(), current::next());
        let event = Event { id, origin, body: view.into(), place: None };
        self.queue.try_send((event, current::current())).is_ok()
    }
}

/// Reads `{page, userId?, sessionId?, userAgent?}`; it happens at `now_ms` (milliseconds since the epoch), whatever it says.
///
/// # Errors
/// What is wrong with it, for people.
pub fn read(body: &[u8], now_ms: i64) -> Result<PageView, String> {
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err("the body must be a JSON object with page".to_owned()); // an array would be taken for the fields in their order
    }
    let view: PageView = serde_json::from_slice(body).map_err(|error| format!("the body is no page view: {error}"))?;
    let view = PageView { ts: Time(now_ms), ..view };
    Body::from(view.clone()).check().map(|()| view)
}
