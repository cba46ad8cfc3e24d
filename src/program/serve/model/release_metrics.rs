//! The series of releases: what each version did with its part of the traffic, how far the two agree, and
//! how often a candidate was taken back. Their names follow the conventions of the other series.

use prometheus::{
    GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry, core::Collector,
};
use trialbook::{monitor::Arm, registry::Release};

/// Seconds.
const DURATIONS: [f64; 14] = [
    50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3, 500e-3,
    1.0,
];

/// Why making and registering series cannot fail.
const VALID: &str = "names and labels are valid and each is registered once";

/// Every series of releases of one server.
#[derive(Clone)]
pub(crate) struct ReleaseMetrics {
    requests: IntCounterVec,
    durations: HistogramVec,
    compared: IntCounterVec,
    dropped: IntCounterVec,
    share: GaugeVec,
    taken_back: IntCounterVec,
}

impl ReleaseMetrics {
    /// The series in `registry`.
    pub(crate) fn new(registry: &Registry) -> Self {
        let counter = |name: &str, help: &str, labels: &[&str]| {
            register(registry, IntCounterVec::new(Opts::new(name, help), labels).expect(VALID))
        };
        let of_arm = &["model", "version", "arm"];
        let durations = HistogramOpts::new(
            "model_release_duration_seconds",
            "Time to the predictions of one request during a release, by version and arm.",
        );
        let share = Opts::new(
            "model_release_share",
            "Share of the requests that the candidate answers on this server; 0 for a shadow and once the release is over.",
        );
        Self {
            requests: counter(
                "model_release_requests_total",
                "Requests during a release, by version, arm and outcome (ok, error).",
                &["model", "version", "arm", "outcome"],
            ),
            durations: register(
                registry,
                HistogramVec::new(durations.buckets(DURATIONS.to_vec()), of_arm).expect(VALID),
            ),
            compared: counter(
                "model_release_compared_total",
                "Texts that candidate and Production both predicted, by whether their labels agree (yes, no).",
                &["model", "version", "agree"],
            ),
            dropped: counter(
                "model_release_not_compared_total",
                "Requests that were not compared because the thread that compares was busy.",
                &["model", "version"],
            ),
            share: register(
                registry,
                GaugeVec::new(share, &["model", "version", "kind"]).expect(VALID),
            ),
            taken_back: counter(
                "model_releases_taken_back_total",
                "Releases whose candidate this server took back.",
                &["model", "version"],
            ),
        }
    }

    /// The series of `release`.
    pub(crate) fn of(&self, release: &Release) -> TrialMetrics {
        let candidate = release.candidate.to_string();
        // There from the start, so that its first increase is one.
        self.taken_back.with_label_values(&[&release.model, &candidate]).inc_by(0);
        TrialMetrics {
            all: self.clone(),
            model: release.model.clone(),
            candidate,
            production: release.production.to_string(),
            kind: release.kind.as_str(),
        }
    }
}

fn register<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> C {
    registry.register(Box::new(collector.clone())).expect(VALID);
    collector
}

/// The series of one release.
pub(crate) struct TrialMetrics {
    all: ReleaseMetrics,
    model: String,
    candidate: String,
    production: String,
    kind: &'static str,
}

/// The name of an arm in series, in answers and in the log.
pub(crate) fn arm_name(arm: Arm) -> &'static str {
    match arm {
        Arm::Production => "production",
        Arm::Candidate => "candidate",
        Arm::Shadow => "shadow",
    }
}

impl TrialMetrics {
    fn version(&self, arm: Arm) -> &str {
        match arm {
            Arm::Production => &self.production,
            Arm::Candidate | Arm::Shadow => &self.candidate,
        }
    }

    pub(crate) fn answered(&self, arm: Arm, duration_s: f64) {
        let (version, arm_name) = (self.version(arm), arm_name(arm));
        self.all.requests.with_label_values(&[&self.model, version, arm_name, "ok"]).inc();
        self.all.durations.with_label_values(&[&self.model, version, arm_name]).observe(duration_s);
    }

    pub(crate) fn failed(&self, arm: Arm) {
        let (version, arm) = (self.version(arm), arm_name(arm));
        self.all.requests.with_label_values(&[&self.model, version, arm, "error"]).inc();
    }

    pub(crate) fn compared(&self, n_agreed: u64, n_texts: u64) {
        for (agree, n) in [("yes", n_agreed), ("no", n_texts - n_agreed.min(n_texts))] {
            self.all.compared.with_label_values(&[&self.model, &self.candidate, agree]).inc_by(n);
        }
    }

    pub(crate) fn dropped(&self) {
        self.all.dropped.with_label_values(&[&self.model, &self.candidate]).inc();
    }

    pub(crate) fn taken_back(&self) {
        self.all.taken_back.with_label_values(&[&self.model, &self.candidate]).inc();
    }

    pub(crate) fn share_is(&self, share: f64) {
        self.all.share.with_label_values(&[&self.model, &self.candidate, self.kind]).set(share);
    }
}
