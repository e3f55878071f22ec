//! The header by which a proxy says for whom it has made a connection: versions 1 and 2 of haproxy's PROXY protocol
//! (doc/proxy-protocol.txt there). To be read from proxies that are trusted alone, once, before all else.
//!
//! What a header says besides the client's address is checked and passed over: destinations, and the fields (TLVs) of
//! version 2, so also whose certificate a proxy says to have seen.

use super::Stream;
use super::wait::{Stop, Woken, wait};
use crate::limits;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Instant;

/// What octets from the beginning of a connection are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Parsed {
    /// The beginning of a header, to which at least so many further octets belong.
    More(usize),
    Header(Header),
    Invalid,
}

/// A whole header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// `None` where the proxy speaks for itself (LOCAL), or for somebody without an address (UNKNOWN, AF_UNIX).
    pub client: Option<SocketAddr>,
    /// Of the header, in octets.
    pub length: usize,
}

/// ```text
/// v1 = "PROXY " ("TCP4" / "TCP6") SP source SP destination SP port SP port CRLF / "PROXY UNKNOWN" *OCTET CRLF
/// ```
const V1: &[u8] = b"PROXY ";
/// The shortest line that begins so: `PROXY UNKNOWN` CRLF.
const V1_SHORTEST: usize = 15;
/// With its CRLF, by the specification.
const V1_LONGEST: usize = 107;

/// Followed by version and command, family and protocol, and the length of the rest in two octets.
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const V2_FIXED: usize = 16;

/// Takes a header apart.
pub fn parse(octets: &[u8]) -> Parsed {
    if octets.is_empty() {
        return Parsed::More(V1_SHORTEST);
    }
    if begins_like(octets, V1) {
        return v1(octets);
    }
    if begins_like(octets, V2) {
        return v2(octets);
    }
    Parsed::Invalid
}

fn begins_like(octets: &[u8], signature: &[u8]) -> bool {
    octets.iter().zip(signature).all(|(a, b)| a == b)
}

fn v1(octets: &[u8]) -> Parsed {
    let Some(end) = octets.iter().position(|&octet| octet == b'\n') else {
        return match octets.len() {
            V1_LONGEST.. => Parsed::Invalid,
            // One by one after the shortest: nobody can tell where it ends.
            length => Parsed::More(V1_SHORTEST.saturating_sub(length).max(1)),
        };
    };
    let length = end + 1;
    let line = octets.get(V1.len()..end).and_then(|line| line.strip_suffix(b"\r"));
    let Some(line) = line.filter(|line| length <= V1_LONGEST && !line.contains(&b'\r')) else {
        return Parsed::Invalid;
    };
    if line == b"UNKNOWN" || line.starts_with(b"UNKNOWN ") {
        return Parsed::Header(Header { client: None, length });
    }
    match std::str::from_utf8(line).ok().and_then(v1_client) {
        Some(client) => Parsed::Header(Header { client: Some(client), length }),
        None => Parsed::Invalid,
    }
}

fn v1_client(line: &str) -> Option<SocketAddr> {
    let words: Vec<&str> = line.split(' ').collect();
    let &[family, source, destination, source_port, destination_port] = words.as_slice() else { return None };
    let address = |text: &str| -> Option<IpAddr> {
        match family {
            "TCP4" => text.parse::<Ipv4Addr>().ok().map(IpAddr::from),
            "TCP6" => text.parse::<Ipv6Addr>().ok().map(IpAddr::from),
            _ => None,
        }
    };
    address(destination)?;
    port(destination_port)?;
    Some(SocketAddr::new(address(source)?, port(source_port)?))
}

/// Digits alone, the first of several no zero.
fn port(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

fn v2(octets: &[u8]) -> Parsed {
    let Some((&[.., version, family, high, low], rest)) = octets.split_first_chunk::<V2_FIXED>() else {
        return Parsed::More(V2_FIXED - octets.len());
    };
    let said = usize::from(u16::from_be_bytes([high, low]));
    let length = V2_FIXED + said;
    let is_local = match version {
        0x20 => true,
        0x21 => false,
        _ => return Parsed::Invalid,
    };
    // Source, destination and two ports: of TCP over IPv4 or IPv6, or two names of Unix sockets, or unspecified.
    let addresses = match family {
        _ if is_local => 0,
        0x00 => 0,
        0x11 => 4 + 4 + 2 + 2,
        0x21 => 16 + 16 + 2 + 2,
        0x31 => 108 + 108,
        _ => return Parsed::Invalid,
    };
    if said < addresses || length > limits::PROXY_HEADER {
        return Parsed::Invalid;
    }
    let Some(content) = rest.get(..said) else {
        return Parsed::More(said - rest.len());
    };
    let client = match family {
        _ if is_local => None,
        0x11 => client::<4>(content),
        0x21 => client::<16>(content),
        _ => None,
    };
    Parsed::Header(Header { client, length })
}

/// The first of two addresses of so many octets, with the first of the two ports behind them.
fn client<const N: usize>(content: &[u8]) -> Option<SocketAddr>
where
    IpAddr: From<[u8; N]>,
{
    let (source, rest) = content.split_first_chunk::<N>()?;
    let (_destination, rest) = rest.split_first_chunk::<N>()?;
    let port = rest.first_chunk::<2>()?;
    Some(SocketAddr::new(IpAddr::from(*source), u16::from_be_bytes(*port)))
}

/// Reads a header, and not an octet beyond it.
pub fn read(stream: &mut Stream, stop: &Stop, deadline: Instant) -> io::Result<Header> {
    let mut octets = Vec::new();
    loop {
        let more = match parse(&octets) {
            Parsed::Header(header) => return Ok(header),
            Parsed::Invalid => return Err(io::Error::new(io::ErrorKind::InvalidData, "not valid")),
            Parsed::More(more) => more,
        };
        match wait(stream, None, stop, deadline)? {
            Woken::Stop => return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the server is going down")),
            Woken::Timeout => return Err(io::Error::new(io::ErrorKind::TimedOut, "none in time")),
            Woken::Client | Woken::Mailbox => {}
        }
        let read = octets.len();
        octets.resize(read + more, 0);
        let count = stream.read(octets.get_mut(read..).unwrap_or_default())?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        octets.truncate(read + count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    fn v2_header(version: u8, family: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        [V2, &[version, family], &length, content].concat()
    }

    fn client_of(octets: &[u8]) -> Option<SocketAddr> {
        match parse(octets) {
            Parsed::Header(Header { client, length }) if length == octets.len() => client,
            other => panic!("{other:?} {octets:?}"),
        }
    }

    fn at(text: &str) -> Option<SocketAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn lines_of_the_specification_are_read() {
        let longest = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
        for (line, client) in [
            ("PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n".to_owned(), at("192.168.0.1:56324")),
            ("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n".to_owned(), at("255.255.255.255:65535")),
            (format!("PROXY TCP6 {longest} {longest} 65535 65535\r\n"), at(&format!("[{longest}]:65535"))),
            ("PROXY TCP6 2001:db8::1 ::ffff:10.0.0.1 0 1\r\n".to_owned(), at("[2001:db8::1]:0")),
            ("PROXY UNKNOWN\r\n".to_owned(), None),
            (format!("PROXY UNKNOWN {longest} {longest} 65535 65535\r\n"), None),
            ("PROXY UNKNOWN whatever this is\r\n".to_owned(), None),
        ] {
            assert_eq!(client_of(line.as_bytes()), client, "{line}");
            for end in 0..line.len() {
                let Parsed::More(more) = parse(&line.as_bytes()[..end]) else { panic!("{end} of {line}") };
                assert!((1..=line.len() - end).contains(&more), "{end} of {line}");
            }
            // What follows belongs to the client.
            let Parsed::Header(header) = parse(format!("{line}a NOOP\r\n").as_bytes()) else { panic!("{line}") };
            assert_eq!(header.length, line.len());
        }
    }

    #[test]
    fn other_lines_are_invalid() {
        for line in [
            "PROXY\r\n",
            "PROXY \r\n",
            "PROXY UNKNOWNS\r\n",
            "PROXY TCP 1.2.3.4 5.6.7.8 1 2\r\n",
            "PROXY TCP5 1.2.3.4 5.6.7.8 1 2\r\n",
            "PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\r\n",
            "PROXY TCP4\r 1.2.3.4 5.6.7.8 1 2\r\n",
            "PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 65536 2\r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 1 99999999999999999999\r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 -1 2\r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 +1 2\r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n",
            "PROXY TCP4 1.2.3.256 5.6.7.8 1 2\r\n",
            "PROXY TCP4 1.2.3.04 5.6.7.8 1 2\r\n",
            "PROXY TCP4 1.2.3 5.6.7.8 1 2\r\n",
            "PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n",
            "PROXY TCP4 1.2.3.4 2001:db8::2 1 2\r\n",
            "PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n",
            "PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 1 \u{ff11}\r\n",
            "proxy TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
            " PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
            "a NOOP\r\n",
            "\x16\x03\x01",
        ] {
            assert_eq!(parse(line.as_bytes()), Parsed::Invalid, "{line:?}");
        }
        let long = format!("PROXY UNKNOWN {}", "x".repeat(V1_LONGEST - 16));
        assert_eq!(client_of(format!("{long}\r\n").as_bytes()), None);
        assert_eq!(parse(format!("{long}x\r\n").as_bytes()), Parsed::Invalid);
        assert_eq!(parse(&[V1, &[b'x'; V1_LONGEST]].concat()), Parsed::Invalid);
    }

    const TCP4: [u8; 12] = [192, 0, 2, 7, 10, 0, 0, 1, 0xdc, 4, 0, 143];

    fn tcp6() -> Vec<u8> {
        let address = "2001:db8::7".parse::<Ipv6Addr>().unwrap().octets();
        [&address[..], &[0; 16], &[0xdc, 4, 0, 143]].concat()
    }

    #[test]
    fn binary_headers_are_read() {
        assert_eq!(client_of(&v2_header(0x21, 0x11, &TCP4)), at("192.0.2.7:56324"));
        assert_eq!(client_of(&v2_header(0x21, 0x21, &tcp6())), at("[2001:db8::7]:56324"));
        // Fields behind the addresses, such as TLS and its version, are passed over.
        let fields = [&TCP4[..], &[0x20, 0, 15, 7, 0, 0, 0, 0, 0x21, 0, 7], b"TLSv1.2"].concat();
        assert_eq!(client_of(&v2_header(0x21, 0x11, &fields)), at("192.0.2.7:56324"));
        // Unix sockets, and what the proxy does not know.
        assert_eq!(client_of(&v2_header(0x21, 0x31, &[b'/'; 216])), None);
        assert_eq!(client_of(&v2_header(0x21, 0x00, &[])), None);
        // LOCAL says nothing, whatever it has with it.
        for family in [0x00, 0x11, 0x21, 0x31, 0xff] {
            assert_eq!(client_of(&v2_header(0x20, family, &[])), None);
            assert_eq!(client_of(&v2_header(0x20, family, &TCP4)), None);
        }
    }

    #[test]
    fn binary_headers_that_are_cut_want_the_rest_and_no_more() {
        for header in [v2_header(0x21, 0x11, &TCP4), v2_header(0x21, 0x21, &[&tcp6()[..], &[4, 0, 1, 0]].concat())] {
            for end in 0..header.len() {
                let Parsed::More(more) = parse(&header[..end]) else { panic!("{end}") };
                assert!((1..=header.len() - end).contains(&more), "{end}");
            }
            let Parsed::Header(found) = parse(&[&header[..], b"a NOOP\r\n"].concat()) else { panic!() };
            assert_eq!(found.length, header.len());
        }
    }

    #[test]
    fn other_binary_headers_are_invalid() {
        for header in [
            // Versions 1 and 3, and a command that there is not.
            v2_header(0x11, 0x11, &TCP4),
            v2_header(0x31, 0x11, &TCP4),
            v2_header(0x22, 0x11, &TCP4),
            // UDP, a stream of no family, a family that there is not.
            v2_header(0x21, 0x12, &TCP4),
            v2_header(0x21, 0x01, &TCP4),
            v2_header(0x21, 0x41, &TCP4),
            // Shorter than the addresses.
            v2_header(0x21, 0x11, &TCP4[..11]),
            v2_header(0x21, 0x21, &TCP4),
            v2_header(0x21, 0x31, &[0; 215]),
            // A wrong signature.
            v2_header(0x21, 0x11, &TCP4).iter().map(|&octet| if octet == b'Q' { b'q' } else { octet }).collect(),
        ] {
            assert_eq!(parse(&header), Parsed::Invalid, "{header:?}");
        }
        // Refused before the rest is read, which may never come.
        let most = limits::PROXY_HEADER - V2_FIXED;
        assert!(matches!(parse(&v2_header(0x21, 0x11, &vec![0; most])), Parsed::Header(_)));
        assert_eq!(parse(&v2_header(0x21, 0x11, &vec![0; most + 1])[..V2_FIXED]), Parsed::Invalid);
        assert_eq!(parse(&v2_header(0x20, 0x00, &[0; 65535])[..V2_FIXED]), Parsed::Invalid);
    }

    #[test]
    fn nothing_beyond_a_header_is_read() {
        for header in [b"PROXY TCP4 192.0.2.7 10.0.0.1 56324 143\r\n".to_vec(), v2_header(0x21, 0x11, &TCP4)] {
            let (ours, mut theirs) = UnixStream::pair().unwrap();
            theirs.write_all(&header).unwrap();
            theirs.write_all(b"a NOOP\r\n").unwrap();
            let mut stream = Stream::socket(ours.into()).unwrap();
            let found = read(&mut stream, &Stop(None), Instant::now() + Duration::from_secs(5)).unwrap();
            assert_eq!((found.client, found.length), (at("192.0.2.7:56324"), header.len()));
            let mut rest = [0; 100];
            let count = stream.read(&mut rest).unwrap();
            assert_eq!(&rest[..count], b"a NOOP\r\n");
        }
    }

    #[test]
    fn a_header_that_does_not_come_or_is_none_is_an_error() {
        let result = |octets: &[u8]| {
            let (ours, mut theirs) = UnixStream::pair().unwrap();
            theirs.write_all(octets).unwrap();
            let mut stream = Stream::socket(ours.into()).unwrap();
            read(&mut stream, &Stop(None), Instant::now() + Duration::from_millis(10)).unwrap_err().kind()
        };
        assert_eq!(result(b"PROXY TCP4"), io::ErrorKind::TimedOut);
        assert_eq!(result(b"a NOOP\r\n"), io::ErrorKind::InvalidData);
    }
}
