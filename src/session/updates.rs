//! Storage changes into untagged EXISTS, EXPUNGE, FETCH; when each is allowed.
