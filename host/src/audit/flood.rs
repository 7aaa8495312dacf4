//! Keeps scanners from filling the disk: requests nobody signed in for are recorded one by one up
//! to a small number, then counted exactly. Signed-in principals are never counted only.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};

use portcullis_core::record::Suppressed;
use time::{Duration, OffsetDateTime};

/// What a window lasts.
const WINDOW: Duration = Duration::seconds(10);

/// Records a source may cause in a window.
const PER_SOURCE: u64 = 5;

/// Records all sources together may cause in a window.
const TOGETHER: u64 = 50;

/// Sources told apart in a window.
const SOURCES: usize = 1024;

/// Sources named in a report, the busiest first.
const REPORTED: usize = 16;

/// What happens to one unauthenticated request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Treatment {
    Count,
    Record,
}

/// Whether counts may wait for their window's end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Hurry {
    Now,
    WindowEnd,
}

#[derive(Debug, Default)]
pub(super) struct Flood {
    current: Option<Window>,
    finished: Option<Window>,
}

impl Flood {
    /// Decides about one request that arrived at `now`.
    pub(super) fn admit(&mut self, source: Option<IpAddr>, now: OffsetDateTime) -> Treatment {
        self.turn_window(now);
        let window = self.current.get_or_insert_with(|| Window::new(now));
        window.admit(network(source))
    }

    /// The counts to report, once their window is over or at once.
    pub(super) fn due(&mut self, now: OffsetDateTime, hurry: Hurry) -> Option<Suppressed> {
        self.turn_window(now);
        if hurry == Hurry::Now && self.finished.is_none() {
            self.finished = self.current.take().filter(|window| window.counted > 0);
        }
        self.finished.take().map(Window::report)
    }

    /// Starts anew after a window's end, or when the clock was set back.
    fn turn_window(&mut self, now: OffsetDateTime) {
        let over = |window: &mut Window| !(Duration::ZERO..WINDOW).contains(&(now - window.began));
        let Some(window) = self.current.take_if(over) else {
            return;
        };
        if window.counted == 0 {
            return;
        }
        match &mut self.finished {
            Some(unreported) => unreported.absorb(&window),
            None => self.finished = Some(window),
        }
    }
}

#[derive(Debug)]
struct Window {
    began: OffsetDateTime,
    recorded: u64,
    counted: u64,
    sources: HashMap<IpAddr, Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    recorded: u64,
    counted: u64,
}

impl Window {
    fn new(began: OffsetDateTime) -> Self {
        Self {
            began,
            recorded: 0,
            counted: 0,
            sources: HashMap::new(),
        }
    }

    fn admit(&mut self, source: IpAddr) -> Treatment {
        let full = self.recorded >= TOGETHER;
        match self.seen(source) {
            Some(seen) if !full && seen.recorded < PER_SOURCE => {
                seen.recorded += 1;
                self.recorded += 1;
                return Treatment::Record;
            }
            Some(seen) => seen.counted += 1,
            None => {}
        }
        self.counted += 1;
        Treatment::Count
    }

    /// `None` once too many sources are told apart.
    fn seen(&mut self, source: IpAddr) -> Option<&mut Seen> {
        let room = self.sources.len() < SOURCES;
        match self.sources.entry(source) {
            Entry::Occupied(known) => Some(known.into_mut()),
            Entry::Vacant(new) if room => Some(new.insert(Seen::default())),
            Entry::Vacant(_) => None,
        }
    }

    fn absorb(&mut self, later: &Self) {
        self.counted += later.counted;
        for (source, theirs) in &later.sources {
            if let Some(ours) = self.seen(*source) {
                ours.counted += theirs.counted;
            }
        }
    }

    fn report(self) -> Suppressed {
        let mut sources: Vec<(IpAddr, u64)> = self
            .sources
            .into_iter()
            .map(|(source, seen)| (source, seen.counted))
            .filter(|(_, counted)| *counted > 0)
            .collect();
        sources.sort_by_key(|(source, counted)| (std::cmp::Reverse(*counted), *source));
        sources.truncate(REPORTED);
        let named: u64 = sources.iter().map(|(_, counted)| counted).sum();
        Suppressed {
            since: self.began,
            total: self.counted,
            other_sources: self.counted - named,
            sources,
        }
    }
}

/// One IPv6 subscriber has a whole /64 to send from.
fn network(source: Option<IpAddr>) -> IpAddr {
    match source {
        Some(IpAddr::V6(address)) => {
            let prefix = address.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from_bits(prefix))
        }
        Some(IpAddr::V4(address)) => IpAddr::V4(address),
        None => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}
