//! Clocks beyond what std offers.

/// CLOCK_MONOTONIC in microseconds, as systemd wants it told.
pub fn monotonic_micros() -> u64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC);
    now.map_or(0, |now| {
        u64::try_from(now.tv_sec()).unwrap_or(0) * 1_000_000 + u64::try_from(now.tv_nsec()).unwrap_or(0) / 1000
    })
}
