//! `GET /orders/switches`: what goes wrong on purpose, as a form.

use std::collections::BTreeMap;
use std::sync::Arc;

use warp::http::{HeaderMap, StatusCode};
use warp::reply::Response;

use super::frame::{Frame, Section, redis_away, refused};
use super::{Fields, FormError, looked_at, see_other, text};
use crate::apps::orders::money::Cents;
use crate::apps::orders::switches::{self as kept, Switches};
use crate::apps::orders::web::Shop;
use crate::apps::orders::web::api::keep;
use crate::web::query::Query;
use crate::web::{human, reply};

#[derive(askama::Template)]
#[template(path = "orders/switches.html")]
struct SwitchesPage {
    frame: Frame,
    /// What is in force.
    now: Switches,
    /// What the fields hold, by their names.
    typed: BTreeMap<&'static str, String>,
    /// The field that is wrong.
    wrong: Option<&'static str>,
    /// What is wrong.
    error: Option<String>,
    /// Whether they were changed just now.
    saved: bool,
}

/// A field that can't be read.
type Wrong = (&'static str, String);

/// `GET /orders/switches`.
pub async fn page(shop: Arc<Shop>, headers: HeaderMap, query: Query) -> Response {
    looked_at(&shop, &headers, "/orders/switches");
    match in_force(&shop).await {
        Ok(now) => {
            let (frame, typed) = (Frame::new(&shop, Section::Switches), show(&now));
            let saved = query.get("saved").is_some();
            reply::page(StatusCode::OK, &SwitchesPage { frame, now, typed, wrong: None, error: None, saved })
        }
        Err(error) => redis_away(&shop, Section::Switches, &error),
    }
}

/// `POST /orders/switches`: the page again, with what is in force now or with what was wrong.
pub async fn set(shop: &Shop, form: Result<Fields, FormError>) -> Response {
    let fields = match form {
        Ok(fields) => fields,
        Err(error) => return refused(shop, Section::Switches, error.status(), &error.to_string()),
    };
    let switches = match text(&fields, "preset") {
        "calm" => Ok(Switches::calm()),
        "usual" => Ok(Switches::default()),
        _ => read(&fields),
    };
    let (field, reason) = match switches {
        Ok(switches) => match keep(shop, switches).await {
            Ok(()) => return see_other("/orders/switches?saved=1"),
            Err(error) => return redis_away(shop, Section::Switches, &error),
        },
        Err(wrong) => wrong,
    };
    let typed = FIELDS.iter().map(|name| (*name, text(&fields, name).to_owned())).collect();
    let (frame, now) = (Frame::new(shop, Section::Switches), (*shop.switches.get()).clone());
    let page = SwitchesPage { frame, now, typed, wrong: Some(field), error: Some(reason), saved: false };
    reply::page(StatusCode::BAD_REQUEST, &page)
}

/// What is kept for all processes; what this one follows while that makes no sense.
async fn in_force(shop: &Shop) -> Result<Switches, crate::redis::RedisError> {
    let kept = kept::load(&shop.services.redis, &shop.services.prefix).await?;
    Ok(kept.unwrap_or_else(|_| (*shop.switches.get()).clone()))
}

/// The fields of the form, as the settings name them.
const FIELDS: [&str; 8] = [
    "payment_decline_above",
    "payment_decline_chance",
    "payment_unavailable_chance",
    "inventory_failure_chance",
    "saga_timeout_ms",
    "stock_capacity",
    "stock",
    "seed",
];

/// The settings as the fields show them: chances in percent, times in seconds.
fn show(switches: &Switches) -> BTreeMap<&'static str, String> {
    // Rounded, so that 0.07 is 7 and not 7.000000000000001.
    let percent = |chance: f64| ((chance * 1e8).round() / 1e6).to_string();
    let stock: Vec<String> = switches.stock.iter().map(|(product, count)| format!("{product} {count}")).collect();
    let values = [
        switches.payment_decline_above.map_or_else(String::new, |amount| amount.to_string()),
        percent(switches.payment_decline_chance),
        percent(switches.payment_unavailable_chance),
        percent(switches.inventory_failure_chance),
        (switches.saga_timeout_ms as f64 / 1_000.0).to_string(),
        switches.stock_capacity.to_string(),
        stock.join("\n"),
        switches.seed.to_string(),
    ];
    FIELDS.into_iter().zip(values).collect()
}

fn read(fields: &Fields) -> Result<Switches, Wrong> {
    let switches = Switches {
        payment_decline_above: amount(fields, "payment_decline_above")?,
        payment_decline_chance: chance(fields, "payment_decline_chance")?,
        payment_unavailable_chance: chance(fields, "payment_unavailable_chance")?,
        inventory_failure_chance: chance(fields, "inventory_failure_chance")?,
        saga_timeout_ms: seconds(fields, "saga_timeout_ms")?,
        stock_capacity: whole(fields, "stock_capacity")?,
        stock: stock(fields, "stock")?,
        seed: whole(fields, "seed")?,
    };
    // What is wrong begins with the name of the field.
    switches.check().map(|()| switches).map_err(|reason| {
        let field = FIELDS.into_iter().filter(|field| reason.starts_with(field)).max_by_key(|field| field.len());
        (field.unwrap_or("seed"), reason)
    })
}

/// A number as people type it: with or without the commas of thousands.
fn number<T: std::str::FromStr>(fields: &Fields, field: &'static str) -> Option<T> {
    text(fields, field).replace(',', "").parse().ok()
}

fn amount(fields: &Fields, field: &'static str) -> Result<Option<Cents>, Wrong> {
    if text(fields, field).is_empty() {
        return Ok(None);
    }
    let amount = number(fields, field).and_then(Cents::from_number).filter(|amount| *amount >= Cents(0));
    amount.map(Some).ok_or((field, "It must be an amount such as 10000 or 99.90, or empty for never.".to_owned()))
}

fn chance(fields: &Fields, field: &'static str) -> Result<f64, Wrong> {
    let percent = number::<f64>(fields, field).filter(|percent| (0.0..=100.0).contains(percent));
    percent.map(|percent| percent / 100.0).ok_or((field, "It must be a number of percent from 0 to 100.".to_owned()))
}

fn seconds(fields: &Fields, field: &'static str) -> Result<u64, Wrong> {
    let seconds = number::<f64>(fields, field).filter(|seconds| (0.001..=3_600.0).contains(seconds));
    let millis = seconds.map(|seconds| (seconds * 1_000.0).round() as u64);
    millis.ok_or((field, "It must be a number of seconds from 0.001 to 3600.".to_owned()))
}

fn whole(fields: &Fields, field: &'static str) -> Result<u64, Wrong> {
    number(fields, field).ok_or((field, "It must be a whole number, not negative.".to_owned()))
}

/// Products with their stock, one a line.
fn stock(fields: &Fields, field: &'static str) -> Result<BTreeMap<String, u64>, Wrong> {
    let lines = text(fields, field).lines().map(str::trim).filter(|line| !line.is_empty());
    let product = |line: &str| {
        let (product, count) = line.rsplit_once([' ', '='])?;
        Some((product.trim().to_owned(), count.replace(',', "").parse().ok()?))
    };
    lines
        .map(|line| {
            product(line).ok_or((field, format!("{line:?}: each line is a product and its stock, such as: mug 3")))
        })
        .collect()
}

impl SwitchesPage {
    fn value(&self, field: &str) -> &str {
        self.typed.get(field).map_or("", String::as_str)
    }

    fn error_at(&self, field: &str) -> Option<&str> {
        self.error.as_deref().filter(|_| self.wrong == Some(field))
    }

    /// What is in force, in words.
    fn in_force(&self) -> [(&'static str, String); 6] {
        let percent = |chance: f64| format!("{}%", (chance * 1e8).round() / 1e6);
        let now = &self.now;
        let above = now.payment_decline_above;
        [
            ("Declined", percent(now.payment_decline_chance)),
            ("Declined above", above.map_or_else(|| "never".to_owned(), |amount| human::money(amount.0))),
            ("Payment away", percent(now.payment_unavailable_chance)),
            ("Inventory away", percent(now.inventory_failure_chance)),
            ("Saga waits", human::length(i64::try_from(now.saga_timeout_ms).unwrap_or(i64::MAX))),
            ("In stock", human::count(now.stock_capacity)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(switches: &Switches) -> Fields {
        show(switches).into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    #[test]
    fn what_the_form_shows_is_what_it_reads() {
        let stock = [("mug".to_owned(), 3), ("pen".to_owned(), 0)].into();
        let odd = Switches {
            payment_decline_chance: 0.07,
            saga_timeout_ms: 1_500,
            stock,
            seed: u64::MAX,
            ..Switches::calm()
        };
        for switches in [Switches::default(), Switches::calm(), odd] {
            assert_eq!(read(&fields(&switches)), Ok(switches));
        }
    }

    #[test]
    fn what_is_wrong_is_at_its_field() {
        for (field, typed) in [
            ("payment_decline_above", "-1"),
            ("payment_decline_above", "1.234"),
            ("payment_decline_chance", "101"),
            ("payment_unavailable_chance", ""),
            ("inventory_failure_chance", "NaN"),
            ("saga_timeout_ms", "0"),
            ("saga_timeout_ms", "3601"),
            ("stock_capacity", "-1"),
            ("stock_capacity", "1000000000001"),
            ("stock", "mug"),
            ("stock", "a b 3"),
            ("seed", "x"),
        ] {
            let mut fields = fields(&Switches::default());
            fields.retain(|(name, _)| name != field);
            fields.push((field.to_owned(), typed.to_owned()));
            assert_eq!(read(&fields).map_err(|(field, _)| field), Err(field), "{typed}");
        }
    }
}
