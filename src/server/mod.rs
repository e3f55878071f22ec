//! The process model as one diagram: who listens, who is root, who serves.
