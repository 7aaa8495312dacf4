//! There is no permit that nobody decided on.

use portcullis_core::access::Permit;

fn forge() -> Permit {
    Permit::default()
}

fn main() {}
