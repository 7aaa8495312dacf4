//! Directories to load from, components to put there, questions to ask.

use std::fs;
use std::path::{Path, PathBuf};

use portcullis_core::access::{Principal, Session};
use portcullis_core::call::{AccessLevel, Action};
use tempfile::TempDir;
use time::OffsetDateTime;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use super::*;

pub(super) const PERMIT_ALL: &str = "@id(\"all\") permit (principal, action, resource);";
pub(super) const FORBID_ALL: &str = "@id(\"none\") forbid (principal, action, resource);";

/// A plugin directory and a policy directory.
pub(super) struct Directories {
    root: TempDir,
}

impl Directories {
    pub(super) fn new() -> Self {
        let root = TempDir::new().unwrap();
        fs::create_dir(root.path().join("plugins")).unwrap();
        fs::create_dir(root.path().join("policies")).unwrap();
        Self { root }
    }

    /// With the Cedar plugin and one policy file.
    pub(super) fn cedar(policies: &str) -> Self {
        let directories = Self::new();
        directories.write_plugin("cedar.wasm", &cedar());
        directories.write_plugin("cedar.yaml", b"policies: true");
        directories.write_policy("a.cedar", policies);
        directories
    }

    pub(super) fn plugins(&self) -> PathBuf {
        self.root.path().join("plugins")
    }

    pub(super) fn policies(&self) -> PathBuf {
        self.root.path().join("policies")
    }

    pub(super) fn write_plugin(&self, file: &str, bytes: &[u8]) {
        fs::write(self.plugins().join(file), bytes).unwrap();
    }

    pub(super) fn write_policy(&self, file: &str, text: &str) {
        fs::write(self.policies().join(file), text).unwrap();
    }

    pub(super) fn settings(&self) -> Settings {
        Settings {
            plugins_dir: self.plugins(),
            policies_dir: self.policies(),
            grants: BTreeMap::new(),
            cache_dir: Some(code_cache()),
        }
    }

    pub(super) fn load(&self) -> Result<Arc<Plugins>, LoadReport> {
        Plugins::load(self.settings())
    }

    /// Why loading fails, as one text.
    pub(super) fn refusal(&self) -> String {
        self.load().unwrap_err().to_string()
    }
}

/// Compiled code is shared between test runs, beside the test binary.
pub(super) fn code_cache() -> PathBuf {
    let binary = std::env::current_exe().unwrap();
    binary
        .parent()
        .unwrap()
        .parent()
        .unwrap()
        .join("plugin-code")
}

pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

pub(super) fn cedar() -> Vec<u8> {
    fs::read(root().join("plugins/dist/cedar.wasm"))
        .expect("the plugins are built with `cargo xtask plugins`")
}

/// A policy plugin from the bodies of its two functions, in the text format. Memory from 16 holds
/// a valid verdict: allow, rule `r`, reason `because`.
pub(super) fn component(configure: &str, decide: &str) -> Vec<u8> {
    importing("", configure, decide)
}

/// As [`component`], with imports.
pub(super) fn importing(imports: &str, configure: &str, decide: &str) -> Vec<u8> {
    let text = format!(
        r#"(module
            {imports}
            (memory (export "memory") 2)
            (global $next (mut i32) (i32.const 4096))
            (global $calls (mut i32) (i32.const 0))
            (data (i32.const 16) "\01\00\00\00\40\00\00\00\01\00\00\00\41\00\00\00\07\00\00\00\00\00\00\00\00\00\00\00")
            (data (i32.const 64) "rbecause")
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                (local $at i32)
                (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
                (global.set $next (i32.add (local.get $at) (local.get 3)))
                (local.get $at))
            (func (export "portcullis:meta/lifecycle@0.1.0#configure") (param i32 i32) (result i32)
                {configure}
                (i32.const 1024))
            (func (export "portcullis:policy/decide@0.1.0#decide") (param $summary i32) (result i32)
                {decide}
                (i32.const 16))
        )"#
    );
    let mut module = wat::parse_str(text).unwrap();
    let mut resolve = Resolve::default();
    resolve.push_dir(root().join("wit")).unwrap();
    let package = resolve
        .push_str(
            "test.wit",
            "package test:plugin;
             interface elsewhere { look: func() -> u64; }
             world plugin {
                 include portcullis:policy/policy@0.1.0;
                 import portcullis:host/clock@0.1.0;
                 import elsewhere;
             }",
        )
        .unwrap();
    let world = resolve.select_world(&[package], None).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).unwrap();
    ComponentEncoder::default()
        .module(&module)
        .unwrap()
        .encode()
        .unwrap()
}

/// Runs the text only for calls that are not the loader's own (whose service is `sts`).
pub(super) fn when_asked(body: &str) -> String {
    format!("(if (i32.ne (i32.load offset=28 (local.get $summary)) (i32.const 3)) (then {body}))")
}

pub(super) fn question() -> Arc<Question> {
    let time = OffsetDateTime::UNIX_EPOCH;
    Arc::new(Question {
        request_id: "request".into(),
        session: Session {
            principal: Principal {
                issuer: "https://idp.example".into(),
                subject: "alice".into(),
                email: None,
                groups: vec!["agents".into()],
            },
            name: "session".into(),
            access_key_id: "PCAKTEST".into(),
            connection: "dev".into(),
            role: "agent".into(),
            parent: None,
            confined_to: None,
            issued_at: time,
            expires_at: time,
        },
        call: CallFacts {
            service: "dynamodb".into(),
            operation: "GetItem".into(),
            protocol: "json-1.0".into(),
            partition: "aws".into(),
            region: "eu-west-1".into(),
            account: "123456789012".into(),
            params: serde_json::json!({"TableName": "users"}),
            actions: vec![Action {
                name: "dynamodb:GetItem".into(),
                resource: "arn:aws:dynamodb:eu-west-1:123456789012:table/users".into(),
                access: AccessLevel::Read,
            }],
        },
        source_ip: "192.0.2.1".parse().unwrap(),
        user_agent: "test".into(),
        time,
        headers: http::HeaderMap::new(),
    })
}
