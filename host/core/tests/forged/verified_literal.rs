//! A verified request comes from verification alone.

use portcullis_core::head::Head;
use portcullis_core::sigv4::{Payload, PayloadMode, Scope, VerifiedRequest};

fn forge(head: Head, scope: Scope) -> VerifiedRequest {
    VerifiedRequest {
        head,
        scope,
        payload: Payload::Streamed,
        payload_mode: PayloadMode::Absent,
        access_key_id: String::new(),
        session_token: None,
        promise: None,
    }
}

fn main() {}
