//! What we advertise in which state; what ENABLE has turned on.
