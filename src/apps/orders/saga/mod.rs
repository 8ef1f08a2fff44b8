pub mod order;
pub mod timeline;
