//! Octets that are wiped on drop and never printed.

use std::fmt;
use zeroize::{Zeroize, Zeroizing};

/// A password or another secret. Wiped when dropped; `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the octets over. Copies that were made of them before are not wiped.
    pub fn new(octets: Vec<u8>) -> Self {
        Self(Zeroizing::new(octets))
    }

    /// The octets. Do not copy them into anything that is not wiped.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(...)")
    }
}

/// Overwrites octets in which a secret came.
pub fn wipe(octets: &mut [u8]) {
    octets.zeroize();
}
