//! Placing an order: it is checked, written to Kafka, and answered for once Kafka has acknowledged it.

use bytes::Bytes;
use uuid::Uuid;
use warp::http::StatusCode;
use warp::http::header::{HeaderMap, HeaderName};

use super::{KAFKA_AWAY, Shop};
use crate::apps::orders::draft::{Draft, Invalid};
use crate::apps::orders::events::{Event, Origin, derived_id, envelope};
use crate::clock::now_ms;
use crate::kafka::KafkaError;
use crate::telemetry::trace::current;
use crate::web::body::BodyError;
use crate::web::headers::{is_own, text};

/// The body of a request at most, in bytes: an order of the most items with the longest names, with room.
pub const MAX_BODY: usize = 256 * 1024;
/// The longest key or correlation that a request may bring, in bytes.
const MAX_KEY: usize = 200;

/// Why an order was not placed.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// It is no order.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// It could not be read.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// A page of another site asked for it.
    #[error("another site's page may not place orders here")]
    CrossSite,
    /// The key stands for another order.
    #[error("this Idempotency-Key was used for another order")]
    KeyReused,
    /// Kafka is away.
    #[error("the order was not placed: Kafka did not acknowledge it; try again in a moment")]
    Kafka(#[source] Box<KafkaError>),
}

impl PlaceError {
    /// The status that says so.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::Body(error) => error.status(),
            Self::CrossSite => StatusCode::FORBIDDEN,
            Self::KeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Kafka(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The field at fault, if one is.
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::Invalid(invalid) => invalid.field.as_deref(),
            _ => None,
        }
    }
}

/// Places the order that a request asks for; its id. A request with an `Idempotency-Key` that is repeated is the same order,
/// since its id follows from the key: whoever hears of it twice knows it.
///
/// # Errors
/// [`PlaceError`]; then it may have been placed all the same only if Kafka was away.
pub async fn place(shop: &Shop, headers: &HeaderMap, draft: Draft) -> Result<String, PlaceError> {
    if !is_own(headers) {
        return Err(PlaceError::CrossSite);
    }
    let id = match headers.get("idempotency-key") {
        None => Uuid::now_v7().to_string(),
        Some(key) => {
            let id = derived_id(&format!("key/{}", check_key(key.as_bytes())?)).to_string();
            match is_known(shop, &id, &draft).await {
                Some(true) => return Ok(id),
                Some(false) => return Err(PlaceError::KeyReused),
                None => id,
            }
        }
    };
    let correlation = text(headers, HeaderName::from_static("x-correlation-id"))
        .filter(|given| is_visible(given.as_bytes()))
        .unwrap_or(&id);
    current::correlate(&Bytes::copy_from_slice(correlation.as_bytes()));
    let event = draft.place(id.clone(), Origin::new(correlation, current::next()), now_ms());
    write(shop, &event).await?;
    Ok(id)
}

/// Whether it is this order that is known under the id; `None` when there is none, or Redis, which would know, is away. Then
/// it is written once more, which does no harm.
async fn is_known(shop: &Shop, id: &str, draft: &Draft) -> Option<bool> {
    let known = shop.orders.get(&[id.to_owned()]).await.ok()?.into_iter().next().flatten()?;
    known.placed.map(|placed| draft.asks_for(&placed.user_id, &placed.items))
}

async fn write(shop: &Shop, event: &Event) -> Result<(), PlaceError> {
    let record = envelope::write(&shop.services.prefix, event);
    shop.services.producer.send(record).await.map_err(|error| {
        KAFKA_AWAY.warn("an order was not acknowledged", &error);
        PlaceError::Kafka(Box::new(error))
    })
}

fn check_key(key: &[u8]) -> Result<&str, Invalid> {
    std::str::from_utf8(key).ok().filter(|_| is_visible(key)).ok_or_else(|| Invalid {
        field: None,
        reason: format!("Idempotency-Key must be 1 to {MAX_KEY} visible ASCII characters, such as a UUID"),
    })
}

fn is_visible(text: &[u8]) -> bool {
    (1..=MAX_KEY).contains(&text.len()) && text.iter().all(u8::is_ascii_graphic)
}
