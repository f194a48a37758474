//! OTTO: one session per line, `{"session": 1, "events": [{"aid": 2, "ts": 3, "type": "clicks"}]}`. The session is the
//! user.
//!
//! Clicks, carts and orders count alike.
//!
//! Source: the description of the OTTO data set, github.com/otto-de/recsys-dataset, 2022.

use std::fmt;
use std::io::BufRead;
use std::path::Path;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::bad;
use super::lines::read_lines;
use super::ndjson::not_understood;
use super::plan::Plan;
use crate::base::error::Result;
use crate::data::interactions::InteractionsBuilder;

/// A session as a line has it.
struct Session {
    id: u64,
    /// Article and time.
    events: Vec<(u64, f64)>,
}

/// Reads all lines into the builder.
pub(super) fn parse(path: &Path, input: impl BufRead, plan: &Plan, builder: &mut InteractionsBuilder) -> Result<()> {
    read_lines(path, input, "one JSON object", plan, builder, |builder, line, text| {
        let session: Session =
            serde_json::from_slice(text).map_err(|error| not_understood(path, line, text, &error))?;
        let user = session.id.to_string();
        let times: Result<Vec<_>, _> = session.events.iter().map(|&(_, ts)| plan.seconds(ts)).collect();
        let times = times.map_err(|what| bad(path, Some(line), None, format!("ts is {what}")))?;
        for ((article, _), time) in session.events.iter().zip(times) {
            let pushed = plan.filter.push(builder, &user, &article.to_string(), None, plan.time.as_ref().map(|_| time));
            pushed.map_err(|what| bad(path, Some(line), None, what))?;
        }
        if session.events.is_empty() {
            builder.push_empty();
        }
        Ok(())
    })
}

impl<'de> Deserialize<'de> for Session {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(SessionVisitor)
    }
}

struct SessionVisitor;

impl<'de> Visitor<'de> for SessionVisitor {
    type Value = Session;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a session and its events")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Session, A::Error> {
        let (mut id, mut events): (Option<u64>, Option<Events>) = (None, None);
        while let Some(key) = map.next_key::<String>()? {
            match &*key {
                "session" => id = Some(map.next_value()?),
                "events" => events = Some(map.next_value()?),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        let id = id.ok_or_else(|| A::Error::missing_field("session"))?;
        let Events(events) = events.ok_or_else(|| A::Error::missing_field("events"))?;
        Ok(Session { id, events })
    }
}

struct Events(Vec<(u64, f64)>);

impl<'de> Deserialize<'de> for Events {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(EventsVisitor)
    }
}

struct EventsVisitor;

impl<'de> Visitor<'de> for EventsVisitor {
    type Value = Events;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of events")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Events, A::Error> {
        let mut events = Vec::new();
        while let Some(Event(event)) = list.next_element()? {
            events.push(event);
        }
        Ok(Events(events))
    }
}

struct Event((u64, f64));

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EventVisitor)
    }
}

struct EventVisitor;

impl<'de> Visitor<'de> for EventVisitor {
    type Value = Event;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Event, A::Error> {
        let (mut article, mut time): (Option<u64>, Option<f64>) = (None, None);
        while let Some(key) = map.next_key::<String>()? {
            match &*key {
                "aid" => article = Some(map.next_value()?),
                "ts" => time = Some(map.next_value()?),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        let article = article.ok_or_else(|| A::Error::missing_field("aid"))?;
        let time = time.ok_or_else(|| A::Error::missing_field("ts"))?;
        Ok(Event((article, time)))
    }
}
