//! Authenticator over a file: development, tests, virtual users.
