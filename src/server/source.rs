//! Where connections come from, as far as limits and penalties go, and networks as the options name them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// An IPv4 address, or the /64 network of an IPv6 one, since whoever has one address of a /64 has them all.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Source(IpAddr);

/// Of an IPv6 address, what counts.
const SOURCE_BITS: u8 = 64;

impl Source {
    /// Where a connection from this address counts. One without an address comes from this machine.
    pub fn of(address: Option<IpAddr>) -> Self {
        Self(match address.map(|address| address.to_canonical()) {
            Some(IpAddr::V6(v6)) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
            Some(v4) => v4,
            None => IpAddr::V4(Ipv4Addr::LOCALHOST),
        })
    }

    /// Whether this is what programs on this machine come from that have chosen no address, such as a webmail with all
    /// its users.
    pub fn is_this_machine(self) -> bool {
        self == Self::of(None) || self == Self::of(Some(Ipv6Addr::LOCALHOST.into()))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => address.fmt(f),
            IpAddr::V6(network) => write!(f, "{network}/{SOURCE_BITS}"),
        }
    }
}

/// An address and how many of its leading bits count: `192.0.2.0/24`, `2001:db8::/32`, or one address alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    fn holds(self, address: IpAddr) -> bool {
        self.agrees(address.to_canonical(), self.bits)
    }

    /// Of a source that is a network itself, some address is enough.
    fn touches(self, source: Source) -> bool {
        let bits = if self.address.is_ipv6() { self.bits.min(SOURCE_BITS) } else { self.bits };
        self.agrees(source.0, bits)
    }

    fn agrees(self, address: IpAddr, bits: u8) -> bool {
        self.address.is_ipv4() == address.is_ipv4() && leading(self.address, bits) == leading(address, bits)
    }
}

/// So many leading bits of an address.
fn leading(address: IpAddr, bits: u8) -> u128 {
    let all = match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()) << 96,
        IpAddr::V6(v6) => v6.to_bits(),
    };
    all & !u128::MAX.checked_shr(u32::from(bits)).unwrap_or(0)
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text} is neither an address nor a network such as 192.0.2.0/24");
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => most,
            Some(bits) => bits.parse().ok().filter(|&bits| bits <= most).ok_or_else(wrong)?,
        };
        // Somebody meant another network, or another length.
        if leading(address, bits) != leading(address, 128) {
            return Err(format!("{text} has an address beyond its first {bits} bits"));
        }
        Ok(Self { address, bits })
    }
}

/// Some networks.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Networks(Vec<Network>);

impl Networks {
    /// As an option that may be repeated names them.
    pub fn parse(texts: &[String]) -> Result<Self, String> {
        texts.iter().map(|text| text.parse()).collect::<Result<_, _>>().map(Self)
    }

    /// Whether an address is in one of them.
    pub fn hold(&self, address: Option<IpAddr>) -> bool {
        address.is_some_and(|address| self.0.iter().any(|network| network.holds(address)))
    }

    /// Whether a source is, or has addresses, in one of them.
    pub fn touch(&self, source: Source) -> bool {
        self.0.iter().any(|network| network.touches(source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::of(Some(text.parse().unwrap()))
    }

    fn networks(texts: &[&str]) -> Networks {
        Networks::parse(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_source() {
        assert_eq!(source("2001:db8::1"), source("2001:db8::ffff:1"));
        assert_ne!(source("2001:db8::1"), source("2001:db8:0:1::1"));
        assert_eq!(source("2001:db8::1").to_string(), "2001:db8::/64");
        assert_eq!(source("::ffff:192.0.2.7").to_string(), "192.0.2.7");
    }

    #[test]
    fn what_has_no_address_or_chose_none_is_this_machine() {
        assert!(
            [None, "127.0.0.1".parse().ok(), "::1".parse().ok()].map(Source::of).iter().all(|s| s.is_this_machine())
        );
        assert!(!source("127.0.0.2").is_this_machine() && !source("2001:db8::1").is_this_machine());
    }

    #[test]
    fn networks_hold_what_begins_like_them() {
        let some = networks(&["192.0.2.0/24", "2001:db8::/32", "10.0.0.9", "0.0.0.0/0"]);
        let of = |index: usize, text: &str| some.0[index].holds(text.parse().unwrap());
        assert!(of(0, "192.0.2.255") && of(0, "::ffff:192.0.2.1") && !of(0, "192.0.3.0") && !of(0, "2001:db8::1"));
        assert!(of(1, "2001:db8:ffff::1") && !of(1, "2001:db9::") && !of(1, "32.1.13.184"));
        assert!(of(2, "10.0.0.9") && !of(2, "10.0.0.8"));
        assert!(of(3, "255.255.255.255") && !of(3, "::1"));
        assert!(networks(&["::/0"]).hold("::1".parse().ok()) && !some.hold(None));
    }

    #[test]
    fn a_network_within_a_source_touches_it() {
        let some = networks(&["2001:db8::5", "192.0.2.7/32"]);
        assert!(some.touch(source("2001:db8::1")) && !some.touch(source("2001:db8:0:1::5")));
        assert!(some.touch(source("192.0.2.7")) && !some.touch(source("192.0.2.6")));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in
            ["", "x", "192.0.2.0/33", "192.0.2.1/24", "2001:db8::/129", "2001:db8::1/64", "1.2.3.4/", "/8", "10/8"]
        {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
