//! See the file of the same name in `protocol/command`.
