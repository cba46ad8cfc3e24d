//! The bounds of a server, on amounts and on waiting, in one place.

use std::time::Duration;

/// The bounds of one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Longest body of a single prediction. Default 1 MiB: five hundred times a long review.
    pub body_bytes: usize,
    /// Longest body of a batch. Default 8 MiB: some six thousand reviews.
    pub batch_body_bytes: usize,
    /// Most texts in a batch. Default 10,000, so that a body of empty strings stays cheap.
    pub batch_texts: usize,
    /// Longest text, in characters. Default 100,000: seven times the longest review of IMDB.
    pub text_chars: usize,
    /// Most connections at a time; further clients wait. Default 10,000, or as many as the system
    /// lets this process open.
    pub connections: u32,
    /// Most lines of a stream that are predicted together. Default 256: as many reviews as make a
    /// model's batches full. A stream itself has no end, and each of its lines the bounds of a
    /// single prediction.
    pub stream_lines: usize,
    /// Bodies up to this length are predicted on the thread that read them; longer ones go to the
    /// blocking pool. Default 16 KiB: ten long reviews, which hold a thread for well under a
    /// millisecond. Handing a review over instead makes its median a half longer and its 99th
    /// percentile two and a half times as long on an idle server.
    pub inline_body_bytes: usize,
    /// Long bodies predicted at the same time. Default: the number of CPU cores.
    pub n_parallel: usize,
    /// Long bodies that wait for their turn; further ones are refused at once. Default 64.
    pub queue_bodies: usize,
    /// Texts that wait for a model that is asked in batches; further ones are refused at once.
    /// A request counts as one batch at most, since others get in between. Default 1,024.
    pub queue_texts: usize,
    /// The time that a request waits for its turn before it is turned away. Default 5 s.
    pub queue_wait: Duration,
    /// Texts that such a model is asked together at most. Default 32.
    pub model_batch_texts: usize,
    /// Tokens of those texts, but for a text that has more by itself. Default: as many as the model
    /// wants.
    pub model_batch_tokens: Option<usize>,
    /// The time that the first text waits for others. Default none: what arrives while the model is busy
    /// is the next batch anyway, and a lone text waits for nobody.
    pub model_batch_wait: Duration,
    /// The time that a client may take to send its body; of a stream, until it sends more or takes an
    /// answer. Default 10 s.
    pub body_wait: Duration,
    /// The time that a connection lasts on which no request arrives whole up to its body: the time that a
    /// client may take for the headers, and may stay idle. Default 30 s.
    pub idle_wait: Duration,
    /// The time that a client may take none of an answer. Default 10 s.
    pub write_wait: Duration,
    /// The time that a release goes on while the registry does not answer; then Production answers alone.
    /// Default 60 s.
    pub release_wait: Duration,
    /// The time that a stopping server waits for requests in flight. Default 8 s: container engines
    /// kill after 10.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 1 << 20,
            batch_body_bytes: 8 << 20,
            batch_texts: 10_000,
            text_chars: 100_000,
            connections: 10_000,
            stream_lines: 256,
            inline_body_bytes: 16 << 10,
            n_parallel: std::thread::available_parallelism().map_or(1, usize::from),
            queue_bodies: 64,
            queue_texts: 1_024,
            queue_wait: Duration::from_secs(5),
            model_batch_texts: 32,
            model_batch_tokens: None,
            model_batch_wait: Duration::ZERO,
            body_wait: Duration::from_secs(10),
            idle_wait: Duration::from_secs(30),
            write_wait: Duration::from_secs(10),
            release_wait: Duration::from_secs(60),
            grace: Duration::from_secs(8),
        }
    }
}
