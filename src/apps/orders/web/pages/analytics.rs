//! `GET /orders/analytics`: what is ordered, and what becomes of it.

use std::sync::Arc;

use warp::http::{HeaderMap, StatusCode};
use warp::reply::Response;

use super::frame::{Frame, Section, redis_away};
use super::{looked_at, words};
use crate::apps::orders::analytics::counts::MINUTE;
use crate::apps::orders::catalog::PRODUCTS;
use crate::apps::orders::events::Cause;
use crate::apps::orders::web::Shop;
use crate::apps::orders::web::summary::{self, Summary};
use crate::clock::now_ms;
use crate::web::chart::{Chart, Line, Unit, Window};
use crate::web::query::Query;
use crate::web::{human, reply};

/// The minutes that the page can look back.
const WINDOWS: [i64; 2] = [15, 60];

#[derive(askama::Template)]
#[template(path = "orders/analytics.html")]
struct AnalyticsPage {
    frame: Frame,
    seen: Summary,
    charts: Vec<Chart>,
    now: i64,
}

/// A part of a whole, as a bar shows it.
struct Share {
    name: String,
    value: String,
    note: String,
    /// From 0 to 1,000, the size of the bar's drawing.
    width: u64,
}

/// `GET /orders/analytics`.
pub async fn page(shop: Arc<Shop>, headers: HeaderMap, query: Query) -> Response {
    // The page asks for itself again and again: those are no visits.
    if query.get("again").is_none() {
        looked_at(&shop, &headers, "/orders/analytics");
    }
    let asked = query.get("minutes").and_then(|minutes| minutes.parse().ok());
    let minutes = asked.filter(|minutes| WINDOWS.contains(minutes)).unwrap_or(WINDOWS[0]);
    let now = now_ms();
    match summary::summary(&shop, minutes, now).await {
        Ok(seen) => {
            let frame = Frame::new(&shop, Section::Analytics);
            let charts = charts(&seen);
            reply::page(StatusCode::OK, &AnalyticsPage { frame, seen, charts, now })
        }
        Err(error) => redis_away(&shop, Section::Analytics, &error),
    }
}

fn charts(seen: &Summary) -> Vec<Chart> {
    let window = Window { minutes: u32::try_from(seen.minutes).unwrap_or_default(), step: MINUTE };
    let times: Vec<i64> = seen.series.iter().map(|minute| minute.at.0).collect();
    let line = |name: &str, value: fn(&summary::Minute) -> f32| {
        Line::new(name, None, &seen.series.iter().map(value).collect::<Vec<_>>())
    };
    let chart = |id, title, unit, stacked, lines| Chart {
        id,
        title,
        unit,
        stacked,
        bars: true,
        window,
        times: times.clone(),
        lines,
    };
    vec![
        chart(
            "placed",
            "Orders placed, each minute",
            Unit::Count,
            false,
            vec![line("Placed", |minute| minute.placed as f32)],
        ),
        chart(
            "ended",
            "Orders ended, each minute",
            Unit::Count,
            true,
            vec![
                line("Completed", |minute| minute.completed as f32),
                line("Cancelled", |minute| minute.cancelled as f32),
            ],
        ),
        chart(
            "revenue",
            "Revenue, each minute",
            Unit::Money,
            false,
            vec![line("Authorized, less refunded", |minute| minute.revenue.0 as f32)],
        ),
    ]
}

impl AnalyticsPage {
    fn cancelled(&self) -> u64 {
        self.seen.cancelled.values().sum()
    }

    fn completed_share(&self) -> String {
        match self.seen.placed {
            0 => "none was placed".to_owned(),
            placed => format!("{} of those placed", percent(self.seen.completed, placed)),
        }
    }

    /// From looking to buying, each with its share of the step before.
    fn funnel(&self) -> [Share; 3] {
        let steps = self.seen.conversion;
        let most = steps.views.max(steps.placed).max(1);
        let step = |name: &str, value: u64, of: Option<u64>, whose: &str| Share {
            name: name.to_owned(),
            value: human::count(value),
            // More than there were before: who orders by the API looks at no page.
            note: match of {
                Some(of) if of >= value && of > 0 => format!("{} {whose}", percent(value, of)),
                Some(_) if value > 0 => "more by programs".to_owned(),
                _ => String::new(),
            },
            width: value * 1_000 / most,
        };
        [
            step("Page views", steps.views, None, ""),
            step("Orders placed", steps.placed, Some(steps.views), "of page views"),
            step("Orders completed", steps.completed, Some(steps.placed), "of orders placed"),
        ]
    }

    /// How orders of all time stand.
    fn states(&self) -> [Share; 3] {
        let all = self.seen.all_time;
        let state = |name: &str, count: u64| Share {
            name: name.to_owned(),
            value: human::count(count),
            note: if all.placed > 0 { percent(count, all.placed) } else { String::new() },
            width: count * 1_000 / all.placed.max(1),
        };
        [state("Completed", all.completed), state("Cancelled", all.cancelled), state("Open", all.open)]
    }

    /// Why orders were cancelled in the window.
    fn causes(&self) -> impl Iterator<Item = (&'static str, String)> {
        self.seen.cancelled.iter().map(|(cause, count): (&Cause, &u64)| (words::cause(*cause), human::count(*count)))
    }

    /// What is ordered most.
    fn top(&self) -> Vec<Share> {
        let most = self.seen.top.iter().map(|product| product.count).max().unwrap_or_default().max(1);
        let share = |product: &crate::apps::orders::events::TopProduct| Share {
            name: product_name(&product.product_id).to_owned(),
            value: human::count(product.count),
            note: human::money(product.revenue.0),
            width: product.count * 1_000 / most,
        };
        self.seen.top.iter().map(share).collect()
    }
}

/// What people call a product; its id if it is not of the catalogue.
fn product_name(id: &str) -> &str {
    PRODUCTS.iter().find(|product| product.id == id).map_or(id, |product| product.name)
}

/// `37%`.
fn percent(part: u64, whole: u64) -> String {
    let percent = part as f64 * 100.0 / whole as f64;
    match percent {
        percent if percent > 0.0 && percent < 10.0 => format!("{percent:.1}%"),
        _ => format!("{percent:.0}%"),
    }
}
