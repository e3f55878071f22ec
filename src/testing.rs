//! The one public door: what tests, fuzz targets and benches may reach.

pub mod auth {
    pub use crate::auth::*;
}

pub mod encoding {
    pub use crate::encoding::*;
}

pub mod limits {
    pub use crate::limits::*;
}

pub mod message {
    pub use crate::message::*;
}

pub mod protocol {
    pub use crate::protocol::*;
}

pub mod search {
    pub use crate::search::*;
}

pub mod session {
    pub use crate::session::*;
}

pub mod storage {
    pub use crate::storage::*;
}

pub mod transport {
    pub use crate::transport::*;
}

pub mod types {
    pub use crate::types::*;
}
