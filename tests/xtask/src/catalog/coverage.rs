//! How much of the catalog is known in IAM's words.

use portcullis_core::call::AccessLevel;
use portcullis_core::catalog::{Operation, Service};

/// Prints, for every service with unknown actions, how many and which, and the sums.
#[expect(clippy::print_stdout, reason = "this is what the command is asked for")]
pub(crate) fn print(services: &[Service]) {
    for service in services {
        let unknown: Vec<&str> = unknown(service)
            .map(|operation| operation.name.as_str())
            .collect();
        if !unknown.is_empty() {
            let (count, of) = (unknown.len(), service.operations.len());
            println!(
                "{}: {count} of {of} unknown: {}",
                service.name,
                unknown.join(" ")
            );
        }
    }
    let all = services.iter().flat_map(|service| &service.operations);
    let named = |operation: &&Operation| operation.actions.iter().any(|a| !a.resources.is_empty());
    let resources = all.clone().filter(named).count();
    let unknown: usize = services
        .iter()
        .map(|service| unknown(service).count())
        .sum();
    println!("services {}", services.len());
    println!("operations {}", all.count());
    println!("operations without a known action {unknown}");
    println!("operations with a resource template {resources}");
}

fn unknown(service: &Service) -> impl Iterator<Item = &Operation> {
    let is_unknown = |operation: &&Operation| {
        let mut actions = operation.actions.iter();
        actions.any(|action| action.access == AccessLevel::Unknown)
    };
    service.operations.iter().filter(is_unknown)
}
