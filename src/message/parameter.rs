//! MIME parameters, RFC 2231 continuations and charsets.
