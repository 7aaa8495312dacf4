//! A decoded call comes from interpretation alone.

use portcullis_core::call::Call;

fn forge(call: Call) -> Call {
    Call { operation: "ListTables".to_owned(), ..call }
}

fn main() {}
