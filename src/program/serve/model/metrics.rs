//! The series of a server: what it did, in Prometheus' text format.
//!
//! Names follow Prometheus' conventions (base units, `_total` for counters). Series of a model carry
//! its name, and where it makes a difference its version, so that a dashboard shows which one answered.

use std::time::Duration;

use prometheus::{
    Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec,
    IntGauge, IntGaugeVec, Opts, Registry, TextEncoder, core::Collector,
};
use trialbook::{
    evaluate::SignalLevel,
    model::prediction::Prediction,
    monitor::drift::{DriftReport, SignalName},
};

use super::{outcome::FeedbackOutcome, release_metrics::ReleaseMetrics, served::ModelInfo};

/// Seconds; from a linear model's short text to an encoder's long batch.
const DURATIONS: [f64; 16] = [
    25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3,
    500e-3, 1.0, 2.5,
];
/// Texts.
const BATCH_SIZES: [f64; 8] = [1.0, 2.0, 8.0, 32.0, 128.0, 512.0, 2_048.0, 10_000.0];

/// Every series of one server.
pub(crate) struct Metrics {
    registry: Registry,
    predictions: IntCounterVec,
    positive: IntCounterVec,
    negative: IntCounterVec,
    prediction_duration: HistogramVec,
    batch_size: HistogramVec,
    model_batch_size: Histogram,
    queue_length: IntGauge,
    queue_texts: IntGauge,
    queue_wait: Histogram,
    requests: IntCounterVec,
    in_flight: IntGauge,
    errors: IntCounterVec,
    model_info: GaugeVec,
    swaps: IntCounterVec,
    load_failures: IntCounterVec,
    registry_up: IntGaugeVec,
    labels: IntCounterVec,
    drift_effect: GaugeVec,
    drift_level: GaugeVec,
    drift_predictions: GaugeVec,
    measured_f1: GaugeVec,
    labelled: IntGaugeVec,
    log_lost: IntGauge,
    uptime: Gauge,
    releases: ReleaseMetrics,
}

/// The series of one model. What does not depend on its version is looked up once.
pub(crate) struct ModelMetrics {
    predictions: IntCounterVec,
    positive: IntCounterVec,
    negative: IntCounterVec,
    info: GaugeVec,
    prediction_duration: Histogram,
    batch_size: Histogram,
    swaps: IntCounter,
    load_failures: IntCounter,
    registry_up: IntGauge,
    drift_effect: GaugeVec,
    drift_level: GaugeVec,
    drift_predictions: GaugeVec,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let registry = Registry::new();
        #[cfg(target_os = "linux")]
        registry
            .register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))
            .expect(VALID);
        #[cfg(feature = "cuda")]
        if let Some(gpus) = super::gpu::GpuCollector::load() {
            registry.register(Box::new(gpus)).expect(VALID);
        }
        let (of_version, of_model) = (&["model", "version"], &["model"]);
        Self {
            predictions: counters(
                &registry,
                "model_predictions_total",
                "Texts predicted.",
                of_version,
            ),
            positive: counters(
                &registry,
                "model_positive_predictions_total",
                "Texts predicted as the positive class of a model of two classes.",
                of_version,
            ),
            negative: counters(
                &registry,
                "model_negative_predictions_total",
                "Texts predicted as the negative class of a model of two classes.",
                of_version,
            ),
            prediction_duration: histograms(
                &registry,
                "model_prediction_duration_seconds",
                "Time from the receipt of the whole request body to its predictions.",
                &DURATIONS,
                of_model,
            ),
            batch_size: histograms(
                &registry,
                "model_prediction_batch_size",
                "Number of texts in one request.",
                &BATCH_SIZES,
                of_model,
            ),
            model_batch_size: histogram(
                &registry,
                "model_batch_size",
                "Number of texts in one batch, for models that predict in batches.",
                &BATCH_SIZES,
            ),
            queue_texts: gauge(
                &registry,
                "model_queue_texts",
                "Waiting texts, for models that predict in batches.",
            ),
            queue_length: gauge(
                &registry,
                "model_prediction_queue_length",
                "Long requests that wait for their turn.",
            ),
            queue_wait: histogram(
                &registry,
                "model_prediction_queue_wait_seconds",
                "Waiting time of long requests, and of requests to models that predict in batches.",
                &DURATIONS,
            ),
            requests: counters(
                &registry,
                "http_requests_total",
                "Requests answered.",
                &["path", "status"],
            ),
            in_flight: gauge(
                &registry,
                "http_requests_in_flight",
                "Requests without an answer so far.",
            ),
            errors: counters(
                &registry,
                "http_errors_total",
                "Requests refused, by the error_type of the answer.",
                &["error_type"],
            ),
            model_info: register(
                &registry,
                GaugeVec::new(
                    Opts::new("model_info", "1 for the version that answers, 0 for earlier ones."),
                    &["model", "version", "run_id"],
                )
                .expect(VALID),
            ),
            swaps: counters(
                &registry,
                "model_swaps_total",
                "Changes of the version that answers.",
                of_model,
            ),
            load_failures: counters(
                &registry,
                "model_load_failures_total",
                "Versions that could not be loaded; the earlier version kept answering.",
                of_model,
            ),
            registry_up: register(
                &registry,
                IntGaugeVec::new(
                    Opts::new(
                        "model_registry_up",
                        "1 while the registry answers which version is to serve, 0 while it does not.",
                    ),
                    of_model,
                )
                .expect(VALID),
            ),
            labels: {
                let labels = counters(
                    &registry,
                    "labels_total",
                    "True labels that were sent to /feedback, by what became of them.",
                    &["outcome"],
                );
                for outcome in FeedbackOutcome::ALL {
                    labels.with_label_values(&[outcome.as_str()]);
                }
                labels
            },
            drift_effect: gauges(
                &registry,
                "model_drift_effect",
                "Distance of each signal from the version's reference profile, over the last 24 hours.",
                &["model", "version", "signal"],
            ),
            drift_level: gauges(
                &registry,
                "model_drift_level",
                "0 where traffic looks as the version's reference profile does, 1 for a warning, 2 for an alert; none with too few predictions.",
                of_version,
            ),
            drift_predictions: gauges(
                &registry,
                "model_drift_predictions",
                "Predictions that were compared with the version's reference profile.",
                of_version,
            ),
            measured_f1: register(
                &registry,
                GaugeVec::new(
                    Opts::new(
                        "model_measured_f1",
                        "F1 by true labels of the last 7 days, as far as the end of the log has their predictions.",
                    ),
                    of_version,
                )
                .expect(VALID),
            ),
            labelled: register(
                &registry,
                IntGaugeVec::new(
                    Opts::new(
                        "model_labelled_predictions",
                        "Predictions of the last 7 days with a true label, at the end of the log.",
                    ),
                    of_version,
                )
                .expect(VALID),
            ),
            log_lost: gauge(
                &registry,
                "model_predictions_not_logged",
                "Predictions that are missing in the log, since the server started.",
            ),
            uptime: register(
                &registry,
                Gauge::new("server_uptime_seconds", "Time since the server started.").expect(VALID),
            ),
            releases: ReleaseMetrics::new(&registry),
            registry,
        }
    }

    /// The series of releases.
    pub(crate) fn releases(&self) -> &ReleaseMetrics {
        &self.releases
    }

    /// The series of the model called `name`, which are there from now on.
    pub(crate) fn of_model(&self, name: &str) -> ModelMetrics {
        let of_model = &[name];
        ModelMetrics {
            predictions: self.predictions.clone(),
            positive: self.positive.clone(),
            negative: self.negative.clone(),
            info: self.model_info.clone(),
            prediction_duration: self.prediction_duration.with_label_values(of_model),
            batch_size: self.batch_size.with_label_values(of_model),
            swaps: self.swaps.with_label_values(of_model),
            load_failures: self.load_failures.with_label_values(of_model),
            drift_effect: self.drift_effect.clone(),
            drift_level: self.drift_level.clone(),
            drift_predictions: self.drift_predictions.clone(),
            registry_up: {
                let up = self.registry_up.with_label_values(of_model);
                up.set(1);
                up
            },
        }
    }

    /// A long request begins to wait for its turn.
    pub(crate) fn queued(&self) -> Held<'_> {
        Held::new(&self.queue_length)
    }

    /// So many texts wait for a batch.
    pub(crate) fn queue_holds(&self, n_texts: usize) {
        self.queue_texts.set(i64::try_from(n_texts).unwrap_or(i64::MAX));
    }

    /// A model was asked a batch.
    pub(crate) fn asked(&self, n_texts: usize) {
        self.model_batch_size.observe(n_texts as f64);
    }

    pub(crate) fn waited(&self, duration: Duration) {
        self.queue_wait.observe(duration.as_secs_f64());
    }

    /// A request arrived.
    pub(crate) fn request(&self) -> Held<'_> {
        Held::new(&self.in_flight)
    }

    /// A request to the route `path` was answered.
    pub(crate) fn answered(&self, path: &str, status: u16, error_type: Option<&str>) {
        self.requests.with_label_values(&[path, status.to_string().as_str()]).inc();
        if let Some(error_type) = error_type {
            self.refused(error_type);
        }
    }

    /// A request, or one line of a stream, was refused.
    pub(crate) fn refused(&self, error_type: &str) {
        self.errors.with_label_values(&[error_type]).inc();
    }

    /// So many true labels had this outcome.
    pub(crate) fn labelled(&self, outcome: FeedbackOutcome, n_labels: usize) {
        self.labels.with_label_values(&[outcome.as_str()]).inc_by(n_labels as u64);
    }

    /// What true labels say of a version that answers: on so many predictions this F1, where there are any.
    pub(crate) fn measured(&self, model: &str, version: u32, n_labelled: u64, f1: Option<f64>) {
        let version = version.to_string();
        let labels = &[model, version.as_str()];
        let n_labelled = i64::try_from(n_labelled).unwrap_or(i64::MAX);
        self.labelled.with_label_values(labels).set(n_labelled);
        if let Some(f1) = f1 {
            self.measured_f1.with_label_values(labels).set(f1);
        }
    }

    /// All series, for a server that runs for `uptime_s` and whose log left out `n_lost` predictions.
    pub(crate) fn text(&self, uptime_s: f64, n_lost: u64) -> Vec<u8> {
        self.uptime.set(uptime_s);
        self.log_lost.set(i64::try_from(n_lost).unwrap_or(i64::MAX));
        let mut text = Vec::new();
        TextEncoder::new()
            .encode(&self.registry.gather(), &mut text)
            .expect("every series has a name and writing to memory cannot fail");
        text
    }
}

impl ModelMetrics {
    /// The predictions of one request were made by `info` in `duration`.
    pub(crate) fn predicted(
        &self,
        info: &ModelInfo,
        predictions: &[Prediction],
        duration: Duration,
    ) {
        let version = info.version.to_string();
        let labels = &[info.name.as_str(), version.as_str()];
        self.predictions.with_label_values(labels).inc_by(predictions.len() as u64);
        let n_binary = predictions.iter().filter(|one| one.is_positive().is_some()).count();
        let n_positive = predictions.iter().filter(|one| one.is_positive() == Some(true)).count();
        if n_binary > 0 {
            self.positive.with_label_values(labels).inc_by(n_positive as u64);
            self.negative.with_label_values(labels).inc_by((n_binary - n_positive) as u64);
        }
        self.prediction_duration.observe(duration.as_secs_f64());
        self.batch_size.observe(predictions.len() as f64);
    }

    /// The version `info` was compared with its reference profile.
    pub(crate) fn drifted(&self, info: &ModelInfo, report: &DriftReport) {
        let version = info.version.to_string();
        let labels = &[info.name.as_str(), version.as_str()];
        let level = match report.verdict {
            SignalLevel::Ok => 0.0,
            SignalLevel::Warn => 1.0,
            SignalLevel::Alert => 2.0,
        };
        // What nobody can tell has no level, and what is not judged no effect.
        match report.is_enough {
            true => self.drift_level.with_label_values(labels).set(level),
            false => drop(self.drift_level.remove_label_values(labels)),
        }
        self.drift_predictions.with_label_values(labels).set(report.n as f64);
        for name in SignalName::ALL {
            let labels = &[labels[0], labels[1], name.as_str()];
            match report.signals.iter().find(|signal| signal.name == name && signal.is_enough) {
                Some(signal) => self.drift_effect.with_label_values(labels).set(signal.effect),
                None => drop(self.drift_effect.remove_label_values(labels)),
            }
        }
    }

    /// What was compared of `old` is not of now any more.
    fn forget_drift(&self, old: &ModelInfo) {
        let version = old.version.to_string();
        let labels = &[old.name.as_str(), version.as_str()];
        // They are not there before the first look.
        let _ = self.drift_level.remove_label_values(labels);
        let _ = self.drift_predictions.remove_label_values(labels);
        for signal in SignalName::ALL {
            let labels = &[labels[0], labels[1], signal.as_str()];
            let _ = self.drift_effect.remove_label_values(labels);
        }
    }

    /// `new` answers instead of `old`.
    pub(crate) fn serves(&self, old: Option<&ModelInfo>, new: Option<&ModelInfo>) {
        if let Some(old) = old.filter(|old| new.is_none_or(|new| new.version != old.version)) {
            self.forget_drift(old);
        }
        for (info, value) in [(old, 0.0), (new, 1.0)] {
            let Some(ModelInfo { name, version, run_id, .. }) = info else { continue };
            let version = version.to_string();
            let labels = &[name.as_str(), version.as_str(), run_id.as_str()];
            self.info.with_label_values(labels).set(value);
        }
    }

    pub(crate) fn swapped(&self) {
        self.swaps.inc();
    }

    /// True if the registry answered when it was last asked.
    pub(crate) fn registry_answers(&self, answers: bool) {
        self.registry_up.set(i64::from(answers));
    }

    pub(crate) fn load_failed(&self) {
        self.load_failures.inc();
    }
}

/// The reason why making and registering series cannot fail.
const VALID: &str = "names and labels are valid and each is registered once";

fn register<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> C {
    registry.register(Box::new(collector.clone())).expect(VALID);
    collector
}

fn counters(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    register(registry, IntCounterVec::new(Opts::new(name, help), labels).expect(VALID))
}

fn gauges(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> GaugeVec {
    register(registry, GaugeVec::new(Opts::new(name, help), labels).expect(VALID))
}

fn gauge(registry: &Registry, name: &str, help: &str) -> IntGauge {
    register(registry, IntGauge::new(name, help).expect(VALID))
}

fn histogram(registry: &Registry, name: &str, help: &str, buckets: &[f64]) -> Histogram {
    let opts = HistogramOpts::new(name, help).buckets(buckets.to_vec());
    register(registry, Histogram::with_opts(opts).expect(VALID))
}

fn histograms(
    registry: &Registry,
    name: &str,
    help: &str,
    buckets: &[f64],
    labels: &[&str],
) -> HistogramVec {
    let opts = HistogramOpts::new(name, help).buckets(buckets.to_vec());
    register(registry, HistogramVec::new(opts, labels).expect(VALID))
}

/// Counts in a gauge for as long as it lives: a client that hangs up counts no longer.
pub(crate) struct Held<'a>(&'a IntGauge);

impl<'a> Held<'a> {
    fn new(gauge: &'a IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}
