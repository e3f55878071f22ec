//! Run a query over an open mailbox: cheap keys first, text last.
