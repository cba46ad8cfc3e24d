//! Server-sent events: a page hears that the registry changed and asks for its live parts again. Without
//! them a page asks every few seconds, as it does where all places are taken.

use std::time::Duration;

use axum::{
    body::Bytes,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use tokio::time::{Instant, sleep_until, timeout};

use super::failure::PageFailure;
use crate::serve::{
    changes::{Listener, RegistryMark},
    http::{channel::channel, shown::Shown},
    state::ServerState,
};

/// The least time between two events: a run that logs a metric a millisecond is not told of each.
const PAUSE: Duration = Duration::from_millis(300);
/// The time after which something is said although nothing changed: proxies end connections that are silent.
const SILENCE: Duration = Duration::from_secs(15);
/// The time after which a browser has to ask again, with a key that holds.
const LONGEST: Duration = Duration::from_secs(600);
/// The time that a client has to take an event.
const TAKING: Duration = Duration::from_secs(10);

/// Begins to tell of changes.
///
/// # Errors
/// 503 while every place is taken or the server stops.
pub(super) fn respond(state: &ServerState, shown: Shown) -> Result<Response, PageFailure> {
    let listener = state.changes().listen().ok_or_else(|| {
        PageFailure::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "overloaded",
            "too many pages follow this server: ask for the page itself every few seconds"
                .to_owned(),
        )
    })?;
    let (sender, body) = channel(1);
    let state = state.clone();
    tokio::spawn(async move {
        let mut telling =
            Telling { listener, said: None, earliest: None, until: Instant::now() + LONGEST };
        loop {
            let event = tokio::select! {
                event = telling.next() => event,
                () = sender.closed() => None,
            };
            let Some(event) = event else { break };
            if state.guard().still_admits(&shown).is_err() {
                break;
            }
            if !matches!(timeout(TAKING, sender.send(Ok(event))).await, Ok(Ok(()))) {
                break;
            }
        }
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        // nginx would keep events back until it has some kilobytes of them.
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, body).into_response())
}

/// The events of one connection.
struct Telling {
    listener: Listener,
    /// The state that the client knows of.
    said: Option<RegistryMark>,
    earliest: Option<Instant>,
    until: Instant,
}

impl Telling {
    /// The next event, whose data is the state that the registry is in; none when the connection is to end.
    async fn next(&mut self) -> Option<Bytes> {
        let silence = self.until.min(Instant::now() + SILENCE);
        while self.said == Some(self.listener.mark()?) {
            tokio::select! {
                () = self.listener.changed() => {}
                () = sleep_until(silence) => {
                    return (silence < self.until).then(|| Bytes::from_static(b": still here\n\n"));
                }
            }
        }
        if let Some(earliest) = self.earliest {
            sleep_until(earliest).await;
        }
        let mark = self.listener.mark()?;
        self.said = Some(mark);
        self.earliest = Some(Instant::now() + PAUSE);
        Some(Bytes::from(format!("event: change\ndata: {mark}\n\n")))
    }
}
