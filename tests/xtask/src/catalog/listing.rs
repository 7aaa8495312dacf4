//! What the catalog that this binary was built with says, as text: endpoints, so that another
//! implementation can be compared with them, and actions, so that a person can review them.

use portcullis_core::catalog::{ArnSegment, ArnTemplate, Catalog, Entry, Operation, When};
use portcullis_core::destination::{Destination, Target, Variant};

const VARIANTS: [(Variant, &str); 4] = [
    (Variant::Plain, "plain"),
    (Variant::DualStack, "dualstack"),
    (Variant::Fips, "fips"),
    (Variant::FipsDualStack, "fips-dualstack"),
];

/// Prints `service operation region variant host signing-name signing-region` for one operation of
/// each endpoint class, with `x` in the holes of a host prefix; `-` where there is no endpoint.
pub(crate) fn print_endpoints() -> anyhow::Result<()> {
    let catalog = Catalog::embedded();
    for entry in &catalog.index().services {
        let service = catalog.open(&entry.name)?;
        let mut seen = Vec::new();
        for operation in &service.operations {
            if !seen.contains(&operation.endpoint_class) {
                seen.push(operation.endpoint_class);
                print_operation(catalog, entry, operation);
            }
        }
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "this is what the command is asked for")]
fn print_operation(catalog: &Catalog, entry: &Entry, operation: &Operation) {
    let prefix = operation.host_prefix.as_deref().map(filled);
    for partition in &catalog.index().partitions {
        for region in &partition.regions {
            for (variant, name) in VARIANTS {
                let target = Target {
                    service: &entry.name,
                    operation: &operation.name,
                    partition: &partition.name,
                    region,
                    variant,
                };
                let built = Destination::build(catalog, &target, prefix.as_deref());
                let built = built.map_or("- - -".to_owned(), |built| described(&built));
                println!("{} {} {region} {name} {built}", entry.name, operation.name);
            }
        }
    }
}

fn described(built: &Destination) -> String {
    let (name, region) = (built.signing_name(), built.signing_region());
    format!("{} {name} {region}", built.host())
}

fn filled(template: &str) -> String {
    let mut filled = String::new();
    let mut rest = template;
    while let Some((literal, tail)) = rest.split_once('{') {
        filled.push_str(literal);
        filled.push('x');
        rest = tail.split_once('}').map_or("", |(_, tail)| tail);
    }
    filled + rest
}

/// Prints `service operation action access [of each list] [condition] [resources]`, one action a
/// line.
#[expect(clippy::print_stdout, reason = "this is what the command is asked for")]
pub(crate) fn print_actions() -> anyhow::Result<()> {
    let catalog = Catalog::embedded();
    for entry in &catalog.index().services {
        for operation in &catalog.open(&entry.name)?.operations {
            for action in &operation.actions {
                let each = each(&action.each);
                let when = condition(&action.when);
                let resources: Vec<_> = action.resources.iter().map(resource).collect();
                let (service, operation) = (&entry.name, &operation.name);
                let resources = resources.join(" or ");
                println!(
                    "{service} {operation} {} {}{each}{when} {resources}",
                    action.name, action.access
                );
            }
        }
    }
    Ok(())
}

fn each(path: &[String]) -> String {
    match path {
        [] => String::new(),
        path => format!(" of each {}", path.join(".")),
    }
}

fn condition(when: &When) -> String {
    match when {
        When::Always => String::new(),
        When::Absent(path) => format!(" without {}", path.join(".")),
        When::Prefixed(path, start) => format!(" with {} from `{start}`", path.join(".")),
        When::Present(path) => format!(" with {}", path.join(".")),
        When::True(path) => format!(" with true {}", path.join(".")),
        When::Unversioned(path) => format!(" with unversioned {}", path.join(".")),
        When::Versioned(path) => format!(" with versioned {}", path.join(".")),
    }
}

fn resource(template: &ArnTemplate) -> String {
    template.segments.iter().map(segment).collect()
}

fn segment(segment: &ArnSegment) -> String {
    match segment {
        ArnSegment::Account => "{Account}".to_owned(),
        ArnSegment::Literal(text) => text.clone(),
        ArnSegment::Partition => "{Partition}".to_owned(),
        ArnSegment::Region => "{Region}".to_owned(),
        ArnSegment::Arn(path) => format!("{{arn:{}}}", path.join(".")),
        ArnSegment::CopySource(path) => format!("{{copy:{}}}", path.join(".")),
        ArnSegment::Function(path) => format!("{{function:{}}}", path.join(".")),
        ArnSegment::MapKeys(path) => format!("{{keys:{}}}", path.join(".")),
        ArnSegment::Member(path) => format!("{{{}}}", path.join(".")),
        ArnSegment::NameOrArn(path) => format!("{{name:{}}}", path.join(".")),
        ArnSegment::Parameter(path) => format!("{{parameter:{}}}", path.join(".")),
        ArnSegment::QueueUrl(path) => format!("{{queue:{}}}", path.join(".")),
    }
}
