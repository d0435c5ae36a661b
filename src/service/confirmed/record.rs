//! A confirmed commit as it is known: what is stored, and what callers see of it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::probe::Probe;
use super::state::{By, Reason, State};
use crate::clock::Clock;
use crate::error::{Error, ErrorCode};
use crate::service::edit::view::{ConfirmedCommitView, RpcErrorView};
use crate::service::evidence::{Evidence, Moment};
use crate::service::time::rfc3339;
use crate::store::ConfirmedCommitRecord;

/// Unanswered orders that are remembered, and extensions.
pub(super) const MOST_EARLIER: usize = 8;

/// What is not a column.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::service) struct Document {
    /// Whose operations made it.
    pub junos: bool,
    /// By which any session can confirm it. Never told to anybody.
    pub persist: Option<String>,
    /// What stands in its comment (E3).
    pub marker: String,
    /// What was sent last to confirm or cancel it.
    pub answer: Option<Answer>,
    /// What was sent before that and not answered, and was not to be seen when the device was looked at: a device may
    /// come to it late. The newest last.
    pub earlier: Vec<Answer>,
    /// Since when the server is at work, as it said while this was pending (RFC 6022).
    pub server_start: Option<String>,
    pub evidence: Evidence,
    /// Just before it was sent last: the device's timer starts later.
    pub sent: Option<Moment>,
    /// When the device said ok: its timer has started.
    pub answered: Option<Moment>,
    /// It was seen on the device, which has not said ok to it.
    pub found: bool,
    pub session_id: Option<u64>,
    /// Running is to be copied to startup when it is confirmed.
    pub save: bool,
    /// Commit on both routing engines.
    pub synchronize: bool,
    /// The device was looked at for as long as there was any hope.
    pub given_up: bool,
    /// An extension was sent and not answered: by so many seconds later it may be undone.
    pub perhaps_later: u64,
    /// How often it was extended.
    pub extensions: u8,
    /// The newest extensions that were sent, the newest last.
    pub extending: Vec<Extension>,
    /// What confirms or cancels it, and how far that came.
    pub probe: Option<Probe>,
    pub seen: Option<String>,
    pub warnings: Vec<RpcErrorView>,
}

/// An order that was sent and is not known to have been refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::service) struct Answer {
    /// What stands in the comment of its commit.
    pub marker: String,
    /// It undoes, rather than confirms.
    pub cancels: bool,
    /// Just before it was sent.
    #[serde(default)]
    pub sent: Option<Moment>,
    /// Of the call that ordered it; absent: a probe did.
    #[serde(default)]
    pub operation_id: Option<String>,
}

/// Those that were sent and are not known to have been refused, as they were at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::service) struct Orders {
    newest: Option<Answer>,
    earlier: Vec<Answer>,
}

/// What was known of extensions at one moment.
#[derive(Debug, Clone)]
pub(in crate::service) struct Extensions {
    extending: Vec<Extension>,
    perhaps_later: u64,
}

/// An extension that was sent and is not known to have been refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::service) struct Extension {
    /// Of the call that ordered it.
    pub operation_id: Option<String>,
    /// Just before it was sent.
    pub sent: Moment,
    /// What the device was asked to wait from then on.
    pub seconds: u64,
    /// Whether the device has taken it; absent: nobody knows.
    pub taken: Option<bool>,
    /// When the device was last seen not to have come to it.
    #[serde(default)]
    pub not_before: Option<Moment>,
    /// The commit stands, and would not if this were the newest that was taken: its time says nothing any more.
    #[serde(default)]
    pub outlived: bool,
    /// When the device said ok to it, which it may also say when it has undone the commit before.
    #[serde(default)]
    pub answered: Option<Moment>,
}

/// A confirmed commit.
#[derive(Debug, Clone)]
pub(in crate::service) struct ConfirmedCommit {
    pub row: ConfirmedCommitRecord,
    pub state: State,
    pub document: Document,
}

impl Extension {
    /// When the device takes it, at the earliest.
    fn taken_at(&self) -> &Moment {
        self.not_before.as_ref().unwrap_or(&self.sent)
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

impl ConfirmedCommit {
    /// As it was stored.
    ///
    /// # Errors
    /// `internal`: the row is damaged.
    pub fn of(row: ConfirmedCommitRecord) -> Result<Self, Error> {
        let broken = || {
            let words = format!("the stored row of the confirmed commit {} is damaged", row.id);
            Error::new(ErrorCode::Internal, words).with_device(&row.device)
        };
        Ok(Self {
            // What is being sent is not known to have arrived.
            state: State::parse(&row.state).unwrap_or(State::Unknown),
            document: serde_json::from_slice(&row.document).map_err(|_| broken())?,
            row,
        })
    }

    /// The row as it is to be stored.
    pub fn to_row(&self) -> ConfirmedCommitRecord {
        let document = serde_json::to_vec(&self.document)
            .expect("a document has string keys and finite numbers only, so it is always JSON");
        ConfirmedCommitRecord {
            state: self.state.as_str().to_owned(),
            document,
            ..self.row.clone()
        }
    }

    /// Brings it into the next state.
    ///
    /// # Errors
    /// `invalid-state`: the one does not lead to the other.
    pub fn enter(&mut self, next: State) -> Result<(), Error> {
        if !self.state.leads_to(next) {
            let detail = format!(
                "the confirmed commit is {}, which does not lead to {}",
                self.state.as_str(),
                next.as_str()
            );
            return Err(Error::new(ErrorCode::InvalidState, detail)
                .with_device(&self.row.device)
                .with_change_id(&self.row.change_id));
        }
        self.state = next;
        Ok(())
    }

    pub fn ended(&mut self, by: Option<By>, reason: Option<Reason>) {
        self.row.by = by.map(|by| by.as_str().to_owned());
        self.row.reason = reason.map(|reason| reason.as_str().to_owned());
    }

    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.row.timeout_seconds)
    }

    /// Whether nobody will find out any more what became of it.
    pub fn is_settled(&self) -> bool {
        self.state == State::Unknown && self.document.given_up
    }

    /// How long the device certainly leaves it alone: the timer may have started when it was sent.
    pub fn safe_for(&self, clock: &Clock) -> Duration {
        let alone = self.timeout().saturating_sub(self.since_sent(clock));
        alone.min(self.not_shortened_for(clock))
    }

    /// How long no extension that nobody answered can have made the device undo it.
    fn not_shortened_for(&self, clock: &Clock) -> Duration {
        let open = self.perhaps_taken();
        let left = open.map(|one| one.timeout().saturating_sub(one.taken_at().elapsed(clock)));
        left.min().unwrap_or(Duration::MAX)
    }

    /// The extensions of which the device may have taken one as the newest.
    fn perhaps_taken(&self) -> impl Iterator<Item = &Extension> {
        let newest_first = self.document.extending.iter().rev();
        let since = newest_first.take_while(|one| one.taken != Some(true));
        since.filter(|one| one.taken.is_none() && !one.outlived)
    }

    /// How long it can be told that the device holds it: after that an extension that nobody answered may have shortened its
    /// time, or its time is up.
    pub fn stands_for(&self, clock: &Clock) -> Duration {
        self.runs_for(clock).min(self.not_shortened_for(clock))
    }

    /// Whether its time is not up, unless an extension that nobody answered has shortened it.
    pub fn is_perhaps_over(&self, clock: &Clock) -> bool {
        !self.runs_for(clock).is_zero() && self.not_shortened_for(clock).is_zero()
    }

    /// When the device undoes it at the earliest, after what became known of its extensions.
    fn note_earliest(&mut self, clock: &Clock) {
        let left = self.not_shortened_for(clock);
        if left < self.timeout().saturating_sub(self.since_sent(clock)) {
            self.row.deadline_earliest = clock.wall() + left;
        } else if let Some(sent) = &self.document.sent {
            self.row.deadline_earliest = sent.wall() + self.timeout();
        }
    }

    /// How long until the device has begun to undo it, at the latest.
    pub fn runs_for(&self, clock: &Clock) -> Duration {
        self.timeout().saturating_sub(self.since_armed(clock))
    }

    /// How long ago it was sent last.
    pub fn since_sent(&self, clock: &Clock) -> Duration {
        let sent = self.document.sent.as_ref();
        sent.map_or(Duration::MAX, |moment| moment.elapsed(clock))
    }

    /// How long ago the device's time was up.
    pub fn overdue_for(&self, clock: &Clock) -> Duration {
        self.since_armed(clock).saturating_sub(self.timeout())
    }

    /// How long ago the device's timer was started, at the latest.
    pub fn since_armed(&self, clock: &Clock) -> Duration {
        let armed = self.document.answered.as_ref().or(self.document.sent.as_ref());
        armed.map_or(Duration::MAX, |moment| moment.elapsed(clock))
    }

    /// The device's timer starts now at the earliest.
    pub fn sending(&mut self, clock: &Clock, timeout: Duration) {
        self.row.timeout_seconds = timeout.as_secs();
        self.document.sent = Some(Moment::now(clock));
        self.document.answered = None;
        self.document.found = false;
        self.row.deadline_earliest = clock.wall() + timeout;
        self.row.deadline = self.row.deadline_earliest;
    }

    /// The device's timer has started.
    pub fn armed(&mut self, clock: &Clock) {
        self.armed_at(clock, clock.now());
    }

    /// The same, when it was not noted at once: the device said ok at this moment.
    pub fn armed_at(&mut self, clock: &Clock, at: Instant) {
        let ago = clock.now().saturating_duration_since(at);
        self.document.answered = Some(Moment::ago(clock, ago));
        self.row.deadline = clock.wall() + self.timeout() - ago;
    }

    /// Whether the device undoes it when the session ends in which it was made (RFC 6241 section 8.4.1).
    pub fn needs_session(&self) -> bool {
        !self.document.junos && self.document.persist.is_none()
    }

    /// Whether the device is known to have made it.
    pub fn is_made(&self) -> bool {
        self.document.answered.is_some() || self.document.found
    }

    /// The device has made it, though it did not say so: some time since it was sent, in which it can have been at work
    /// for `work` at most. Its time is up so much later, perhaps.
    pub fn found(&mut self, clock: &Clock, work: Duration) {
        let later = self.since_sent(clock).min(work);
        self.document.found = true;
        self.document.perhaps_later = self.document.perhaps_later.saturating_add(later.as_secs() + 1);
        self.row.deadline = self.row.deadline_earliest + later;
    }

    /// What was sent and not answered is not to be seen, and may come yet.
    pub fn set_answer_aside(&mut self) {
        if let Some(answer) = self.document.answer.take() {
            let earlier = &mut self.document.earlier;
            if earlier.len() >= MOST_EARLIER {
                earlier.remove(0);
            }
            earlier.push(answer);
        }
    }

    pub fn orders(&self) -> Orders {
        Orders {
            newest: self.document.answer.clone(),
            earlier: self.document.earlier.clone(),
        }
    }

    /// What was ordered since has changed nothing.
    pub fn put_back(&mut self, orders: Orders) {
        self.document.answer = orders.newest;
        self.document.earlier = orders.earlier;
    }

    /// How long ago the newest order was sent that was not answered.
    pub fn since_unanswered(&self, clock: &Clock) -> Option<Duration> {
        let Document {
            answer,
            earlier,
            extending,
            ..
        } = &self.document;
        let answer = answer.as_ref().or(earlier.last());
        let answer = answer.and_then(|answer| answer.sent.as_ref());
        let open = extending.iter().rev().find(|one| one.taken.is_none());
        let sent = answer.into_iter().chain(open.map(|one| &one.sent));
        sent.map(|moment| moment.elapsed(clock)).min()
    }

    /// An extension is about to be sent, at which the device can be at work for `work` at most. Gives what was known before.
    pub fn extending(&mut self, clock: &Clock, extension: Extension, work: Duration) -> Extensions {
        let later = (extension.timeout() + work)
            .saturating_sub(self.runs_for(clock))
            .as_secs();
        let Document {
            extending,
            perhaps_later,
            ..
        } = &mut self.document;
        let before = Extensions {
            extending: extending.clone(),
            perhaps_later: *perhaps_later,
        };
        // One that was not answered before may have made it later still.
        *perhaps_later = later.max(*perhaps_later);
        if extending.len() >= MOST_EARLIER {
            extending.remove(0);
        }
        extending.push(extension);
        self.note_earliest(clock);
        before
    }

    /// The newest extension has changed nothing.
    pub fn not_extended(&mut self, clock: &Clock, before: Extensions) {
        self.document.extending = before.extending;
        self.document.perhaps_later = before.perhaps_later;
        self.note_earliest(clock);
    }

    /// The device holds this commit in so many entries of its history, as each extension is another one: what that tells
    /// of extensions that were not answered, at which the device can be at work for `work` at most. None of them arrived, or
    /// all, or it does not tell which. `asked`: before it was read.
    pub fn found_entries(&mut self, clock: &Clock, entries: u8, asked: &Moment, work: Duration) {
        let known = self.document.extensions.saturating_add(1);
        let found = usize::from(entries.saturating_sub(known));
        if found == 0 {
            return self.found_no_extension(clock, asked, work);
        }
        let extending = &mut self.document.extending;
        let open = extending.iter().filter(|one| one.taken.is_none()).count();
        if found != open {
            return;
        }
        let newest = extending.last().filter(|one| one.taken.is_none()).cloned();
        for one in extending.iter_mut().filter(|one| one.taken.is_none()) {
            one.taken = Some(true);
        }
        match newest {
            Some(newest) => self.has_taken(clock, newest, work),
            // A newer one was answered, and its deadline counts.
            None => self.document.perhaps_later = 0,
        }
        self.document.extensions = entries.saturating_sub(1);
    }

    /// None has arrived of those that were not answered.
    fn found_no_extension(&mut self, clock: &Clock, asked: &Moment, work: Duration) {
        let open = self.document.extending.iter_mut();
        for one in open.filter(|one| one.taken.is_none()) {
            one.not_before = Some(asked.clone());
            if one.sent.elapsed(clock).saturating_sub(asked.elapsed(clock)) >= work {
                one.taken = Some(false);
            }
        }
        if self.document.extending.iter().all(|one| one.taken.is_some()) {
            // What is left is that nobody knows when the device came to the commit itself.
            let own = match self.document.answered {
                Some(_) => 0,
                None => work.as_secs() + 1,
            };
            self.document.perhaps_later = self.document.perhaps_later.min(own);
        }
        self.note_earliest(clock);
    }

    /// The commit was seen to stand after the device said ok to its newest extension: so that counts.
    pub fn found_extended(&mut self, clock: &Clock, work: Duration) {
        let newest = self.document.extending.last_mut();
        let Some(newest) = newest.filter(|newest| newest.taken.is_none()) else {
            return;
        };
        if newest.answered.is_none() {
            return;
        }
        newest.taken = Some(true);
        let newest = newest.clone();
        self.has_taken(clock, newest, work);
    }

    /// The commit stands, where nothing tells of extensions. One that came as late as it can, `work` after it was sent, would
    /// have it undone so long after its time: `undoing`. `asked`: before it was looked at.
    pub fn found_standing(&mut self, clock: &Clock, asked: &Moment, work: Duration, undoing: Duration) {
        let Document {
            answer,
            earlier,
            extending,
            ..
        } = &mut self.document;
        // Or it stands because it is confirmed.
        if answer.iter().chain(earlier.iter()).any(|answer| !answer.cancels) {
            return;
        }
        for one in extending.iter_mut().filter(|one| one.taken.is_none()) {
            let after = one.sent.elapsed(clock).saturating_sub(asked.elapsed(clock));
            one.outlived |= after >= one.timeout() + work + undoing;
        }
        self.note_earliest(clock);
    }

    /// The device has taken this extension, whenever it said so.
    fn has_taken(&mut self, clock: &Clock, extension: Extension, work: Duration) {
        let timeout = extension.timeout();
        self.extended(clock, extension.sent, timeout);
        self.document.answered.clone_from(&extension.answered);
        match extension.answered {
            Some(answered) => self.row.deadline = clock.wall() + timeout - answered.elapsed(clock),
            None => self.found(clock, work),
        }
    }

    /// It is over, with so many entries in the device's history: what does not stand there was not taken.
    pub fn ended_with(&mut self, entries: u8) {
        if entries != self.document.extensions.saturating_add(1) {
            return;
        }
        for one in self
            .document
            .extending
            .iter_mut()
            .filter(|one| one.taken.is_none())
        {
            one.taken = Some(false);
        }
    }

    /// The device has taken an extension that was sent at this moment: its timer has started anew.
    pub fn extended(&mut self, clock: &Clock, sent: Moment, timeout: Duration) {
        self.row.timeout_seconds = timeout.as_secs();
        self.row.deadline_earliest = clock.wall() + timeout - sent.elapsed(clock);
        self.document.sent = Some(sent);
        self.document.perhaps_later = 0;
        self.document.extensions = self.document.extensions.saturating_add(1);
        self.armed(clock);
    }

    pub fn view(&self) -> ConfirmedCommitView {
        let Self { row, state, document } = self.clone();
        ConfirmedCommitView {
            id: row.id,
            device: row.device,
            change_id: row.change_id,
            owner: row.owner,
            state: state.as_str().to_owned(),
            by: row.by,
            reason: row.reason,
            timeout_seconds: row.timeout_seconds,
            deadline: rfc3339(row.deadline),
            deadline_earliest: rfc3339(row.deadline_earliest),
            persistent: document.persist.is_some(),
            session_id: document.session_id,
            seen: document.seen,
            warnings: document.warnings,
            probe: document.probe.as_ref().map(Probe::view),
            create_time: rfc3339(row.created_at),
            update_time: rfc3339(row.updated_at),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use time::OffsetDateTime;

    use super::*;

    pub fn commit() -> ConfirmedCommit {
        let now = OffsetDateTime::UNIX_EPOCH;
        ConfirmedCommit {
            row: ConfirmedCommitRecord {
                id: "c".to_owned(),
                device_id: "d".to_owned(),
                device: "mx1".to_owned(),
                change_id: "h".to_owned(),
                owner: "alice".to_owned(),
                state: State::Pending.as_str().to_owned(),
                by: None,
                reason: None,
                request_id: None,
                timeout_seconds: 600,
                deadline: now,
                deadline_earliest: now,
                document: Vec::new(),
                created_at: now,
                updated_at: now,
            },
            state: State::Pending,
            document: Document::default(),
        }
    }

    fn order(number: usize) -> Option<Answer> {
        Some(Answer {
            marker: number.to_string(),
            cancels: false,
            sent: None,
            operation_id: None,
        })
    }

    fn extension(clock: &Clock, ago: u64, seconds: u64) -> Extension {
        Extension {
            operation_id: None,
            sent: Moment::ago(clock, Duration::from_secs(ago)),
            seconds,
            taken: None,
            not_before: None,
            outlived: false,
            answered: None,
        }
    }

    /// How long a device is at work on a commit.
    const WORK: Duration = Duration::from_secs(10);

    /// One that has 600 seconds from now on.
    fn at_work(clock: &Clock) -> ConfirmedCommit {
        let mut commit = commit();
        commit.sending(clock, Duration::from_secs(600));
        commit.armed(clock);
        commit
    }

    /// C4: as long as nobody answered, the soonest of all deadlines counts, and the latest.
    #[test]
    fn every_unanswered_extension_counts() {
        let clock = Clock::system();
        let mut commit = at_work(&clock);
        commit.extending(&clock, extension(&clock, 0, 3600), WORK);
        let later = commit.document.perhaps_later;
        assert!((3009..=3010).contains(&later), "{later}");
        let before = commit.extending(&clock, extension(&clock, 0, 60), WORK);
        assert_eq!(commit.document.perhaps_later, later);
        let soon = Duration::from_secs(61);
        assert!(commit.safe_for(&clock) < soon && commit.stands_for(&clock) < soon);
        assert!(commit.runs_for(&clock) > soon);
        assert!(commit.row.deadline_earliest < commit.row.deadline - soon);
        commit.not_extended(&clock, before);
        assert!(commit.safe_for(&clock) > soon);
        let off = (commit.row.deadline - commit.row.deadline_earliest).whole_seconds();
        assert!((0..=1).contains(&off), "{off}");
    }

    /// C5: what never came makes nothing later.
    #[test]
    fn an_extension_that_never_came_makes_nothing_later() {
        let clock = Clock::system();
        let mut commit = at_work(&clock);
        commit.extending(&clock, extension(&clock, 9, 3600), WORK);
        let late = extension(&clock, 11, 3600);
        let asked = Moment::now(&clock);
        commit.found_entries(&clock, 1, &asked, WORK);
        assert!(commit.document.perhaps_later > 3000, "it may come");
        commit.document.extending = vec![late];
        commit.found_entries(&clock, 1, &asked, WORK);
        assert_eq!(commit.document.perhaps_later, 0);
        assert_eq!(commit.document.extending[0].taken, Some(false));
    }

    /// C4: one that was refused takes none with it of those that nobody answered.
    #[test]
    fn a_refused_extension_takes_none_with_it() {
        let clock = Clock::system();
        let mut commit = at_work(&clock);
        for seconds in 1..=MOST_EARLIER as u64 {
            commit.extending(&clock, extension(&clock, 0, 100 * seconds), WORK);
        }
        let before = commit.document.extending.clone();
        let known = commit.extending(&clock, extension(&clock, 0, 50), WORK);
        commit.not_extended(&clock, known);
        assert_eq!(commit.document.extending, before);
    }

    /// C5: that the commit stands says nothing of a time that was too short as long as it may be confirmed, or undone by
    /// now.
    #[test]
    fn what_stands_has_outlived_an_extension_after_long_only() {
        let clock = Clock::system();
        let (asked, undoing) = (Moment::now(&clock), Duration::from_secs(180));
        let shortened = |ago| {
            let mut commit = at_work(&clock);
            commit.extending(&clock, extension(&clock, ago, 60), WORK);
            commit
        };
        let mut early = shortened(249);
        early.found_standing(&clock, &asked, WORK, undoing);
        assert!(early.is_perhaps_over(&clock));
        let mut late = shortened(251);
        late.found_standing(&clock, &asked, WORK, undoing);
        assert!(!late.is_perhaps_over(&clock) && late.safe_for(&clock) > Duration::from_secs(300));
        assert_eq!(late.document.extending[0].taken, None, "that nobody knows");
        let mut confirmed = shortened(251);
        confirmed.document.answer = order(1);
        confirmed.found_standing(&clock, &asked, WORK, undoing);
        assert!(confirmed.is_perhaps_over(&clock));
    }

    /// C5: an extension that is found late in the history was taken some time since it was sent.
    #[test]
    fn an_extension_that_is_found_late_is_not_of_now() {
        let clock = Clock::system();
        let mut commit = at_work(&clock);
        commit.extending(&clock, extension(&clock, 62, 60), WORK);
        let asked = Moment::now(&clock);
        commit.found_entries(&clock, 2, &asked, Duration::from_secs(300));
        assert_eq!(commit.document.extending[0].taken, Some(true));
        assert!(commit.runs_for(&clock).is_zero());
        let work = (commit.row.deadline - commit.row.deadline_earliest).whole_seconds();
        assert!((61..=63).contains(&work), "{work}");
        assert!(commit.document.perhaps_later >= 62);
    }

    /// C4, H7: an order that was refused takes none of those with it that nobody answered, not even where there are as many as
    /// are remembered.
    #[test]
    fn a_refused_order_takes_none_with_it() {
        let mut commit = commit();
        for number in 0..=MOST_EARLIER + 1 {
            let before = commit.orders();
            commit.set_answer_aside();
            commit.document.answer = order(number);
            commit.put_back(before.clone());
            assert_eq!(commit.orders(), before);
            // The same, without an answer.
            commit.set_answer_aside();
            commit.document.answer = order(number);
        }
        assert_eq!(commit.document.answer, order(MOST_EARLIER + 1));
        let earlier: Vec<_> = commit.document.earlier.iter().cloned().map(Some).collect();
        assert_eq!(earlier, (1..=MOST_EARLIER).map(order).collect::<Vec<_>>());
    }
}
