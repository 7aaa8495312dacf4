//! A permit is for one call: it cannot be copied and spent twice.

use portcullis_core::access::Permit;

fn twice(permit: &Permit) -> Permit {
    Permit::clone(permit)
}

fn main() {}
