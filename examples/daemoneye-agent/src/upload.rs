//! An upload of rules, as it comes: each rule is judged at once, and none is in force before all are there.
//!
//! **Invariant**: an upload holds no more than its bounds allow, and touches nothing outside of itself.

use std::{collections::HashSet, time::Duration};

use daemoneye_ipc::{Inbound, Status, prost::Message};
use daemoneye_ipc_generated::agent::v1::{
    Rule as Definition, RuleProblem, RuleSet, UploadMode, UploadRulesRequest,
    upload_rules_request::Part,
};
use tokio::time::timeout;

use crate::{
    rules::{self, Rule},
    ruleset::RULES,
};

/// Bytes of all rules of an upload, as they are encoded.
const BYTES: usize = 1 << 20;

/// Uploads at once: each may hold some hundred bytes of memory for each byte of a glob.
pub(crate) const UPLOADS: usize = 4;

/// Longest wait for the next message of an upload.
const PAUSE: Duration = Duration::from_secs(30);

/// Bytes of a refused rule's name that are shown.
const SHOWN: usize = 128;

/// The part of an upload that has come.
#[derive(Debug)]
pub(crate) struct Upload {
    set: RuleSet,
    rules: Vec<Rule>,
    names: HashSet<String>,
    bytes: usize,
}

impl Upload {
    /// Reads a whole upload.
    ///
    /// # Errors
    /// INVALID_ARGUMENT for the first thing that is wrong, RESOURCE_EXHAUSTED if there is too much of it,
    /// CANCELLED if it breaks off, DEADLINE_EXCEEDED if it stalls.
    pub(crate) async fn receive(mut requests: Inbound<UploadRulesRequest>) -> Result<Self, Status> {
        let first = next(&mut requests).await?.and_then(|first| first.part);
        let Some(Part::Set(set)) = first else {
            return Err(Status::invalid_argument(
                "the first message of an upload is a RuleSet, which says what is uploaded",
            ));
        };
        let mut upload = Self::new(set)?;
        while let Some(request) = next(&mut requests).await? {
            match request.part {
                Some(Part::Rule(rule)) => upload.add(rule)?,
                Some(Part::Set(_)) => {
                    return Err(Status::invalid_argument(
                        "a second RuleSet came; an upload has one, before its rules",
                    ));
                }
                None => {
                    return Err(Status::invalid_argument(format!(
                        "the message after {} rules has no part that is known here",
                        upload.rules.len()
                    )));
                }
            }
        }
        Ok(upload)
    }

    fn new(set: RuleSet) -> Result<Self, Status> {
        rules::check_name("set of rules", &set.name)
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        if UploadMode::try_from(set.mode).is_err() {
            return Err(Status::invalid_argument(format!(
                "mode {} is not known here; it is UPLOAD_MODE_MERGE or UPLOAD_MODE_REPLACE",
                set.mode
            )));
        }
        Ok(Self {
            set,
            rules: Vec::new(),
            names: HashSet::new(),
            bytes: 0,
        })
    }

    fn add(&mut self, definition: Definition) -> Result<(), Status> {
        let index = self.rules.len();
        self.bytes += definition.encoded_len();
        if index == RULES || self.bytes > BYTES {
            return Err(Status::resource_exhausted(format!(
                "the upload is too large at rule {index}: at most {RULES} rules of {BYTES} bytes together"
            )));
        }
        let name = definition.name.clone();
        let judged = if self.names.insert(name.clone()) {
            Rule::new(definition).map_err(|error| error.to_string())
        } else {
            Err("another rule of this upload has this name; give each its own".to_owned())
        };
        self.rules
            .push(judged.map_err(|problem| refused(index, &name, problem))?);
        Ok(())
    }

    /// Name of the set.
    pub(crate) fn name(&self) -> &str {
        &self.set.name
    }

    pub(crate) fn mode(&self) -> UploadMode {
        self.set.mode()
    }

    /// Whether nothing is to be put in force.
    pub(crate) const fn is_dry_run(&self) -> bool {
        self.set.dry_run
    }

    pub(crate) fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter()
    }

    pub(crate) fn into_rules(self) -> Vec<Rule> {
        self.rules
    }
}

async fn next(
    requests: &mut Inbound<UploadRulesRequest>,
) -> Result<Option<UploadRulesRequest>, Status> {
    let stalled = |_| {
        Status::deadline_exceeded(format!(
            "nothing more of the upload came within {} s",
            PAUSE.as_secs()
        ))
    };
    timeout(PAUSE, requests.message()).await.map_err(stalled)?
}

fn refused(index: usize, name: &str, problem: String) -> Status {
    let rule: String = name.chars().take(SHOWN).collect();
    let status = Status::invalid_argument(format!(
        "rule {index} ({rule:?}): {problem}; nothing was changed"
    ));
    let problem = RuleProblem {
        index: u32::try_from(index).unwrap_or(u32::MAX),
        rule,
        problem,
    };
    status.with_detail(&problem)
}

#[cfg(test)]
mod tests {
    use daemoneye_ipc::{Code, testing::inbound};

    use super::*;
    use crate::ruleset::Ruleset;

    fn rule(name: &str, glob: &str) -> UploadRulesRequest {
        part(Part::Rule(Definition {
            name: name.to_owned(),
            name_globs: vec![glob.to_owned()],
            ..Definition::default()
        }))
    }

    fn set(mode: UploadMode) -> UploadRulesRequest {
        part(Part::Set(RuleSet {
            name: "set".to_owned(),
            mode: mode.into(),
            dry_run: false,
        }))
    }

    const fn part(part: Part) -> UploadRulesRequest {
        UploadRulesRequest { part: Some(part) }
    }

    async fn upload(messages: Vec<UploadRulesRequest>) -> Result<Upload, Status> {
        Upload::receive(inbound(messages)).await
    }

    #[tokio::test]
    async fn a_wrong_rule_is_named_with_its_place() {
        let status = upload(vec![
            set(UploadMode::Merge),
            rule("good", "*"),
            rule("bad", "["),
            rule("good-too", "*"),
        ])
        .await
        .expect_err("wrong");
        assert_eq!(status.code(), Code::InvalidArgument);
        let problem = status.detail::<RuleProblem>().expect("a detail");
        assert_eq!((problem.index, problem.rule.as_str()), (1, "bad"));
        for part in ["rule 1", "\"bad\"", &problem.problem] {
            assert!(status.message().contains(part), "{status}");
        }
    }

    #[tokio::test]
    async fn what_is_no_upload_is_refused() {
        let twice = vec![set(UploadMode::Merge), rule("a", "*"), rule("a", "*")];
        let unnamed = part(Part::Set(RuleSet::default()));
        let odd_mode = part(Part::Set(RuleSet {
            name: "set".to_owned(),
            mode: 9,
            dry_run: false,
        }));
        let many = (0..=RULES).map(|number| rule(&number.to_string(), "*"));
        let large = Definition {
            user_ids: vec![u32::MAX; BYTES / 5],
            ..Definition::default()
        };
        let named = |name: &str| {
            part(Part::Rule(Definition {
                name: name.to_owned(),
                ..large.clone()
            }))
        };
        let refused = [
            (vec![], Code::InvalidArgument),
            (vec![rule("a", "*")], Code::InvalidArgument),
            (vec![unnamed], Code::InvalidArgument),
            (vec![odd_mode], Code::InvalidArgument),
            (vec![set(UploadMode::Merge); 2], Code::InvalidArgument),
            (
                vec![set(UploadMode::Merge), UploadRulesRequest::default()],
                Code::InvalidArgument,
            ),
            (twice, Code::InvalidArgument),
            (
                std::iter::once(set(UploadMode::Merge))
                    .chain(many)
                    .collect(),
                Code::ResourceExhausted,
            ),
            (
                vec![set(UploadMode::Merge), named("a"), named("b")],
                Code::ResourceExhausted,
            ),
        ];
        for (messages, code) in refused {
            let shown = format!("{:?}", messages.first());
            let status = upload(messages).await.expect_err(&shown);
            assert_eq!(status.code(), code, "{status}");
        }
    }

    #[tokio::test]
    async fn merging_and_replacing_tell_what_changes() {
        let rules = Ruleset::default();
        let two = vec![set(UploadMode::Merge), rule("a", "a"), rule("b", "b")];
        let (rules, told) = rules.with(upload(two).await.expect("right")).expect("few");
        assert_eq!(
            (told.added, told.in_force),
            (vec!["a".into(), "b".into()], 2)
        );

        let merged = vec![set(UploadMode::Merge), rule("b", "x"), rule("c", "c")];
        let (rules, told) = rules
            .with(upload(merged).await.expect("right"))
            .expect("few");
        assert_eq!(
            (told.added, told.replaced),
            (vec!["c".into()], vec!["b".into()])
        );
        assert_eq!(
            (told.in_force, told.unchanged, told.removed.len()),
            (3, 0, 0)
        );

        let id = |rules: &Ruleset, name: &str| {
            let known = rules.iter().find(|known| known.rule.name() == name);
            known.map(|known| known.id)
        };
        let replaced = vec![set(UploadMode::Replace), rule("b", "x"), rule("c", "y")];
        let (after, told) = rules
            .with(upload(replaced).await.expect("right"))
            .expect("few");
        assert_eq!(
            (told.removed, told.replaced),
            (vec!["a".into()], vec!["c".into()])
        );
        assert_eq!((told.in_force, told.unchanged), (2, 1));
        assert_eq!(id(&rules, "b"), id(&after, "b"), "it is the same one");
        assert_ne!(id(&rules, "c"), id(&after, "c"), "it is another");

        // Each upload fits, and both together do not.
        let many = |from: usize| {
            let rules = (from..from + RULES).map(|number| rule(&number.to_string(), "*"));
            std::iter::once(set(UploadMode::Merge))
                .chain(rules)
                .collect()
        };
        let (full, told) = Ruleset::default()
            .with(upload(many(0)).await.expect("right"))
            .expect("just fits");
        assert_eq!(told.in_force as usize, RULES);
        let status = full
            .with(upload(many(1)).await.expect("right"))
            .expect_err("one too many");
        assert_eq!(status.code(), Code::ResourceExhausted);
    }
}
