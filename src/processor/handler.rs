//! Carries a processor out, as a group of the consumer runtime.
