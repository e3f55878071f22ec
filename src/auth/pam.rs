//! Authenticator over PAM.
