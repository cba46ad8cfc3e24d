//! A server's settings when it starts: what to serve, and where. It reads nothing and checks nothing;
//! the state does when it is loaded.

use trialbook::{monitor::LogConfig, store::Store};

use super::http::{hosts::AllowedHosts, limits::Limits, security::Security};

/// The models to serve, and the address.
#[derive(Debug, Clone)]
pub struct ServeConfig {
    /// The address or name to listen on. Default 127.0.0.1: this machine only.
    pub host: String,
    /// The port; 0 takes a free one. Default 8000.
    pub port: u16,
    /// The registered models whose Production versions answer, each once. The first is the default:
    /// it answers the questions that name no model. Empty, which is the default: the one that
    /// [`Registry::default_model`](trialbook::registry::Registry::default_model) finds when the server
    /// starts, or `SentimentClassifier` while the store has no model at all.
    pub models: Vec<String>,
    /// Serves this version whatever is in production, and stays with it. Only with one model.
    pub pin: Option<u32>,
    /// The store that holds them.
    pub store: Store,
    /// The log of predictions in the store's folder of logs; none keeps no log.
    pub log: Option<LogConfig>,
    /// The bounds on what is taken.
    pub limits: Limits,
    /// The settings of who may ask, and how.
    pub security: Security,
    /// True if a model answers. Without one the server tracks and registers only.
    pub serves: bool,
    /// True if `POST /explain` is answered. Default no: it costs more than a prediction.
    pub explains: bool,
    /// The names under which clients may know the tracking API, beside this machine's and private
    /// addresses; none where it is left out.
    pub tracking: Option<AllowedHosts>,
    /// The OpenTelemetry collector that gets a span of every request, such as
    /// `http://127.0.0.1:4318`; none for none.
    pub otlp_endpoint: Option<String>,
}

impl ServeConfig {
    /// The store's only model, on 127.0.0.1:8000.
    pub fn new(store: Store) -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: 8000,
            models: Vec::new(),
            pin: None,
            store,
            log: Some(LogConfig::default()),
            serves: true,
            explains: false,
            tracking: Some(AllowedHosts::default()),
            limits: Limits::default(),
            security: Security::default(),
            otlp_endpoint: None,
        }
    }
}
