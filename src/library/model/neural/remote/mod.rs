//! Training on the device of another machine. The unit of work is a whole training: data, settings and
//! files go there, and progress, metrics, states and the model come back. This room knows no
//! server: it asks one, and has the messages that both sides speak.

mod client;
mod files;
mod message;
mod wire;

pub use files::{IncomingFiles, kept_files, sent_in_pieces};
pub use message::{RemoteJob, RemoteMessage, SentSplit};
pub use wire::{PATH, SteadyStream, Wire, web_socket_config};

pub(super) use client::train;
