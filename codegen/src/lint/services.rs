//! Rules on services and their methods.
//!
//! **Invariant**: only methods of the module are looked at, whatever types they take.

use std::collections::HashMap;

use super::{BASIC_UP, Entry, NAME, STANDARD_ONLY, Subject, UNARY_RPC, case, place, quoted, rule};
use crate::image::{Method, Place, Service};
use crate::rules::{Report, Rule};

const INPUT: &[i32] = &[2]; // with the next: field numbers of MethodDescriptorProto
const OUTPUT: &[i32] = &[3];
const EMPTY: &str = "google.protobuf.Empty";

pub(super) static RULES: &[Entry] = &[
    Entry {
        rule: rule(
            "RPC_NO_CLIENT_STREAMING",
            UNARY_RPC,
            "Checks that RPCs are not client streaming.",
            "Some transports and proxies carry no streams of requests.",
            "Take a list in one request.",
        ),
        check: |rule, subject, report| {
            for (service, method) in methods(subject).filter(|(_, method)| method.client_streaming)
            {
                let text = format!("RPC {} is client streaming.", quoted(&method.name));
                report.add(rule, at(service, method, &[]), None, text);
            }
        },
    },
    Entry {
        rule: rule(
            "RPC_NO_SERVER_STREAMING",
            UNARY_RPC,
            "Checks that RPCs are not server streaming.",
            "Some transports and proxies carry no streams of replies.",
            "Reply with pages of a list.",
        ),
        check: |rule, subject, report| {
            for (service, method) in methods(subject).filter(|(_, method)| method.server_streaming)
            {
                let text = format!("RPC {} is server streaming.", quoted(&method.name));
                report.add(rule, at(service, method, &[]), None, text);
            }
        },
    },
    Entry {
        rule: rule(
            "RPC_PASCAL_CASE",
            BASIC_UP,
            "Checks that RPCs are PascalCase.",
            "The name is part of how a method is called on the wire, and generators expect it so.",
            "Rename it before anybody calls it.",
        ),
        check: |rule, subject, report| {
            for (service, method) in methods(subject) {
                let expected = case::pascal(&method.name);
                if method.name != expected {
                    let text = format!(
                        "RPC name {} should be PascalCase, such as {}.",
                        quoted(&method.name),
                        quoted(&expected)
                    );
                    report.add(rule, at(service, method, NAME), None, text);
                }
            }
        },
    },
    Entry {
        rule: rule(
            "RPC_REQUEST_RESPONSE_UNIQUE",
            STANDARD_ONLY,
            "Checks that RPC request and response types are only used in one RPC (configurable).",
            "A message that two methods share cannot grow a field for one of them alone.",
            "Define a request and a response for each method.",
        ),
        check: unique_types,
    },
    Entry {
        rule: rule(
            "RPC_REQUEST_STANDARD_NAME",
            STANDARD_ONLY,
            "Checks that RPC request type names are RPCNameRequest or ServiceNameRPCNameRequest (configurable).",
            "Whoever sees the message knows the method that it belongs to.",
            "Rename the message, or define one for this method.",
        ),
        check: request_name,
    },
    Entry {
        rule: rule(
            "RPC_RESPONSE_STANDARD_NAME",
            STANDARD_ONLY,
            "Checks that RPC response type names are RPCNameResponse or ServiceNameRPCNameResponse (configurable).",
            "Whoever sees the message knows the method that it belongs to.",
            "Rename the message, or define one for this method.",
        ),
        check: response_name,
    },
    Entry {
        rule: rule(
            "SERVICE_PASCAL_CASE",
            BASIC_UP,
            "Checks that services are PascalCase.",
            "The name is part of how its methods are called on the wire, and generators expect it so.",
            "Rename it before anybody calls it.",
        ),
        check: |rule, subject, report| {
            for service in subject.services() {
                let expected = case::pascal(&service.name);
                if service.name != expected {
                    let text = format!(
                        "Service name {} should be PascalCase, such as {}.",
                        quoted(&service.name),
                        quoted(&expected)
                    );
                    report.add(rule, place(service.file, &service.path, NAME), None, text);
                }
            }
        },
    },
    Entry {
        rule: rule(
            "SERVICE_SUFFIX",
            STANDARD_ONLY,
            "Checks that services have a consistent suffix (configurable, default suffix is \"Service\").",
            "Services and messages share one scope, and generated code is easier to read.",
            "Rename the service, or configure `service_suffix`.",
        ),
        check: |rule, subject, report| {
            let suffix = &subject.options.service_suffix;
            for service in subject
                .services()
                .filter(|service| !service.name.ends_with(suffix))
            {
                let text = format!(
                    "Service name {} should be suffixed with {}.",
                    quoted(&service.name),
                    quoted(suffix)
                );
                report.add(rule, place(service.file, &service.path, NAME), None, text);
            }
        },
    },
];

fn methods<'a>(subject: &Subject<'a>) -> impl Iterator<Item = (&'a Service, &'a Method)> {
    let services = subject.services();
    services.flat_map(|service| service.methods.iter().map(move |method| (service, method)))
}

fn at(service: &Service, method: &Method, rest: &[i32]) -> Option<Place> {
    place(service.file, &method.path, rest)
}

fn unique_types(rule: &'static Rule, subject: &Subject<'_>, report: &mut Report) {
    let options = subject.options;
    let (requests, responses) = (
        options.rpc_allow_google_protobuf_empty_requests,
        options.rpc_allow_google_protobuf_empty_responses,
    );
    let allowed_twice = options.rpc_allow_same_request_response;
    let mut users: HashMap<&str, Vec<(&Service, &Method)>> = HashMap::new();
    for (service, method) in methods(subject) {
        users
            .entry(&method.input)
            .or_default()
            .push((service, method));
        if method.input != method.output {
            users
                .entry(&method.output)
                .or_default()
                .push((service, method));
        } else if !(allowed_twice || (method.input == EMPTY && requests && responses)) {
            let text = format!(
                "RPC {} has the same type {} for the request and response.",
                quoted(&method.name),
                quoted(&method.input)
            );
            report.add(rule, at(service, method, &[]), None, text);
        }
    }
    for (ty, users) in users.into_iter().filter(|(_, users)| users.len() > 1) {
        if ty == EMPTY && (requests || responses) {
            empty_twice(rule, &users, (requests, responses), report);
            continue;
        }
        for (service, method) in users {
            let ty = quoted(ty);
            let text = format!("{ty} is used as the request or response type for multiple RPCs.");
            report.add(rule, at(service, method, &[]), None, text);
        }
    }
}

/// Of requests and responses, only the sort that may not be empty counts.
fn empty_twice(
    rule: &'static Rule,
    users: &[(&Service, &Method)],
    (requests, responses): (bool, bool),
    report: &mut Report,
) {
    type Side = fn(&Method) -> &str;
    let sides: [(bool, &str, Side); 2] = [
        (requests, "request", |method| &method.input),
        (responses, "response", |method| &method.output),
    ];
    for (allowed, word, side) in sides {
        let empty: Vec<_> = users
            .iter()
            .filter(|(_, method)| side(method) == EMPTY)
            .collect();
        if allowed || empty.len() < 2 {
            continue;
        }
        for (service, method) in empty {
            let text = format!("{} is used as the {word} for multiple RPCs.", quoted(EMPTY));
            report.add(rule, at(service, method, &[]), None, text);
        }
    }
}

fn request_name(rule: &'static Rule, subject: &Subject<'_>, report: &mut Report) {
    let empty = subject.options.rpc_allow_google_protobuf_empty_requests;
    for (service, method) in methods(subject) {
        if !(empty && method.input == EMPTY) {
            let side = ("request", "Request", INPUT);
            standard_name(rule, (service, method), &method.input, side, report);
        }
    }
}

fn response_name(rule: &'static Rule, subject: &Subject<'_>, report: &mut Report) {
    let empty = subject.options.rpc_allow_google_protobuf_empty_responses;
    for (service, method) in methods(subject) {
        if !(empty && method.output == EMPTY) {
            let side = ("response", "Response", OUTPUT);
            standard_name(rule, (service, method), &method.output, side, report);
        }
    }
}

fn standard_name(
    rule: &'static Rule,
    (service, method): (&Service, &Method),
    ty: &str,
    (word, suffix, rest): (&str, &str, &[i32]),
    report: &mut Report,
) {
    let name = ty.rsplit('.').next().unwrap_or_default();
    let short = case::pascal(&method.name) + suffix;
    let long = case::pascal(&service.name) + &short;
    if name != short && name != long {
        let text = format!(
            "RPC {word} type {} should be named {} or {}.",
            quoted(name),
            quoted(&short),
            quoted(&long)
        );
        report.add(rule, at(service, method, rest), None, text);
    }
}
