//! Logs, metrics and the names of the ten steps they are told apart by.

use std::io::IsTerminal;
use std::time::Duration;

use metrics::{Histogram, Unit, counter, describe_counter, describe_histogram, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing::{Level, Metadata};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

use crate::clock::Stopwatch;

/// The steps of a call's life, in order. Spans, metrics and audit records use these words.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step {
    /// Head bytes to a signed request.
    Parse,
    /// Access key and token to a session.
    Authenticate,
    /// Body to a buffer or a checked stream.
    Admit,
    /// Proof of possession.
    Verify,
    /// The AWS call it is.
    Interpret,
    /// Plugins' advice to a permit.
    Decide,
    /// Intent made durable.
    Record,
    /// An AWS credential for the permit.
    Mint,
    /// Re-signed and sent.
    Send,
    /// Outcome recorded and streamed back.
    Reply,
}

impl Step {
    /// All steps in order.
    pub const ALL: [Self; 10] = [
        Self::Parse,
        Self::Authenticate,
        Self::Admit,
        Self::Verify,
        Self::Interpret,
        Self::Decide,
        Self::Record,
        Self::Mint,
        Self::Send,
        Self::Reply,
    ];

    /// The lower-case word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Parse => "parse",
            Self::Authenticate => "authenticate",
            Self::Admit => "admit",
            Self::Verify => "verify",
            Self::Interpret => "interpret",
            Self::Decide => "decide",
            Self::Record => "record",
            Self::Mint => "mint",
            Self::Send => "send",
            Self::Reply => "reply",
        }
    }
}

/// One histogram a step, looked up once.
#[derive(Clone)]
pub struct StepTimes(Vec<(Step, Histogram)>);

impl std::fmt::Debug for StepTimes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StepTimes")
    }
}

impl StepTimes {
    /// Looks the histograms up in the installed recorder.
    pub fn new() -> Self {
        let handle = |step: Step| histogram!("portcullis_step_seconds", "step" => step.as_str());
        Self(
            Step::ALL
                .into_iter()
                .map(|step| (step, handle(step)))
                .collect(),
        )
    }

    /// Ends a step: its time goes to the histogram and the stopwatch starts anew.
    pub fn end(&self, step: Step, stopwatch: &mut Stopwatch) -> Duration {
        let elapsed = stopwatch.lap();
        if let Some((_, histogram)) = self.0.iter().find(|(known, _)| *known == step) {
            histogram.record(elapsed);
        }
        elapsed
    }
}

impl Default for StepTimes {
    fn default() -> Self {
        Self::new()
    }
}

/// Libraries that say too much for anybody who does not name them: the compiler of plugins alone
/// writes gigabytes at `trace`.
const QUIET: &str = "aws_config=warn,cranelift=warn,regalloc2=warn,wasmtime=warn";

/// Libraries that write credentials at their finer levels, which no filter can switch on: the AWS
/// SDK prints STS's answers, h2 prints headers.
const INDISCREET: [&str; 2] = ["aws_", "h2"];

/// Starts logging to standard error: JSON lines, or text when a person is watching. The filter is
/// `PORTCULLIS_LOG`, else `info`.
pub fn start_logging(filter: Option<&str>) {
    let wanted = filter.unwrap_or("info");
    let (filter, problem) = match EnvFilter::try_new(format!("{QUIET},{wanted}")) {
        Ok(filter) => (filter, None),
        Err(error) => (EnvFilter::new(format!("{QUIET},info")), Some(error)),
    };
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = if std::io::stderr().is_terminal() {
        lines.compact().boxed()
    } else {
        lines.json().flatten_event(true).boxed()
    };
    tracing_subscriber::registry()
        .with(filter)
        .with(lines.with_filter(filter_fn(is_discreet)))
        .init();
    if let Some(error) = problem {
        tracing::warn!(%error, "PORTCULLIS_LOG is not a filter; logging at `info`");
    }
}

fn is_discreet(event: &Metadata<'_>) -> bool {
    let mut names = INDISCREET.iter();
    *event.level() <= Level::INFO || !names.any(|name| event.target().starts_with(name))
}

/// Installs the metrics recorder; the handle renders the Prometheus text.
///
/// # Errors
/// When a recorder is installed already.
pub fn start_metrics() -> anyhow::Result<PrometheusHandle> {
    let buckets = [
        0.000_01, 0.000_03, 0.000_1, 0.000_3, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0,
        60.0,
    ];
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &buckets)?
        .install_recorder()?;
    describe_histogram!(
        "portcullis_step_seconds",
        Unit::Seconds,
        "Time in each step of a call's life"
    );
    describe_counter!(
        "portcullis_calls_total",
        "Calls by service and decision; refusals by their error code"
    );
    Ok(handle)
}

/// Counts a finished call.
pub fn count_call(service: &str, decision: &'static str) {
    counter!("portcullis_calls_total", "service" => service.to_owned(), "decision" => decision)
        .increment(1);
}
