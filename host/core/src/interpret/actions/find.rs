//! Where a template's paths lead in a call's input.

use crate::call::Value;

/// The input, and the element of one of its lists that is being judged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope<'v> {
    params: &'v Value,
    each: &'v [String],
    element: &'v Value,
}

impl<'v> Scope<'v> {
    /// One scope an element of the list at `each`; a single one without an element if the list is
    /// empty or absent, and if `each` is.
    pub(super) fn all(params: &'v Value, each: &'v [String]) -> Vec<Self> {
        let scope = |element| Self {
            params,
            each,
            element,
        };
        let mut scopes: Vec<Self> = Vec::new();
        if !each.is_empty() {
            scopes = find(params, each)
                .into_iter()
                .flatten()
                .map(scope)
                .collect();
        }
        if scopes.is_empty() {
            scopes.push(scope(&Value::Null));
        }
        scopes
    }

    /// What a path leads to, through lists element by element; `None` for an element that it does
    /// not lead through.
    pub(super) fn find(self, path: &[String]) -> Vec<Option<&'v Value>> {
        match path.strip_prefix(self.each) {
            Some(rest) if !self.each.is_empty() => find(self.element, rest),
            Some(_) | None => find(self.params, path),
        }
    }
}

fn find<'v>(value: &'v Value, path: &[String]) -> Vec<Option<&'v Value>> {
    match (value, path.split_first()) {
        (Value::Null, None) => Vec::new(),
        (Value::List(elements), None) => elements.iter().map(Some).collect(),
        (_, None) => vec![Some(value)],
        (Value::List(elements), Some(_)) => through(elements.iter(), path),
        (Value::Map(entries), Some((name, rest))) if name == "*" => {
            through(entries.iter().map(|(_, value)| value), rest)
        }
        (_, Some((name, rest))) => value
            .get(name)
            .map_or_else(Vec::new, |value| find(value, rest)),
    }
}

fn through<'v>(values: impl Iterator<Item = &'v Value>, path: &[String]) -> Vec<Option<&'v Value>> {
    let one = |value| match find(value, path) {
        found if found.is_empty() => vec![None],
        found => found,
    };
    values.flat_map(one).collect()
}
