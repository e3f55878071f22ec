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

/// A moment as people write it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Local {
    /// From 0.
    pub month: u8,
    /// From 1.
    pub day: u8,
    pub hour: u8,
    pub minute: u8,
    pub second: u8,
}

/// This moment in the machine's zone, which is read as by [`zone_at`].
pub fn local_now() -> Local {
    let seconds = i64::try_from(microseconds() / 1_000_000).unwrap_or(0);
    let mut parts = std::mem::MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: both pointers are to values of our own that outlive the call; a zeroed `tm` is one.
    let parts = unsafe {
        if libc::localtime_r(&seconds, parts.as_mut_ptr()).is_null() {
            return Local::default();
        }
        parts.assume_init()
    };
    let octet = |number: libc::c_int| u8::try_from(number).unwrap_or(0);
    Local {
        month: octet(parts.tm_mon),
        day: octet(parts.tm_mday),
        hour: octet(parts.tm_hour),
        minute: octet(parts.tm_min),
        second: octet(parts.tm_sec),
    }
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
