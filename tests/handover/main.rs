//! A connection that one process begins and another goes on with: the client, which is rustls or openssl, must not notice.

#[path = "../support/credulous.rs"]
mod credulous;

mod goodbyes;
mod key_update;
mod octets;
mod openssl;
mod pair;
mod pipelined;
mod suites;
mod throughput;
