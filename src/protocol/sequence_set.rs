//! sequence-set: parse, write.
