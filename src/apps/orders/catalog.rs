//! What the shop sells.

use super::money::Cents;

/// A product of the shop. Orders may name others: this is what the form offers and the generator buys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Product {
    /// Its id.
    pub id: &'static str,
    /// What people call it.
    pub name: &'static str,
    /// What one costs.
    pub price: Cents,
}

/// All products.
pub const PRODUCTS: &[Product] = &[
    product("mug", "Coffee mug", 1_250),
    product("beans", "Coffee beans, 1 kg", 1_890),
    product("notebook", "Notebook, dotted", 795),
    product("pen", "Fountain pen", 3_499),
    product("lamp", "Desk lamp", 5_990),
    product("backpack", "Backpack, 20 l", 8_950),
    product("headphones", "Headphones", 14_900),
    product("keyboard", "Mechanical keyboard", 12_999),
    product("monitor", "Monitor, 27 inch", 32_900),
    product("chair", "Office chair", 44_500),
    product("desk", "Standing desk", 69_900),
    product("laptop", "Laptop, 14 inch", 129_900),
];

const fn product(id: &'static str, name: &'static str, cents: i64) -> Product {
    Product { id, name, price: Cents(cents) }
}
