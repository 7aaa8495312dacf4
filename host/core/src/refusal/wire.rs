//! The one place that knows how AWS services write errors, in every protocol.
