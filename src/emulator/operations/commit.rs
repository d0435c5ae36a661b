//! Commits and what belongs to them.

use super::{Answer, Outcome, Request};
use crate::emulator::config::commit::{AT_REBOOT, Confirm, Options};
use crate::emulator::config::{Committed, Working};
use crate::emulator::device::Member;
use crate::emulator::device_error::DeviceError;
use crate::emulator::markup::Tag;
use crate::emulator::when::parse_time;

/// Children of `<commit-configuration>`; anything else is a syntax error.
const OPTIONS: &[&str] = &[
    "at-time",
    "check",
    "comment",
    "confirm-timeout",
    "confirmed",
    "detail",
    "force-synchronize",
    "full",
    "log",
    "synchronize",
];

/// Minutes after which a confirmed commit is undone that says nothing of it.
const CONFIRM_MINUTES: i64 = 10;
/// The same in the seconds of RFC 6241 section 8.4.
const CONFIRM_SECONDS: i64 = 600;
/// Most minutes that Junos waits.
const MOST_MINUTES: i64 = 65_535;

/// `<commit-configuration>`
pub(super) fn commit_configuration(request: &Request<'_>) -> Outcome {
    let mut unknown = request.operation.children();
    if let Some(child) = unknown.find(|child| !OPTIONS.contains(&child.local.as_str())) {
        return Err(DeviceError::syntax(child.local.clone()));
    }
    let now = request.device.now();
    let at = request
        .argument("at-time")
        .map(|given| match given.as_str() {
            "reboot" => Ok(AT_REBOOT),
            other => parse_time(other, now).ok_or_else(|| invalid("at-time", other)),
        })
        .transpose()?;
    let minutes = match request.argument("confirm-timeout") {
        Some(given) => match given.parse() {
            Ok(minutes) if (1..=MOST_MINUTES).contains(&minutes) => Some(minutes),
            Ok(_) | Err(_) => return Err(invalid("confirm-timeout", &given)),
        },
        None => request.has("confirmed").then_some(CONFIRM_MINUTES),
    };
    let options = Options {
        check: request.has("check"),
        log: request.argument("log").or_else(|| request.argument("comment")),
        at,
        confirmed: minutes.map(|minutes| Confirm::for_seconds(60 * minutes)),
        persist_id: None,
    };
    commit_with(
        request,
        &options,
        request.has("synchronize") || request.has("force-synchronize"),
    )
}

/// `<commit>` (RFC 6241 section 8.3.4.1)
pub(super) fn commit(request: &Request<'_>) -> Outcome {
    if !request.device.profile.has_candidate() {
        let error = DeviceError::new("operation commit is not supported");
        return Err(error
            .tagged("protocol", "operation-not-supported")
            .element("commit"));
    }
    let known = request.device.profile.has_persist() || request.device.quirks.takes_persist;
    let tokens = request
        .operation
        .children()
        .find(|child| ["persist", "persist-id"].contains(&child.local.as_str()));
    if let Some(token) = tokens.filter(|_| !known) {
        return Err(request.wording(DeviceError::syntax(token.local.clone())));
    }
    let confirmed = if request.has("confirmed") {
        let given = request.argument("confirm-timeout");
        let seconds = match &given {
            Some(given) => match given.parse::<u32>() {
                Ok(seconds) if seconds > 0 => i64::from(seconds),
                Ok(_) | Err(_) => return Err(invalid("confirm-timeout", given)),
            },
            None => CONFIRM_SECONDS,
        };
        // Junos counts minutes, and gives none for what is less than one.
        let junos = request.device.profile.junos();
        let mut confirm = Confirm::for_seconds(if junos { seconds / 60 * 60 } else { seconds });
        confirm.persist = request.argument("persist");
        Some(confirm)
    } else {
        None
    };
    let options = Options {
        confirmed,
        persist_id: request.argument("persist-id"),
        ..Options::default()
    };
    commit_with(request, &options, false)
}

fn invalid(name: &str, value: &str) -> DeviceError {
    DeviceError::new(format!("invalid value '{value}'")).element(name)
}

fn commit_with(request: &Request<'_>, options: &Options, synchronize: bool) -> Outcome {
    let quirks = &request.device.quirks;
    let outcome = request.with_engine(|engine, now| {
        if quirks.validate_loses_edits && !options.check && engine.was_validated(request.caller.session) {
            engine.discard(request.caller, now).map_err(|error| vec![error])?;
            return Ok(Committed::nothing());
        }
        let private = engine.working(request.caller.session) == Working::Private;
        if quirks.private_wants_clean && private && engine.is_modified() {
            return Err(vec![shared_modified()]);
        }
        engine.commit(request.caller, options, now)
    });
    let ephemeral = request.device.working(request.caller.session) == Working::Ephemeral;
    Ok(if request.device.profile.junos() {
        results(request, outcome, options, synchronize, ephemeral)
    } else {
        let problems = match outcome {
            Ok(committed) => committed.warnings,
            Err(errors) => errors,
        };
        super::told(request, &problems)
    })
}

/// What is said of a private copy beside a shared candidate that somebody changed.
pub(super) fn shared_modified() -> DeviceError {
    DeviceError::new("shared configuration database modified")
}

/// `<commit-results>`, with what every member says, and `<ok/>` where all went well.
fn results(
    request: &Request<'_>,
    outcome: Result<Committed, Vec<DeviceError>>,
    options: &Options,
    synchronize: bool,
    ephemeral: bool,
) -> Answer {
    let quirks = &request.device.quirks;
    let own = Member {
        name: "re0".to_owned(),
        error: None,
    };
    let cluster = quirks
        .members
        .iter()
        .any(|member| member.name.starts_with("node"));
    let all = synchronize || cluster;
    let members: Vec<&Member> = match quirks.members.as_slice() {
        [] => vec![&own],
        [first, ..] if !all => vec![first],
        members => members.iter().collect(),
    };
    let committed = match outcome {
        Ok(committed) => committed,
        Err(errors) => {
            let mut tag = member(members[0]);
            request
                .problems(&errors)
                .into_iter()
                .for_each(|error| tag.push(error));
            return Answer::Tags(vec![Tag::parent("commit-results", vec![tag])]);
        }
    };
    if ephemeral || (committed.revisions.is_none() && !options.check && options.at.is_none()) {
        // Nothing to commit in a private copy, or an instance: there is nothing to report.
        let mut tags = vec![Tag::empty("commit-results")];
        tags.extend(ephemeral.then(|| request.ok()));
        return Answer::Tags(tags);
    }
    let mut warnings = committed.warnings.clone();
    let told = quirks.commit_warnings.iter();
    warnings.extend(told.map(|message| DeviceError::warning(message.as_str())));
    let mut failed = false;
    let mut tags: Vec<Tag> = Vec::new();
    for (at, each) in members.into_iter().enumerate() {
        let mut tag = member(each);
        let mut said = if at == 0 { warnings.clone() } else { Vec::new() };
        said.extend(each.error.as_deref().map(DeviceError::new));
        failed |= each.error.is_some();
        request
            .problems(&said)
            .into_iter()
            .for_each(|problem| tag.push(problem));
        if each.error.is_none() {
            success(&committed, options, each)
                .into_iter()
                .for_each(|inner| tag.push(inner));
        }
        tags.push(tag);
    }
    if quirks.unclosed_members && options.check {
        return unclosed(request, &tags);
    }
    let mut tags = vec![Tag::parent("commit-results", tags)];
    tags.extend((!failed).then(|| request.ok()));
    Answer::Tags(tags)
}

/// What some clusters make of the answer to a check: no `<routing-engine>` ends.
fn unclosed(request: &Request<'_>, members: &[Tag]) -> Answer {
    let mut text = String::new();
    for tag in members {
        let xml = tag.to_xml();
        text.push_str(xml.strip_suffix("</routing-engine>").unwrap_or(&xml));
    }
    text.push_str(&request.ok().to_xml());
    text.push('\n');
    Answer::Broken(text)
}

fn member(member: &Member) -> Tag {
    let name = Tag::leaf("name", member.name.clone());
    Tag::parent("routing-engine", vec![name]).with("junos:style", "show-name")
}

/// What a member says that did what it was asked for.
fn success(committed: &Committed, options: &Options, member: &Member) -> Vec<Tag> {
    if options.check || options.at.is_some() {
        let mut tags = vec![Tag::empty("commit-check-success")];
        tags.extend(
            committed
                .output
                .as_ref()
                .map(|output| Tag::leaf("output", output.clone())),
        );
        return tags;
    }
    let mut tags = vec![Tag::empty("commit-success")];
    if let Some((old, new)) = &committed.revisions {
        let named = |revision: &str| match revision.split_once('-') {
            Some((_, rest)) => format!("{}-{rest}", member.name),
            None => revision.to_owned(),
        };
        tags.push(Tag::parent(
            "commit-revision-information",
            vec![
                Tag::leaf("new-db-revision", named(new)),
                Tag::leaf("old-db-revision", named(old)),
            ],
        ));
    }
    if let Some(confirm) = &options.confirmed {
        let minutes = confirm.timeout / 60;
        tags.push(Tag::leaf(
            "output",
            format!(
                "commit confirmed will be automatically rolled back in {minutes} minutes unless confirmed"
            ),
        ));
    }
    tags
}

/// What a device with members answers to a `<validate>` that found nothing wrong; none answers `<ok/>` as others do.
pub(super) fn validated(request: &Request<'_>) -> Option<Answer> {
    let quirks = &request.device.quirks;
    if !quirks.unclosed_members || !request.device.profile.junos() {
        return None;
    }
    let checked = |each: &Member| {
        let mut tag = member(each);
        tag.push(Tag::empty("commit-check-success"));
        tag
    };
    let members: Vec<Tag> = quirks.members.iter().map(checked).collect();
    Some(unclosed(request, &members))
}

/// `<cancel-commit>` (RFC 6241 section 8.4.4.1)
pub(super) fn cancel_commit(request: &Request<'_>) -> Outcome {
    let (profile, quirks) = (request.device.profile, &request.device.quirks);
    if !profile.has_persist() && !quirks.takes_persist {
        return Err(if profile.junos() {
            DeviceError::syntax("cancel-commit")
        } else {
            let error = DeviceError::new("operation cancel-commit is not supported");
            error
                .tagged("protocol", "operation-not-supported")
                .element("cancel-commit")
        });
    }
    let given = request.argument("persist-id");
    // Where no capability tells of tokens, the session alone is not enough.
    let cancelled = (given.is_some() || profile.has_persist())
        && request.with_engine(|engine, now| engine.cancel(request.caller, given.as_deref(), now));
    if cancelled {
        return Ok(Answer::Tags(vec![request.ok()]));
    }
    let error = DeviceError::new("there is no such confirmed commit");
    Err(error.tagged("protocol", "invalid-value").element("persist-id"))
}

/// `<clear-system-commit/>`
pub(super) fn clear_system_commit(request: &Request<'_>) -> Outcome {
    let cleared = request.with_engine(|engine, _| engine.clear_scheduled());
    let text = if cleared {
        "Pending commit cleared."
    } else {
        "No commit scheduled."
    };
    Ok(Answer::Tags(vec![super::output(format!("{text}\n"))]))
}

/// `<request-save-rescue-configuration/>`
pub(super) fn save_rescue(request: &Request<'_>) -> Outcome {
    request.with_engine(|engine, _| engine.save_rescue());
    Ok(rescue_done())
}

/// `<request-delete-rescue-configuration/>`
pub(super) fn delete_rescue(request: &Request<'_>) -> Outcome {
    request.with_engine(|engine, _| engine.delete_rescue());
    Ok(rescue_done())
}

fn rescue_done() -> Answer {
    let engine = vec![Tag::leaf("name", "re0"), Tag::empty("success")];
    Answer::Tags(vec![Tag::parent(
        "rescue-management-results",
        vec![Tag::parent("routing-engine", engine)],
    )])
}
