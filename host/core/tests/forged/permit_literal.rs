//! A permit cannot be written down: its fields are private.

use portcullis_core::access::{Permit, Session};
use portcullis_core::call::Call;

fn forge(call: Call, session: Session) -> Permit {
    Permit { call, session, rules: Vec::new(), obligations: Vec::new() }
}

fn main() {}
