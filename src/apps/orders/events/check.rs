//! The limits of what an event can tell. Whoever writes one keeps them, and whoever reads one refuses the others: anybody may
//! write to a topic.

use super::payload::{
    InventoryRejected, InventoryReleased, InventoryReserved, Item, OrderCancelled, OrderCompleted, OrderPlaced,
    PageView, PaymentAuthorized, PaymentDeclined, PaymentRefunded, TopProductsUpdated,
};
use super::{Payload, Time};
use crate::apps::orders::money::Cents;

/// The longest id, in bytes.
pub const MAX_ID: usize = 64;
/// The longest name, reason or page, in characters.
pub const MAX_TEXT: usize = 300;
/// The most lines an order has.
pub const MAX_ITEMS: usize = 100;
/// The most pieces a line has.
pub const MAX_QUANTITY: u32 = 10_000;
/// The most that one piece costs: a million.
pub const MAX_PRICE: Cents = Cents(100_000_000);
/// The most pieces that one product of an order can come to.
const MAX_PIECES: u32 = MAX_QUANTITY * MAX_ITEMS as u32;
/// The most that an order can come to: a thousand million.
pub const MAX_TOTAL: Cents = Cents(100_000_000_000);
/// The most products a ranking has.
const MAX_TOP: usize = 1_000;

/// An id: visible ASCII characters, so that it can stand in a key, an address and a header.
///
/// # Errors
/// What is wrong with `field`.
pub fn id(field: &str, id: &str) -> Result<(), String> {
    match id {
        "" => Err(format!("{field} is empty")),
        id if id.len() > MAX_ID => Err(format!("{field} is too long: {} characters, at most {MAX_ID}", id.len())),
        id if !id.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Err(format!("{field} may hold only visible ASCII characters without spaces"))
        }
        _ => Ok(()),
    }
}

/// A line of text.
///
/// # Errors
/// What is wrong with `field`.
pub fn text(field: &str, text: &str) -> Result<(), String> {
    let length = text.chars().count();
    if text.trim().is_empty() {
        return Err(format!("{field} is empty"));
    }
    if length > MAX_TEXT {
        return Err(format!("{field} is too long: {length} characters, at most {MAX_TEXT}"));
    }
    match text.chars().find(|c| c.is_control()) {
        Some(c) => Err(format!("{field} holds a control character (U+{:04X})", c as u32)),
        None => Ok(()),
    }
}

/// The lines of an order, and what they come to.
///
/// # Errors
/// What is wrong, with the line at fault, e.g. `items[2].price`.
pub fn items(items: &[Item]) -> Result<Cents, String> {
    length("items", items.len(), MAX_ITEMS)?;
    let mut total = Cents(0);
    for (index, item) in items.iter().enumerate() {
        let field = |name: &str| format!("items[{index}].{name}");
        id(&field("productId"), &item.product_id)?;
        pieces(&field("quantity"), item.quantity, MAX_QUANTITY)?;
        if item.price <= Cents(0) || item.price > MAX_PRICE {
            return Err(format!("{} must be more than 0 and at most {MAX_PRICE}, not {}", field("price"), item.price));
        }
        item.name.as_deref().map_or(Ok(()), |name| text(&field("name"), name))?;
        total.0 += item.price.times(item.quantity).0; // far below the largest number, by the limits above
    }
    if total > MAX_TOTAL {
        return Err(format!("items come to {total} altogether, at most {MAX_TOTAL} are allowed"));
    }
    Ok(total)
}

fn length(field: &str, length: usize, max: usize) -> Result<(), String> {
    match length {
        0 => Err(format!("{field} must hold at least one")),
        length if length > max => Err(format!("{field} holds {length}, at most {max} are allowed")),
        _ => Ok(()),
    }
}

fn pieces(field: &str, quantity: u32, max: u32) -> Result<(), String> {
    match quantity {
        1.. if quantity <= max => Ok(()),
        _ => Err(format!("{field} must be from 1 to {max}, not {quantity}")),
    }
}

fn products<'a>(products: impl ExactSizeIterator<Item = (&'a str, u32)>) -> Result<(), String> {
    length("items", products.len(), MAX_ITEMS)?;
    for (index, (product, quantity)) in products.enumerate() {
        id(&format!("items[{index}].productId"), product)?;
        pieces(&format!("items[{index}].quantity"), quantity, MAX_PIECES)?;
    }
    Ok(())
}

fn amount(amount: Cents) -> Result<(), String> {
    let is_amount = amount > Cents(0) && amount <= MAX_TOTAL;
    is_amount.then_some(()).ok_or_else(|| format!("amount must be more than 0 and at most {MAX_TOTAL}, not {amount}"))
}

/// Makes each payload checkable: its order, if it is about one, and its own limits.
macro_rules! payloads {
    ($($name:ident $(($order:ident))? |$payload:pat_param| $check:expr;)*) => {$(
        impl Payload for $name {
            fn ts(&mut self) -> &mut Time {
                &mut self.ts
            }

            fn order(&self) -> Option<&str> {
                payloads!(@order self $($order)?)
            }

            fn check(&self) -> Result<(), String> {
                self.order().map_or(Ok(()), |order| id("orderId", order))?;
                let $payload = self;
                $check
            }
        }
    )*};
    (@order $self:ident $order:ident) => { Some(&$self.$order) };
    (@order $self:ident) => { None };
}

payloads! {
    OrderPlaced (order_id) |placed| {
        id("userId", &placed.user_id)?;
        let total = items(&placed.items)?;
        let is_sum = placed.total == total;
        is_sum.then_some(()).ok_or_else(|| format!("total is {}, but the items come to {total}", placed.total))
    };
    PaymentAuthorized (order_id) |payment| id("paymentId", &payment.payment_id).and_then(|()| amount(payment.amount));
    PaymentDeclined (order_id) |payment| text("reason", &payment.reason);
    PaymentRefunded (order_id) |payment| id("paymentId", &payment.payment_id).and_then(|()| amount(payment.amount));
    InventoryReserved (order_id) |reserved| {
        products(reserved.items.iter().map(|item| (item.product_id.as_str(), item.quantity)))
    };
    InventoryRejected (order_id) |rejected| {
        text("reason", &rejected.reason)?;
        products(rejected.items.iter().map(|item| (item.product_id.as_str(), item.quantity)))
    };
    InventoryReleased (order_id) |released| {
        products(released.items.iter().map(|item| (item.product_id.as_str(), item.quantity)))
    };
    OrderCompleted (order_id) |_| Ok(());
    OrderCancelled (order_id) |cancelled| text("reason", &cancelled.reason);
    PageView |view| {
        text("page", &view.page)?;
        view.user_id.as_deref().map_or(Ok(()), |user| id("userId", user))?;
        view.session_id.as_deref().map_or(Ok(()), |session| id("sessionId", session))?;
        view.user_agent.as_deref().map_or(Ok(()), |agent| text("userAgent", agent))
    };
    TopProductsUpdated |ranking| {
        let most = ranking.top.len() <= MAX_TOP;
        most.then_some(()).ok_or_else(|| format!("top holds {}, at most {MAX_TOP} are allowed", ranking.top.len()))?;
        text("period", &ranking.period)?;
        ranking.top.iter().try_for_each(|product| id("top.productId", &product.product_id))
    };
}
