//! What the app shows and takes over HTTP.
//!
//! - [`api`]: the addresses of the API.
//! - [`pages`]: the pages.
//! - [`place`]: placing an order.
//! - [`read`]: orders as pages and API show them.
//! - [`summary`]: what is ordered, from the analytics' counts.
//! - [`visits`]: that pages were looked at.

pub mod api;
mod pages;
pub mod place;
pub mod read;
pub mod summary;
pub mod visits;

use std::sync::Arc;

use fred::clients::SubscriberClient;
use metrics::Gauge;

use super::analytics::{self, Analytics};
use super::notification::{Notification, Notifications};
use super::saga::Saga;
use super::saga::order::Order;
use super::service::{NEWS, news, view};
use super::switches::LiveSwitches;
use crate::apps::Services;
use crate::live::Feed;
use crate::processor::View;
use crate::telemetry::instruments::StreamInstruments;
use crate::telemetry::seldom::Seldom;
use crate::web::{Routes, human};
use visits::Visits;

/// What requests say that Kafka did not serve.
static KAFKA_AWAY: Seldom = Seldom::new();
/// What requests say that Redis did not serve.
static REDIS_AWAY: Seldom = Seldom::new();

/// What the app's routes share.
pub struct Shop {
    /// Kafka and Redis.
    pub services: Services,
    /// What is known of every order.
    pub orders: View<Order>,
    /// What customers were told.
    pub notifications: View<Notification>,
    /// What was counted.
    pub counts: View<analytics::State>,
    /// What goes wrong on purpose.
    pub switches: LiveSwitches,
    /// What happens to orders, as it happens.
    pub feed: Feed,
    /// The metrics of its viewers.
    pub streams: Arc<StreamInstruments>,
    /// Tells of pages that were looked at.
    pub visits: Visits,
}

impl Shop {
    /// How long an order is known after the last that happened to it, for people.
    pub fn remembers(&self) -> String {
        human::seconds(self.services.state_retention.as_secs_f64())
    }
}

/// Starts what the routes need, and makes them.
///
/// # Errors
/// When Redis can't be read.
pub async fn mount(services: Services, subscriber: SubscriberClient) -> anyhow::Result<Routes> {
    let Services { redis, prefix, producer, shutdown, .. } = services.clone();
    let feed = Feed::start(news::<Saga>(&services), &subscriber, NEWS, Gauge::noop(), shutdown.clone()).await?;
    let shop = Shop {
        orders: view::<Saga>(&services),
        notifications: view::<Notifications>(&services),
        counts: view::<Analytics>(&services),
        switches: LiveSwitches::follow(redis, prefix.clone(), shutdown).await,
        feed,
        streams: Arc::new(StreamInstruments::new()),
        visits: Visits::start(producer, prefix),
        services,
    };
    let shop = Arc::new(shop);
    Ok(api::routes(&shop).or(pages::routes(&shop)))
}
