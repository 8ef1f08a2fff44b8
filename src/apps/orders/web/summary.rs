//! What is ordered: the analytics' counts over the last minutes, and of all time.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use futures::future::try_join_all;
use serde::Serialize;

use super::Shop;
use crate::apps::orders::analytics::counts::{Counts, MINUTE, minute_key};
use crate::apps::orders::analytics::{TOTALS, tally};
use crate::apps::orders::events::{Cause, Time, TopProduct};
use crate::apps::orders::money::Cents;
use crate::apps::orders::saga::by_status;
use crate::apps::orders::saga::order::Status;
use crate::redis::RedisError;

/// The products of a ranking at most.
const TOP: usize = 10;

/// The counts of a window that ends now.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// How many minutes it has, the current one included.
    pub minutes: i64,
    /// Orders that were placed.
    pub placed: u64,
    /// Orders that were completed.
    pub completed: u64,
    /// Orders that were cancelled, by cause.
    pub cancelled: BTreeMap<Cause, u64>,
    /// What was authorized, less what was refunded.
    pub revenue: Cents,
    /// From looking to buying.
    pub conversion: Conversion,
    /// The products that were ordered most, by pieces.
    pub top: Vec<TopProduct>,
    /// The same by what they cost together.
    pub top_by_revenue: Vec<TopProduct>,
    /// The pages that were looked at most, with how often.
    pub pages: Vec<(String, u64)>,
    /// Minute by minute, the oldest first.
    pub series: Vec<Minute>,
    /// Orders of all time.
    pub all_time: AllTime,
    /// How many of the orders that are known stand where.
    pub states: BTreeMap<Status, u64>,
}

/// From looking to buying.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Conversion {
    /// Looks at pages.
    pub views: u64,
    /// Orders placed.
    pub placed: u64,
    /// Orders completed.
    pub completed: u64,
}

/// One minute.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Minute {
    /// When it began.
    pub at: Time,
    /// Orders placed in it.
    pub placed: u64,
    /// Orders completed in it.
    pub completed: u64,
    /// Orders cancelled in it.
    pub cancelled: u64,
    /// What was authorized in it, less what was refunded.
    pub revenue: Cents,
}

/// Orders of all time.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AllTime {
    /// Placed.
    pub placed: u64,
    /// Not ended yet.
    pub open: u64,
    /// Completed.
    pub completed: u64,
    /// Cancelled.
    pub cancelled: u64,
    /// What was authorized, less what was refunded.
    pub revenue: Cents,
}

/// The counts of the last `minutes`, up to `now_ms` (milliseconds since the epoch).
///
/// # Errors
/// When Redis is away.
pub async fn summary(shop: &Shop, minutes: i64, now_ms: i64) -> Result<Summary, RedisError> {
    let current = now_ms - now_ms.rem_euclid(MINUTE);
    let starts: Vec<i64> = (0..minutes).rev().map(|back| current - back * MINUTE).collect();
    let keys: Vec<String> = starts.iter().map(|at| minute_key(*at)).chain([TOTALS.to_owned()]).collect();
    let count = |status: Status| async move { Ok((status, shop.orders.count(&by_status(status)).await?)) };
    let by_status = try_join_all(Status::ALL.iter().copied().map(count));
    let (mut states, by_status) = tokio::try_join!(shop.counts.get(&keys), by_status)?;
    let totals = states.pop().flatten();
    let totals =
        totals.as_ref().and_then(|state| state.totals()).map(|totals| totals.counts.clone()).unwrap_or_default();
    let counts =
        states.iter().map(|state| state.as_ref().and_then(|state| state.minute()).cloned().unwrap_or_default());
    let counts: Vec<Counts> = counts.collect();
    let by_status = by_status.into_iter().filter(|(_, count)| *count > 0).collect();
    Ok(Summary::new(&starts, &counts, &totals, by_status))
}

impl Summary {
    fn new(starts: &[i64], counts: &[Counts], totals: &Counts, states: BTreeMap<Status, u64>) -> Self {
        let mut sum = Counts::default();
        counts.iter().for_each(|minute| sum += minute);
        let minute = |(at, counts): (&i64, &Counts)| Minute {
            at: Time(*at),
            placed: counts.placed,
            completed: counts.completed,
            cancelled: counts.cancelled_altogether(),
            revenue: Cents(counts.revenue_cents),
        };
        let mut top: Vec<TopProduct> = (sum.products.iter().filter(|(name, _)| *name != tally::OTHERS))
            .map(|(name, ordered)| TopProduct {
                product_id: name.to_owned(),
                count: ordered.count,
                revenue: Cents(ordered.revenue_cents),
            })
            .collect();
        let mut top_by_revenue = top.clone();
        top.sort_by_key(|product| Reverse(product.count));
        top_by_revenue.sort_by_key(|product| Reverse(product.revenue));
        top.truncate(TOP);
        top_by_revenue.truncate(TOP);
        let mut pages: Vec<_> = sum.views.iter().map(|(page, views)| (page.to_owned(), *views)).collect();
        let views = pages.iter().map(|(_, views)| views).sum();
        pages.sort_by_key(|(_, views)| Reverse(*views));
        pages.truncate(TOP);
        Self {
            minutes: starts.len() as i64,
            placed: sum.placed,
            completed: sum.completed,
            conversion: Conversion { views, placed: sum.placed, completed: sum.completed },
            revenue: Cents(sum.revenue_cents),
            cancelled: sum.cancelled,
            top,
            top_by_revenue,
            pages,
            series: starts.iter().zip(counts).map(minute).collect(),
            all_time: AllTime {
                placed: totals.placed,
                open: totals.open(),
                completed: totals.completed,
                cancelled: totals.cancelled_altogether(),
                revenue: Cents(totals.revenue_cents),
            },
            states,
        }
    }
}
