//! The message board: messages posted over HTTP go through Kafka into a window in Redis, and from there to every
//! viewer.
//!
//! ```text
//! POST /api/messages ──> topic message-board ──> group message-board ──> Redis list `messages`
//!                                                                  └──> channel `new-messages` ──> viewers (SSE)
//! ```

mod api;
mod form;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod generator;
mod history;
mod idempotency;
mod message;
mod page;
mod post;
mod projection;

use std::sync::Arc;

use futures::FutureExt;
use metrics::gauge;

use super::{App, GroupSpec, Prefix, Services};
use crate::kafka::admin::TopicSpec;
use crate::kafka::consumer::{self, Group};
use crate::kafka::dead_letter;
use crate::kafka::replay::{self, Letters};
use crate::live::Feed;
use crate::redis::Window;
use crate::telemetry::instruments::StreamInstruments;
use crate::telemetry::metrics as m;
use crate::telemetry::seldom::Seldom;
use crate::web::Part;
use history::History;
use projection::Projection;

/// The topic of messages, before the prefix.
const TOPIC: &str = "message-board";
/// The group that projects them, before the prefix.
const GROUP: &str = "message-board";
/// Messages that Redis keeps; older ones are read from the log.
const WINDOW: usize = 100;

/// What requests say that Kafka did not serve.
static KAFKA_AWAY: Seldom = Seldom::new();
/// What requests say that Redis did not serve.
static REDIS_AWAY: Seldom = Seldom::new();

/// The board.
pub const APP: App = App {
    name: "board",
    home: Part { name: "Message board", address: "/" },
    topics,
    groups: &[GroupSpec {
        name: GROUP,
        topics: &[TOPIC],
        emits: &[],
        run: |services, health| {
            async move {
                let (id, topics) = (services.prefix.apply(GROUP), vec![services.prefix.apply(TOPIC)]);
                let group = Group { id, topics, dead_letters: None };
                let projection = Projection::new(window(&services));
                let Services { cluster, producer, shutdown, .. } = services;
                consumer::run(group, projection, &cluster, producer, health, shutdown).await
            }
            .boxed()
        },
        rebuild: |services, range, progress| {
            async move {
                let (producer, group) = (services.producer.clone(), services.prefix.apply(GROUP));
                let letters = Letters { producer, group, topic: None };
                replay::replay(&Projection::new(window(&services)), range, &letters, progress).await
            }
            .boxed()
        },
    }],
    mount: |services, subscriber| {
        async move {
            let window = window(&services);
            let (size, shutdown) = (gauge!(m::REDIS_LIST_SIZE.name), services.shutdown.clone());
            let feed = Feed::start(window.clone(), &subscriber, WINDOW, size, shutdown).await?;
            let history = History::new(services.cluster.clone(), services.prefix.apply(TOPIC));
            let streams = Arc::new(StreamInstruments::new());
            Ok(api::routes(Arc::new(Board { services, window, feed, history, streams })))
        }
        .boxed()
    },
    generate: generator::generate,
};

/// What the board's routes share.
struct Board {
    services: Services,
    window: Window,
    feed: Feed,
    history: History,
    streams: Arc<StreamInstruments>,
}

fn topics(prefix: &Prefix) -> Vec<TopicSpec> {
    let topic = prefix.apply(TOPIC);
    vec![dead_letter::spec(&topic), TopicSpec::new(topic, 3)]
}

fn window(services: &Services) -> Window {
    Window::new(services.redis.clone(), &services.prefix.0, "message-board", "messages", "new-messages", WINDOW)
}
