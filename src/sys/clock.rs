//! Clocks beyond what std offers.

/// CLOCK_MONOTONIC in microseconds, as systemd wants it told.
pub fn monotonic_micros() -> u64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC);
    now.map_or(0, |now| {
        u64::try_from(now.tv_sec()).unwrap_or(0) * 1_000_000 + u64::try_from(now.tv_nsec()).unwrap_or(0) / 1000
    })
}

/// Microseconds since 1970; zero before.
pub fn microseconds() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
}

/// How many minutes east of UTC the machine's zone is at this moment, in seconds since 1970. The C library reads the
/// zone at the first call and keeps it, so a process that will lose sight of the file system calls once before.
pub fn zone_at(seconds: i64) -> i16 {
    let mut parts = std::mem::MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: both pointers are to values of our own that outlive the call; a zeroed `tm` is one.
    let east = unsafe {
        if libc::localtime_r(&seconds, parts.as_mut_ptr()).is_null() {
            return 0;
        }
        parts.assume_init().tm_gmtoff
    };
    i16::try_from(east / 60).unwrap_or(0)
}
