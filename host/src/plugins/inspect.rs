//! What a component is, read from its bytes without running or compiling any of it: its kind by
//! its exports, and whether everything it imports was granted.

use wasmparser::{Encoding, Parser, Payload, Validator, WasmFeatures};
use wasmtime::Engine;

use super::manifest::{Capability, Manifest};

/// What a plugin decides about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Who is asked for an approval. Loaded and checked, not asked yet.
    Approval,
    /// What of a response is hidden. Loaded and checked, not asked yet.
    Mask,
    /// Whether a call may go ahead.
    Policy,
}

impl Kind {
    /// The word in status answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approval => "approval",
            Self::Mask => "mask",
            Self::Policy => "policy",
        }
    }
}

const LIFECYCLE: &str = "portcullis:meta/lifecycle";
const KINDS: [(Kind, &str); 3] = [
    (Kind::Approval, "portcullis:approval/router"),
    (Kind::Mask, "portcullis:mask/planner"),
    (Kind::Policy, "portcullis:policy/decide"),
];
/// What every plugin may import: type declarations, the call, the log.
const FLOOR: &[&str] = &[
    "portcullis:approval/types",
    "portcullis:call/request",
    "portcullis:call/types",
    "portcullis:host/log",
    "portcullis:mask/types",
    "portcullis:policy/types",
];
const RESPONSE: &str = "portcullis:call/response";
const CAPABILITIES: &str = "portcullis:host/";
/// The contract's version; 0.1.x are compatible with each other.
const CONTRACT: &str = "0.1";

/// Checks a component's bytes against the contract and the grants.
///
/// # Errors
/// A sentence for the operator, naming the missing grant where that is the reason.
pub(super) fn inspect(
    bytes: &[u8],
    name: &str,
    manifest: &Manifest,
    granted: &[String],
) -> Result<Kind, String> {
    if Engine::detect_precompiled(bytes).is_some() {
        return Err(
            "is native code, not WebAssembly; precompiled plugins are never loaded".to_owned(),
        );
    }
    Validator::new_with_features(WasmFeatures::default())
        .validate_all(bytes)
        .map_err(|error| format!("is not a valid component: {error}"))?;
    let names = names(bytes).map_err(|error| format!("is not a valid component: {error}"))?;
    if !names.component {
        return Err(
            "is a core module, not a component; convert it with `portcullis plugin build`"
                .to_owned(),
        );
    }
    let kind = kind(&names.exports)?;
    for import in &names.imports {
        check_import(import, kind, name, manifest, granted)?;
    }
    Ok(kind)
}

#[derive(Default)]
struct Names {
    component: bool,
    imports: Vec<String>,
    exports: Vec<String>,
}

/// The names at the outermost level only: what is inside is the component's own business.
fn names(bytes: &[u8]) -> Result<Names, wasmparser::BinaryReaderError> {
    let mut names = Names::default();
    let mut depth = 0u32;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload? {
            Payload::Version { encoding, .. } => {
                depth += 1;
                if depth == 1 {
                    names.component = encoding == Encoding::Component;
                }
            }
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 1 => {
                for import in section {
                    names.imports.push(import?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 1 => {
                for export in section {
                    names.exports.push(export?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok(names)
}

fn kind(exports: &[String]) -> Result<Kind, String> {
    let exported = |wanted: &str| exports.iter().any(|export| interface(export) == Ok(wanted));
    let kinds: Vec<Kind> = KINDS
        .into_iter()
        .filter(|(_, wanted)| exported(wanted))
        .map(|(kind, _)| kind)
        .collect();
    let [kind] = kinds.as_slice() else {
        let other = exports.iter().find_map(|export| interface(export).err());
        return Err(other.unwrap_or_else(|| {
            format!(
                "must export exactly one of {} at {CONTRACT}; it exports {}",
                KINDS.map(|(_, name)| format!("`{name}`")).join(", "),
                if exports.is_empty() {
                    "nothing".to_owned()
                } else {
                    exports.join(", ")
                }
            )
        }));
    };
    if !exported(LIFECYCLE) {
        return Err(format!("does not export `{LIFECYCLE}@{CONTRACT}`"));
    }
    Ok(*kind)
}

fn check_import(
    import: &str,
    kind: Kind,
    name: &str,
    manifest: &Manifest,
    granted: &[String],
) -> Result<(), String> {
    let interface = interface(import)?;
    if FLOOR.contains(&interface) || (interface == RESPONSE && kind == Kind::Mask) {
        return Ok(());
    }
    let capability = interface.strip_prefix(CAPABILITIES).and_then(|wanted| {
        Capability::ALL
            .into_iter()
            .find(|capability| capability.as_str() == wanted)
    });
    let Some(capability) = capability else {
        return Err(format!(
            "imports `{import}`, which this gateway does not offer to {} plugins",
            kind.as_str()
        ));
    };
    let word = capability.as_str();
    if !manifest.grants.contains(&capability) {
        return Err(format!(
            "imports `{import}`: to allow it, add `grants: [{word}]` to `{name}.yaml` and \
             `{word}` to the plugin's grants in the gateway's configuration"
        ));
    }
    if !granted.iter().any(|granted| granted == word) {
        return Err(format!(
            "imports `{import}`: to allow it, add `{word}` to the grants of plugin `{name}` in \
             the gateway's configuration"
        ));
    }
    Ok(())
}

/// The interface without its version, if the version is one this gateway speaks.
fn interface(name: &str) -> Result<&str, String> {
    let Some((interface, version)) = name.split_once('@') else {
        return Ok(name);
    };
    let compatible = version.strip_prefix(CONTRACT).is_some_and(|patch| {
        patch
            .strip_prefix('.')
            .is_some_and(|p| p.parse::<u32>().is_ok())
    });
    if interface.starts_with("portcullis:") && !compatible {
        return Err(format!(
            "was built for `{name}`; this gateway speaks {CONTRACT}.x"
        ));
    }
    Ok(interface)
}
