//! The generator on a service small enough to read.

use std::fs;
use std::path::{Path, PathBuf};

use portcullis_core::catalog::{Catalog, Protocol, Shape};
use serde_json::json;

use super::sources::Sources;

fn write(path: &Path, value: &serde_json::Value) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, value.to_string()).unwrap();
}

/// A directory of its own under the build's, removed when dropped.
struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn sources(test: &str) -> (Directory, Sources) {
    let root = std::env::temp_dir().join(format!("catalog-{test}-{}", std::process::id()));
    let botocore = root.join("botocore/data");
    write(
        &botocore.join("partitions.json"),
        &json!({"partitions": [{
            "id": "aws",
            "outputs": {
                "dnsSuffix": "aws.example", "dualStackDnsSuffix": "dual.example",
                "implicitGlobalRegion": "r-1", "supportsFIPS": true, "supportsDualStack": false,
            },
            "regions": {"r-1": {}, "r-2": {}, "aws-global": {}},
        }]}),
    );
    let tables = botocore.join("tables");
    fs::create_dir_all(tables.join("2001-01-01")).unwrap();
    write(&tables.join("2002-02-02/service-2.json"), &model());
    write(
        &tables.join("2002-02-02/endpoint-rule-set-1.json"),
        &rules(),
    );
    let iam = root.join("iam/data");
    write(&iam.join("services.json"), &json!(["iam", "tables"]));
    write(
        &iam.join("actions/iam.json"),
        &json!({
            "passrole": {"name": "PassRole", "accessLevel": "Write", "resourceTypes": []}
        }),
    );
    write(
        &iam.join("actions/tables.json"),
        &json!({
            "readtable": {
                "name": "ReadTable", "accessLevel": "Read", "resourceTypes": [{"name": "table"}],
            }
        }),
    );
    write(
        &iam.join("resourceTypes/tables.json"),
        &json!({
            "table": {"arn": "arn:${Partition}:tables:${Region}:${Account}:table/${TableName}"}
        }),
    );
    let models = root.join("models");
    fs::create_dir_all(&models).unwrap();
    let sources = Sources {
        botocore: root.join("botocore"),
        botocore_version: "1".to_owned(),
        iam_data: root.join("iam"),
        iam_data_version: "2".to_owned(),
        models,
        client_version: "3".to_owned(),
    };
    (Directory(root), sources)
}

fn model() -> serde_json::Value {
    json!({
        "metadata": {
            "apiVersion": "2002-02-02", "endpointPrefix": "tables", "jsonVersion": "1.1",
            "protocol": "json", "serviceId": "Tables", "signingName": "tables",
        },
        "operations": {
            "ReadTable": {"http": {"method": "POST", "requestUri": "/"}, "input": {"shape": "In"}},
            "Ping": {"http": {"method": "POST", "requestUri": "/"}, "authtype": "none"},
        },
        "shapes": {
            "In": {"type": "structure", "members": {"TableName": {"shape": "Name"}, "Next": {"shape": "In"}}},
            "Name": {"type": "string"},
            "Unreached": {"type": "string"},
        },
    })
}

fn rules() -> serde_json::Value {
    json!({
        "parameters": {"Region": {"builtIn": "AWS::Region"}, "Fips": {"builtIn": "AWS::UseFIPS"}},
        "rules": [{
            "type": "tree",
            "conditions": [{"fn": "aws.partition", "argv": [{"ref": "Region"}], "assign": "P"}],
            "rules": [
                {
                    "type": "error", "error": "no FIPS",
                    "conditions": [{"fn": "booleanEquals", "argv": [{"ref": "Fips"}, true]}],
                },
                {
                    "type": "endpoint",
                    "conditions": [{"fn": "stringEquals", "argv": [{"ref": "Region"}, "r-2"]}],
                    "endpoint": {"url": "https://second.{P#dnsSuffix}", "properties": {
                        "authSchemes": [{"name": "sigv4", "signingRegion": "r-1"}],
                    }},
                },
                {
                    "type": "endpoint", "conditions": [],
                    "endpoint": {"url": "https://tables.{Region}.{P#dnsSuffix}"},
                },
            ],
        }],
    })
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let (_directory, sources) = sources("same");
    let bytes = super::generate(&sources).unwrap().bytes;
    assert_eq!(bytes, super::generate(&sources).unwrap().bytes);
}

#[test]
fn what_is_written_is_what_is_read() {
    let (_directory, sources) = sources("read");
    let catalog = Catalog::parse(super::generate(&sources).unwrap().bytes.leak()).unwrap();
    let entry = catalog.by_name("tables").unwrap();
    assert_eq!(
        (entry.api_version.as_str(), &entry.protocols),
        ("2002-02-02", &vec![Protocol::Json11])
    );
    let service = catalog.open("tables").unwrap();
    let names: Vec<_> = service.operations.iter().map(|o| o.name.as_str()).collect();
    assert_eq!(names, ["Ping", "ReadTable"]);
    assert_eq!(service.shapes.len(), 2);
    let input = service.operation("ReadTable").unwrap().input.unwrap();
    let Some(Shape::Structure(structure)) = service.shape(input) else {
        panic!("no structure")
    };
    let next = structure
        .members
        .iter()
        .find(|member| member.name == "Next");
    assert_eq!(next.unwrap().shape, input);
    let actions = &service.operation("ReadTable").unwrap().actions;
    assert_eq!(actions[0].name, "tables:ReadTable");
    assert_eq!(actions[0].resources[0].segments.len(), 8);
    let hosts = |rules: &[portcullis_core::catalog::EndpointRule]| -> Vec<String> {
        rules
            .iter()
            .filter(|rule| !rule.dual_stack)
            .map(|rule| rule.host.clone())
            .collect()
    };
    assert_eq!(hosts(&service.endpoints.defaults).len(), 1);
    assert_eq!(hosts(&service.endpoints.exceptions).len(), 1);
    assert_eq!(catalog.index().partitions[0].regions, ["r-1", "r-2"]);
}

#[test]
fn unknown_traits_of_a_model_are_errors() {
    let (_directory, sources) = sources("unknown");
    let path = sources
        .botocore
        .join("data/tables/2002-02-02/service-2.json");
    let mut model = model();
    model["shapes"]["Name"]["type"] = json!("novelty");
    write(&path, &model);
    assert!(super::generate(&sources).is_err());
}
