//! The part of evcxr's kernel that ours keeps: its 33 commands, its settings, `:dep`, and its
//! startup files. It compiles no cell and shows nothing; whoever runs cells implements [`Host`].

mod answer;
mod cache;
mod cargo;
mod command;
mod config;
mod dependencies;
mod dependency;
mod host;
mod program;
mod startup;
mod watch;

pub use cache::{Cache, CacheStatistics};
pub use command::{COMMANDS, EvcxrCommand, Meaning};
pub use config::{Config, ErrorFormat, Linker};
pub use dependencies::{Built, Dependencies};
pub use dependency::{Dependency, extern_crates};
pub use host::{Host, Variable};
pub use startup::{Startup, config_folder};
pub use watch::Watch;
