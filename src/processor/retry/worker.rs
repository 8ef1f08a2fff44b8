//! Keeps records that failed until they are due, and sends them back to where they came from: a processor itself.
