//! The side doors, as data: every IAM action that opens one, what it opens, and what to do
//! instead.
//!
//! `Deny` is for what works outside the gateway once it is handed out, or reads a secret.
//! `RequireApproval` is for what an agent may need for its work, but what then acts under a role
//! that is not the agent's. STS is not here: the gateway answers it itself. A directory bucket's
//! `CreateSession` is not either, for the same reason.

// The paths are spelt out because the gateway's own tests read this table too.
#[path = "hatches/credentials.rs"]
mod credentials;
#[path = "hatches/execution.rs"]
mod execution;
#[path = "hatches/sharing.rs"]
mod sharing;

/// One door: actions that open it alike.
#[derive(Clone, Copy, Debug)]
pub struct Hatch {
    /// IAM actions, exact.
    pub actions: &'static [&'static str],
    /// What is advised where the operator says nothing.
    pub effect: Effect,
    /// When it is open.
    pub when: When,
    /// What it lets out, in one line.
    pub reason: &'static str,
    /// What the agent should do.
    pub instead: &'static str,
}

/// What is advised, weakest first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Effect {
    /// A person must say yes.
    RequireApproval,
    /// It must not happen.
    Deny,
}

/// When a call opens its door. Pointers are JSON Pointers into the decoded input.
#[derive(Clone, Copy, Debug)]
pub enum When {
    /// Whatever its parameters are.
    Always,
    /// With this parameter at this value: a text, or `true`.
    Is(&'static str, &'static str),
    /// With any of these parameters there.
    Present(&'static [&'static str]),
    /// With a policy document that lets others in than the own account. A call without one that
    /// can be read counts as letting everybody in.
    Document,
    /// As `Document`, of the documents at these pointers where they are there.
    Documents(&'static [&'static str]),
    /// With a policy document at the second pointer, where the parameter at the first is `Policy`.
    PolicyAttribute(&'static str, &'static str),
    /// With an account, a principal or a group at these pointers that is not of the own account.
    Outsiders(&'static [&'static str]),
    /// With an access control list that is not private.
    Acl,
}

/// All of them.
pub fn all() -> impl Iterator<Item = &'static Hatch> {
    [credentials::HATCHES, execution::HATCHES, sharing::HATCHES]
        .into_iter()
        .flatten()
}

/// The doors that an action opens.
pub fn of(action: &str) -> impl Iterator<Item = &'static Hatch> {
    all().filter(move |hatch| hatch.actions.contains(&action))
}
