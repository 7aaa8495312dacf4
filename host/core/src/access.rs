//! Who asks, what the plugins advise, and the one function that may say yes.

use std::fmt;
use time::OffsetDateTime;

use crate::call::Call;
use crate::directory_bucket::Confinement;
use crate::refusal::Refusal;

/// The authenticated human or workload behind an agent.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Principal {
    /// The OIDC issuer, exactly as in `iss`.
    pub issuer: String,
    /// The OIDC subject, exactly as in `sub`.
    pub subject: String,
    /// The `email` claim, where the issuer sends one.
    pub email: Option<String>,
    /// The groups claim, exact and case-sensitive.
    pub groups: Vec<String>,
}

/// `<issuer>#<subject>`: the stable id used in policies and records.
impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.issuer, self.subject)
    }
}

/// One agent's live access: what a sealed session token says, once it was opened.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Session {
    /// Who the agent acts for.
    pub principal: Principal,
    /// The agent's own name for the session (`RoleSessionName`).
    pub name: String,
    /// The gateway's access key, `PCAK…`: also the session's id.
    pub access_key_id: String,
    /// The connection (one AWS account) it may use.
    pub connection: String,
    /// The role within the connection.
    pub role: String,
    /// The access key of the session that asked for this one, where it was not a sign-in.
    pub parent: Option<String>,
    /// The directory bucket it is for, where it is for nothing else.
    pub confined_to: Option<Confinement>,
    /// When it was issued.
    pub issued_at: OffsetDateTime,
    /// When it ends.
    pub expires_at: OffsetDateTime,
}

/// What a plugin advises, weakest first; the strongest over all plugins wins.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Effect {
    /// No opinion. All abstaining is a deny.
    Abstain,
    /// May go ahead.
    Allow,
    /// May go ahead once a person said so.
    RequireApproval,
    /// Must not happen.
    Deny,
}

/// Something that must be done if the call goes ahead.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Obligation {
    /// e.g. `mask.json`.
    pub id: String,
    /// The host must deny if it does not know the id.
    pub must: bool,
    /// Arguments in order.
    pub args: Vec<(String, String)>,
}

/// One plugin's verdict on one call. A plugin that failed has [`Effect::Deny`]: see
/// [`Advice::failed`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Advice {
    /// The plugin's name.
    pub plugin: String,
    /// Its verdict.
    pub effect: Effect,
    /// Stable id of the rule that decided.
    pub rule: String,
    /// A sentence for the agent.
    pub reason: String,
    /// What to do if the call goes ahead.
    pub obligations: Vec<Obligation>,
    /// Why the plugin could not answer, where it could not.
    pub failure: Option<Failure>,
}

impl Advice {
    /// The advice of a plugin that could not answer: deny.
    pub fn failed(plugin: &str, failure: Failure) -> Self {
        Self {
            plugin: plugin.to_owned(),
            effect: Effect::Deny,
            rule: format!("plugin-failure/{}", failure.as_str()),
            reason: format!("plugin `{plugin}` could not decide: {failure}"),
            obligations: Vec::new(),
            failure: Some(failure),
        }
    }
}

/// How a plugin failed to answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Failure {
    /// It returned something the contract does not allow.
    BadVerdict,
    /// It used up its processor time or its wall-clock time.
    Deadline,
    /// It could not be instantiated.
    Instantiation,
    /// It asked for more memory or host calls than it may have.
    Limit,
    /// All instance slots stayed taken; the call may be tried again.
    Overloaded,
    /// It trapped.
    Trap,
}

impl Failure {
    /// A stable word for records and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadVerdict => "bad-verdict",
            Self::Deadline => "deadline",
            Self::Instantiation => "instantiation",
            Self::Limit => "limit",
            Self::Overloaded => "overloaded",
            Self::Trap => "trap",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadVerdict => "it returned an invalid verdict",
            Self::Deadline => "it ran out of time",
            Self::Instantiation => "it could not be started",
            Self::Limit => "it exceeded a resource limit",
            Self::Overloaded => "too many calls are being decided at once",
            Self::Trap => "it crashed",
        })
    }
}

/// Proof that this very call was allowed. Only [`decide`] makes one; sending the call consumes it.
#[derive(Debug)]
#[must_use]
pub struct Permit {
    call: Call,
    session: Session,
    rules: Vec<String>,
    obligations: Vec<Obligation>,
}

impl Permit {
    /// The call that may be sent.
    pub fn call(&self) -> &Call {
        &self.call
    }

    /// The session it was permitted to.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The rules that allowed it, as `plugin/rule`.
    pub fn rules(&self) -> &[String] {
        &self.rules
    }

    /// What must be done with it.
    pub fn obligations(&self) -> &[Obligation] {
        &self.obligations
    }
}

/// Obligations this host knows how to fulfil. Empty until masking exists: an unknown obligation
/// that `must` be done is a deny.
const KNOWN_OBLIGATIONS: &[&str] = &["approval.hint"];

/// Turns the plugins' advice into a permit or a refusal: deny overrides, no advice is deny, and an
/// obligation nobody here can fulfil is deny.
///
/// # Errors
/// [`Refusal::Denied`], [`Refusal::PluginOverloaded`], [`Refusal::ApprovalRequired`] or
/// [`Refusal::SessionExpired`].
pub fn decide(
    session: Session,
    call: Call,
    advice: &[Advice],
    now: OffsetDateTime,
) -> Result<Permit, Refusal> {
    if now >= session.expires_at {
        return Err(Refusal::SessionExpired);
    }
    if let Some(confinement) = &session.confined_to {
        confinement.check(&call)?;
    }
    let strongest = advice
        .iter()
        .map(|advice| advice.effect)
        .max()
        .unwrap_or(Effect::Abstain);
    let decisive = advice
        .iter()
        .find(|advice| advice.effect == strongest && advice.effect != Effect::Abstain);
    let Some(decisive) = decisive else {
        return Err(Refusal::Denied {
            rule: "no-match".to_owned(),
            reason: "no policy allows this call".to_owned(),
        });
    };
    match strongest {
        Effect::Abstain | Effect::Allow => {}
        Effect::Deny if decisive.failure == Some(Failure::Overloaded) => {
            return Err(Refusal::PluginOverloaded);
        }
        Effect::Deny => {
            return Err(Refusal::Denied {
                rule: qualified(decisive),
                reason: decisive.reason.clone(),
            });
        }
        Effect::RequireApproval => {
            return Err(Refusal::ApprovalRequired {
                rule: qualified(decisive),
                reason: decisive.reason.clone(),
            });
        }
    }
    let allowing = || {
        advice
            .iter()
            .filter(|advice| advice.effect == Effect::Allow)
    };
    let obligations: Vec<Obligation> = allowing()
        .flat_map(|advice| advice.obligations.iter().cloned())
        .collect();
    if let Some(unknown) = obligations
        .iter()
        .find(|obligation| obligation.must && !KNOWN_OBLIGATIONS.contains(&obligation.id.as_str()))
    {
        return Err(Refusal::Denied {
            rule: "unknown-obligation".to_owned(),
            reason: format!(
                "a policy demands `{}`, which this gateway cannot do",
                unknown.id
            ),
        });
    }
    let rules = allowing().map(qualified).collect();
    Ok(Permit {
        call,
        session,
        rules,
        obligations,
    })
}

fn qualified(advice: &Advice) -> String {
    format!("{}/{}", advice.plugin, advice.rule)
}
