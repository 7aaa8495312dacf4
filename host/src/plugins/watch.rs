//! Keeps what serves equal to what the directories hold.
//!
//! File events only say when to look; what is there is read and hashed. A set is taken when two
//! looks, with quiet between them, saw the same bytes. A timer looks even if no event ever comes.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::scan::Desired;
use super::{Plugins, Report};

const QUIET: Duration = Duration::from_millis(300);
const AT_MOST: Duration = Duration::from_secs(3);
const RESCAN: Duration = Duration::from_secs(5);

impl Plugins {
    /// Reloads whenever the directories' contents change, until `shutdown`.
    pub async fn watch(
        self: Arc<Self>,
        reports: mpsc::UnboundedSender<Report>,
        shutdown: CancellationToken,
    ) {
        let (hint, mut hints) = mpsc::channel(1);
        let _watchers = [&self.settings.plugins_dir, &self.settings.policies_dir]
            .map(|directory| watcher(directory, hint.clone()));
        let mut timer = interval(RESCAN);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                Some(()) = hints.recv() => {}
                _ = timer.tick() => {}
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                report = self.reconcile(&mut hints) => {
                    if let Some(report) = report && reports.send(report).is_err() {
                        tracing::debug!("nobody listens for reloads");
                    }
                }
            }
        }
    }

    /// What became of a change, if there was one.
    async fn reconcile(self: &Arc<Self>, hints: &mut mpsc::Receiver<()>) -> Option<Report> {
        let first = self.look().await?;
        if self.is_latest(&first.hash()) {
            return None;
        }
        let settled = self.settle(first, hints).await?;
        if self.is_latest(&settled.hash()) {
            return None;
        }
        let plugins = Arc::clone(self);
        let applied = tokio::task::spawn_blocking(move || plugins.apply(settled)).await;
        applied
            .inspect_err(|error| {
                tracing::error!(%error, "the reload crashed; the previous generation keeps serving");
            })
            .ok()
    }

    /// The contents once two looks agree; `None` if they keep changing, until the next look.
    async fn settle(
        self: &Arc<Self>,
        mut before: Desired,
        hints: &mut mpsc::Receiver<()>,
    ) -> Option<Desired> {
        let deadline = Instant::now() + AT_MOST;
        while Instant::now() < deadline {
            quiet(hints, deadline).await;
            let after = self.look().await?;
            if after.hash() == before.hash() {
                return Some(after);
            }
            before = after;
        }
        None
    }

    async fn look(self: &Arc<Self>) -> Option<Desired> {
        let plugins = Arc::clone(self);
        tokio::task::spawn_blocking(move || plugins.scan())
            .await
            .ok()
    }
}

/// Waits until no hint has come for a while, but not past the deadline.
async fn quiet(hints: &mut mpsc::Receiver<()>, deadline: Instant) {
    while Instant::now() < deadline {
        match timeout(QUIET, hints.recv()).await {
            Ok(Some(())) => {}
            Ok(None) => return sleep(QUIET).await,
            Err(_) => return,
        }
    }
}

/// `None` where the system cannot watch; the timer still looks.
fn watcher(directory: &Path, hint: mpsc::Sender<()>) -> Option<RecommendedWatcher> {
    let handler = move |event: notify::Result<notify::Event>| {
        // Our own reading makes access events. Errors and overflows are reasons to look.
        let looked_at = event.is_ok_and(|event| {
            matches!(event.kind, EventKind::Access(access)
                if access != notify::event::AccessKind::Close(notify::event::AccessMode::Write))
        });
        if !looked_at {
            // A full channel already holds a hint.
            hint.try_send(()).ok();
        }
    };
    let watcher = notify::recommended_watcher(handler).and_then(|mut watcher| {
        watcher.watch(directory, RecursiveMode::NonRecursive)?;
        Ok(watcher)
    });
    watcher
        .inspect_err(|error| {
            let directory = directory.display();
            tracing::warn!(%directory, %error, "cannot be watched; changes are found by looking every 5 s");
        })
        .ok()
}
