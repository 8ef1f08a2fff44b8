//! Adding messages to a window, and telling of them: in this window's own script, and in those that keep more than it.

use std::sync::atomic::Ordering;

use fred::interfaces::PubsubInterface;
use fred::types::Value;

use super::{RedisError, Window, run};
use crate::telemetry::trace::TraceContext;

/// Goes before every script that adds messages to a window.
pub const SCRIPT: &str = include_str!("scripts/push.lua");

/// A batch with more messages than this is a backlog being drained: its messages are not announced one by one (no
/// viewer could follow), only that the window has moved.
const BULK: usize = 1_000;

/// What the script is told of a message's trace, if that is recorded: it goes with the message to who shows it.
pub fn trace(context: Option<TraceContext>) -> Value {
    context.map_or_else(|| Value::from_static_str(""), |context| context.header().into())
}

/// Messages on their way into a window.
pub struct Push {
    /// Where the script publishes them; empty when it does not.
    pub channel: String,
    /// Whether viewers are told anything.
    announce: bool,
    /// Whether everything before them was published.
    was_published: bool,
}

impl Push {
    /// Nobody is told.
    pub fn silent() -> Self {
        Self { channel: String::new(), announce: false, was_published: true }
    }
}

impl Window {
    /// The list of messages.
    pub(crate) fn list(&self) -> &str {
        &self.keys.list
    }

    /// Messages that it holds at most.
    pub(crate) fn length(&self) -> usize {
        self.length
    }

    /// Before a script that adds so many messages.
    pub(crate) fn begin_push(&self, messages: usize) -> Push {
        let channel = if messages > BULK { String::new() } else { self.channel.clone() };
        // Until it is known that everything was published, it is not: an answer that never comes may have asked for it.
        let was_published = self.published.swap(false, Ordering::Relaxed);
        Push { channel, announce: true, was_published }
    }

    /// After it, with the messages that it could not publish itself.
    ///
    /// # Errors
    /// When Redis is away; then viewers are told with the next messages.
    pub(crate) async fn end_push(&self, push: Push, unpublished: Option<&Value>) -> Result<(), RedisError> {
        if push.announce {
            if push.channel.is_empty() || !push.was_published {
                self.announce().await?;
            } else if let Some(Value::Array(unpublished)) = unpublished {
                self.publish(unpublished).await?;
            }
            self.published.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// When it added none.
    pub(crate) fn no_push(&self, push: Push) {
        if push.announce {
            self.published.store(push.was_published, Ordering::Relaxed);
        }
    }

    /// Publishes messages that the script could not publish itself.
    async fn publish(&self, messages: &[Value]) -> Result<(), RedisError> {
        let published = async {
            let pipeline = self.redis.client().pipeline();
            for message in messages {
                let () = pipeline.publish(self.channel.as_str(), message.clone()).await?;
            }
            let _receivers: Vec<i64> = pipeline.all().await?;
            Ok(())
        };
        run("publish", published).await
    }
}
