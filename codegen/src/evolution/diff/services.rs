//! Services and their methods.
//!
//! **Invariant**: a service or method that is gone counts as renamed when a new one looks like it, as in the rules of
//! evolution.

use super::super::ipc::{self, callers};
use super::super::methods::level;
use super::super::pairs::{Comparison, Pair, place};
use super::whole::{self, About, Whole};
use super::words::{deprecation, from_to, inside, otherwise, signature};
use super::{Element, Found, What};
use crate::image::{Image, Method, Service};

pub(super) fn changes(comparison: &Comparison<'_>, found: &mut Found) {
    let (new_image, old_image) = (comparison.new, comparison.old);
    let gone = whole::unknown(old_image, old_image.services(), |name| {
        new_image.service_named(name).is_some()
    });
    let added = whole::unknown(new_image, new_image.services(), |name| {
        old_image.service_named(name).is_some()
    });
    let became = |old| ipc::moved(comparison, old);
    for pair in whole::names(gone, added, became, found) {
        methods(comparison, pair, found);
    }
    for pair in &comparison.services {
        itself(comparison, *pair, found);
        methods(comparison, *pair, found);
    }
}

impl Whole for Service {
    fn about(&self) -> About<'_> {
        About {
            element: Element::Service,
            keyword: "service",
            name: &self.name,
            full_name: &self.full_name,
            file: self.file,
            path: &self.path,
            deprecated: self.options.known.deprecated,
        }
    }

    /// The methods of a service that is there as a whole, or not.
    fn listed(&self) -> Vec<String> {
        let names: Vec<&str> = self.methods.iter().map(|method| &*method.name).collect();
        match &*names {
            [] => Vec::new(),
            names => vec![format!("methods: {}", names.join(", "))],
        }
    }

    fn lost(&self) -> Vec<String> {
        self.listed()
    }
}

fn itself(comparison: &Comparison<'_>, pair: Pair<'_, Service>, found: &mut Found) {
    let Pair { new, old } = pair;
    let mut details = whole::details(comparison, pair);
    // What the service says of callers is told at its methods.
    let methods = new.methods.iter().zip(&old.methods);
    let mut same = methods.map(|(one, other)| callers(new, one) == callers(old, other));
    if same.all(|same| same) {
        otherwise(&mut details, &new.options.raw, &old.options.raw);
    }
    whole::changed(pair, details, found);
}

fn methods(comparison: &Comparison<'_>, Pair { new, old }: Pair<'_, Service>, found: &mut Found) {
    let package = |image: &Image, service: &Service| image.file(service.file).package.clone();
    let (now, before) = (package(comparison.new, new), package(comparison.old, old));
    let of = &*new.full_name;
    let called = |method: &Method| (Element::Method, of, format!("rpc {}", method.name));
    let mut renamed: Vec<&str> = Vec::new();
    for gone in &old.methods {
        let against = place(old.file, &gone.path);
        if let Some(method) = new.methods.iter().find(|method| method.name == gone.name) {
            let details = differences((new, method, &now), (old, gone, &before));
            let at = place(new.file, &method.path);
            found.changed(called(method), details, at, against);
        } else if let Some(method) = ipc::renamed(gone, new, old)
            && !renamed.contains(&&*method.name)
        {
            renamed.push(&method.name);
            let mut details = vec![format!("it was `{}`", gone.name)];
            details.extend(differences((new, method, &now), (old, gone, &before)));
            let at = place(new.file, &method.path);
            found.add(called(method), What::Renamed, details, at, against);
        } else {
            let details = vec![signature(gone, &before)];
            found.add(called(gone), What::Removed, details, None, against);
        }
    }
    for method in &new.methods {
        let known = old.methods.iter().any(|other| other.name == method.name);
        if !known && !renamed.contains(&&*method.name) {
            let at = place(new.file, &method.path);
            let details = vec![signature(method, &now)];
            found.add(called(method), What::Added, details, at, None);
        }
    }
}

fn differences(
    (new_service, new, now): (&Service, &Method, &str),
    (old_service, old, before): (&Service, &Method, &str),
) -> Vec<String> {
    let mut details = Vec::new();
    for (side, old, new) in [
        ("request", &old.input, &new.input),
        ("reply", &old.output, &new.output),
    ] {
        if old != new {
            details.push(from_to(side, inside(old, before), inside(new, now)));
        }
    }
    for (side, old, new) in [
        ("requests", old.client_streaming, new.client_streaming),
        ("replies", old.server_streaming, new.server_streaming),
    ] {
        match (old, new) {
            (false, true) => details.push(format!("{side} became a stream")),
            (true, false) => details.push(format!("{side} are no longer a stream")),
            _ => {}
        }
    }
    if level(old) != level(new) {
        details.push(from_to("`idempotency_level`", level(old), level(new)));
    }
    let (could, can) = (callers(old_service, old), callers(new_service, new));
    if could != can {
        let listed = |callers: &ipc::Callers<'_>| {
            let names: Vec<&str> = callers.iter().copied().collect();
            names.join(", ")
        };
        details.push(from_to("who may call", &listed(&could), &listed(&can)));
    }
    let (new, old) = (&new.options, &old.options);
    details.extend(deprecation(new.known.deprecated, old.known.deprecated));
    otherwise(&mut details, &new.raw, &old.raw);
    details
}
