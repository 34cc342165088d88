//! Schedules of EventBridge Scheduler: at each of their times, an event is queued for their function. A run that the
//! host was not there for is made up for once, after its start.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::clock::{Clock, Timestamp};
use crate::control::Control;
use crate::control::schedule::expression::Timing;
use crate::control::schedule::{Error, ScheduleRecord};
use crate::events::{Events, Undelivered};
use crate::invoke::{Invoke, Invoker, Mode, Target};
use crate::names::{FunctionRef, RequestId};
use crate::payload::{Document, Event};

/// Longest sleep: the wall clock may be set.
const SLEEP_MAX: Duration = Duration::from_secs(30);
/// Pauses after the store failed.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_LAST: Duration = Duration::from_secs(60);
/// Defaults of AWS.
const RETRY_ATTEMPTS_DEFAULT: u32 = 185;
const EVENT_AGE_SECONDS_DEFAULT: u32 = 86_400;

/// Runner of all schedules; cheap to clone.
#[derive(Clone, Debug)]
pub struct Schedules {
    control: Control,
    invoker: Invoker,
    events: Events,
    clock: Clock,
}

/// A schedule with its next run.
#[derive(Debug)]
struct Planned {
    record: Arc<ScheduleRecord>,
    timing: Timing,
    /// Time that the run is scheduled for. Within a flexible window, it begins later.
    scheduled: Timestamp,
}

/// Runs in the order of their beginnings.
type Plan = BTreeMap<(Timestamp, String), Planned>;

/// Last runs that have begun, by schedule: some are not noted in the store yet.
type Begun = BTreeMap<String, Timestamp>;

impl Schedules {
    pub fn new(control: Control, invoker: Invoker, events: Events, clock: Clock) -> Self {
        Self {
            control,
            invoker,
            events,
            clock,
        }
    }

    /// Runs schedules for ever. One task of the host's.
    pub async fn run(&self) {
        let mut changes = self.control.schedule_changes();
        let mut begun = Begun::new();
        let mut pause = None;
        loop {
            changes.mark_unchanged();
            let mut plan = match self.plan(&begun).await {
                Ok(plan) => plan,
                Err(error) => {
                    tracing::error!(%error, "the schedules could not be read; that is repeated");
                    let next = pause.map_or(PAUSE_FIRST, |it: Duration| PAUSE_LAST.min(it * 2));
                    pause = Some(next);
                    self.clock.sleep(next).await;
                    continue;
                }
            };
            pause = None;
            while !changes.has_changed().unwrap_or(false) {
                let now = self.clock.now();
                while let Some(first) = plan.first_entry().filter(|it| it.key().0 <= now) {
                    let planned = first.remove();
                    self.begin(&mut plan, &mut begun, planned);
                }
                let due = plan.first_key_value().map(|((at, _), _)| *at);
                let wait = due.map_or(SLEEP_MAX, |at| {
                    Duration::from_millis(at.millis().saturating_sub(now.millis())).min(SLEEP_MAX)
                });
                tokio::select! {
                    changed = changes.changed() => match changed {
                        Ok(()) => break,
                        // The host ends.
                        Err(_) => return,
                    },
                    () = self.clock.sleep(wait) => {}
                }
            }
        }
    }

    async fn plan(&self, begun: &Begun) -> Result<Plan, Error> {
        let mut plan = Plan::new();
        for record in self.control.schedules(None).await? {
            if record.choice.is_disabled {
                continue;
            }
            let base = self.control.schedule_base(&record).await?;
            let base = begun.get(&id(&record)).map_or(base, |it| base.max(*it));
            match record.timing() {
                Ok(timing) => self.enter(&mut plan, Arc::new(record), timing, base),
                Err(error) => {
                    tracing::error!(%error, schedule = record.name, "a schedule cannot be read");
                }
            }
        }
        Ok(plan)
    }

    /// Enters the first run after a time. Of several that have passed, the last counts.
    fn enter(&self, plan: &mut Plan, record: Arc<ScheduleRecord>, timing: Timing, base: Timestamp) {
        let Some(scheduled) = timing.next(base) else {
            return;
        };
        let begins = scheduled.after(self.flexible(&record));
        let id = id(&record);
        let planned = Planned {
            record,
            timing,
            scheduled,
        };
        plan.insert((begins, id), planned);
    }

    /// Delay within the flexible window.
    fn flexible(&self, record: &ScheduleRecord) -> Duration {
        let Some(minutes) = record.choice.window_minutes else {
            return Duration::ZERO;
        };
        let drawn = u64::from_le_bytes(self.clock.random());
        Duration::from_millis(drawn % (u64::from(minutes) * 60_000))
    }

    /// Runs a schedule on a task of its own, and enters its next run.
    fn begin(&self, plan: &mut Plan, begun: &mut Begun, planned: Planned) {
        let Planned {
            record,
            timing,
            scheduled,
        } = planned;
        let now = self.clock.now();
        // Runs that were missed are made up for by this one.
        let last = match timing.next(scheduled) {
            Some(next) if next < now => now,
            _ => scheduled,
        };
        begun.insert(id(&record), last);
        let is_over = timing.next(last).is_none();
        let (same, execution) = (self.clone(), Arc::clone(&record));
        tokio::spawn(async move {
            same.execute(&execution, (scheduled, last), is_over).await;
        });
        self.enter(plan, record, timing, last);
    }

    /// Queues the event of a run, and notes the run: one that is cut short by a crash is repeated.
    async fn execute(
        &self,
        record: &ScheduleRecord,
        (scheduled, last): (Timestamp, Timestamp),
        is_over: bool,
    ) {
        self.queue(record, scheduled).await;
        if is_over && record.choice.is_deleted_after {
            let deleted = self.control.delete_schedule(&record.group, &record.name);
            if let Err(error) = deleted.await {
                tracing::warn!(%error, schedule = record.name, "a schedule that is over could not be deleted");
            }
            return;
        }
        let mut pause = PAUSE_FIRST;
        while let Err(error) = self.control.note_schedule_run(record, last).await {
            tracing::error!(%error, schedule = record.name, "the run of a schedule could not be written; that is repeated");
            self.clock.sleep(pause).await;
            pause = PAUSE_LAST.min(pause * 2);
        }
    }

    /// Queues the event of a run. What cannot be queued goes to the dead-letter queue of the schedule.
    async fn queue(&self, record: &ScheduleRecord, scheduled: Timestamp) {
        let target = &record.choice.target;
        let attempts_max = target.retry_attempts_max.unwrap_or(RETRY_ATTEMPTS_DEFAULT);
        let age_max = target
            .event_age_max_seconds
            .unwrap_or(EVENT_AGE_SECONDS_DEFAULT);
        let until = self.clock.now().after(Duration::from_secs(age_max.into()));
        let id = RequestId::random(&self.clock);
        let mut attempt = 1;
        let mut pause = PAUSE_FIRST;
        loop {
            let input = self.input(record, scheduled, (id, attempt));
            let refusal = match self.try_queue(&target.arn, id, input.clone()).await {
                Ok(()) => return,
                Err(refusal) => refusal,
            };
            let is_last = attempt > attempts_max || self.clock.now() >= until;
            if refusal.is_final || is_last {
                self.give_up(record, scheduled, (id, attempt, input), &refusal)
                    .await;
                return;
            }
            tracing::warn!(
                error = refusal.text,
                schedule = record.name,
                "the event of a schedule could not be queued; that is repeated"
            );
            attempt += 1;
            self.clock.sleep(pause).await;
            pause = PAUSE_LAST.min(pause * 2);
        }
    }

    async fn try_queue(&self, arn: &str, id: RequestId, input: String) -> Result<(), Refusal> {
        let refused = |code, text: String, is_final| Refusal {
            code,
            text,
            is_final,
        };
        let named = FunctionRef::parse(arn);
        let named = named.map_err(|error| refused("InvalidArn", error.to_string(), true))?;
        let document = Document::parse(input.into());
        let document =
            document.map_err(|error| refused("InvalidInput", error.to_string(), true))?;
        let target = Target {
            name: named.name,
            qualifier: named.qualifier,
        };
        let mut invoke = Invoke::new(id, target, Event::Json(document));
        invoke.mode = Mode::Event;
        let resolved = self.invoker.resolve(invoke).await;
        let resolved = resolved
            .map_err(|error| refused("ResourceNotFoundException", error.to_string(), true))?;
        let accepted = self.events.accept(resolved).await;
        accepted.map_err(|error| refused("ServiceException", error.to_string(), false))
    }

    async fn give_up(
        &self,
        record: &ScheduleRecord,
        scheduled: Timestamp,
        (id, attempt, input): (RequestId, u32, String),
        refusal: &Refusal,
    ) {
        let target = &record.choice.target;
        tracing::error!(
            error = refusal.text,
            schedule = record.name,
            "the event of a schedule was given up"
        );
        let (Some(queue), Ok(named)) = (&target.dead_letter, FunctionRef::parse(&target.arn))
        else {
            return;
        };
        let letter = Undelivered {
            request_id: id,
            function: named.name,
            destination: queue.clone(),
            attributes: vec![
                ("ERROR_CODE".into(), refusal.code.into()),
                ("ERROR_MESSAGE".into(), refusal.text.clone()),
                ("EXECUTION_ID".into(), id.to_string()),
                ("RETRY_ATTEMPTS".into(), (attempt - 1).to_string()),
                ("SCHEDULED_TIME".into(), utc(scheduled)),
                ("SCHEDULE_ARN".into(), record.arn(self.control.home())),
                ("TARGET_ARN".into(), target.arn.clone()),
            ],
            body: input.into(),
        };
        if let Err(error) = self.events.deliver_letter(letter).await {
            tracing::error!(%error, schedule = record.name, "a dead letter of a schedule could not be queued");
        }
    }

    /// Input of a run: that of the schedule with the attributes of the run filled in, or AWS's default.
    fn input(
        &self,
        record: &ScheduleRecord,
        scheduled: Timestamp,
        (id, attempt): (RequestId, u32),
    ) -> String {
        let home = self.control.home();
        let (arn, time) = (record.arn(home), utc(scheduled));
        match &record.choice.target.input {
            Some(input) => input
                .replace("<aws.scheduler.schedule-arn>", &arn)
                .replace("<aws.scheduler.scheduled-time>", &time)
                .replace("<aws.scheduler.execution-id>", id.as_str())
                .replace("<aws.scheduler.attempt-number>", &attempt.to_string()),
            None => default_input(
                &arn,
                &time,
                id,
                (home.account.as_str(), home.region.as_str()),
            ),
        }
    }
}

fn id(record: &ScheduleRecord) -> String {
    format!("{}/{}", record.group, record.name)
}

/// An event that was not queued.
#[derive(Debug)]
struct Refusal {
    code: &'static str,
    text: String,
    /// True if another attempt cannot succeed.
    is_final: bool,
}

fn default_input(arn: &str, time: &str, id: RequestId, (account, region): (&str, &str)) -> String {
    let event: Value = json!({
        "version": "0",
        "id": id.as_str(),
        "detail-type": "Scheduled Event",
        "source": "aws.scheduler",
        "account": account,
        "time": time,
        "region": region,
        "resources": [arn],
        "detail": "{}",
    });
    event.to_string()
}

fn utc(at: Timestamp) -> String {
    at.utc().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests;
