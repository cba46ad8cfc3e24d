//! The kernel's answer about itself, known before anything is compiled or opened.

use jupyter_protocol::{
    CodeMirrorMode, ConnectionInfo, HelpLink, KernelInfoReply, LanguageInfo, ReplyStatus,
};
use serde_json::{Value, json};

use super::message::PROTOCOL_VERSION;

/// The reply to `kernel_info_request`.
pub(super) fn kernel_info() -> KernelInfoReply {
    let version = env!("CARGO_PKG_VERSION");
    KernelInfoReply {
        status: ReplyStatus::Ok,
        protocol_version: PROTOCOL_VERSION.to_owned(),
        implementation: "trialbook".to_owned(),
        implementation_version: version.to_owned(),
        language_info: LanguageInfo {
            name: "rust".to_owned(),
            version: env!("CARGO_PKG_RUST_VERSION").to_owned(),
            mimetype: Some("text/rust".to_owned()),
            file_extension: Some(".rs".to_owned()),
            pygments_lexer: Some("rust".to_owned()),
            codemirror_mode: Some(CodeMirrorMode::Simple("rust".to_owned())),
            nbconvert_exporter: Some("script".to_owned()),
        },
        banner: format!("trialbook {version}: Rust and commands; :help says what can be typed"),
        help_links: vec![
            HelpLink {
                text: "The Rust book".to_owned(),
                url: "https://doc.rust-lang.org/book/".to_owned(),
            },
            HelpLink {
                text: "Polars for Rust".to_owned(),
                url: "https://docs.rs/polars/latest/polars/".to_owned(),
            },
        ],
        debugger: false,
        error: None,
    }
}

/// The reply to `connect_request`.
pub(super) fn ports(info: &ConnectionInfo) -> Value {
    json!({
        "status": "ok",
        "shell_port": info.shell_port,
        "iopub_port": info.iopub_port,
        "stdin_port": info.stdin_port,
        "control_port": info.control_port,
        "hb_port": info.hb_port,
    })
}
