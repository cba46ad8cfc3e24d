//! The artifact proxy: files up and down in pieces, never held whole; folders listed; files removed. A
//! file that breaks off on its way up leaves nothing, and one that is damaged is not sent.

use std::io;

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;
use tokio::{io::AsyncReadExt as _, time::timeout};
use trialbook::registry::{Artifact, ArtifactFile, Folder, Registry};

use crate::serve::{
    http::{
        channel::{channel, frame},
        waiting::waiting,
    },
    state::ServerState,
};

use super::{
    artifacts::file_info,
    place::ArtifactPlace,
    wire::{Code, WireRefusal, answer},
};

/// Bytes that are read of a file at a time.
const PIECE_BYTES: usize = 256 * 1024;

/// Answers a question for the artifact at `path`.
pub(super) async fn serve(
    state: &ServerState,
    registry: Registry,
    method: &Method,
    path: String,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, WireRefusal> {
    match *method {
        Method::PUT => upload(state, registry, path, headers, body).await,
        Method::DELETE => delete(registry, path).await,
        _ => {
            download(registry, move |registry| ArtifactPlace::of(registry, &path)?.file(registry))
                .await
        }
    }
}

/// The things directly in the folder `path`, by names relative to it; of a file nothing, as in MLflow.
pub(super) fn list(registry: &Registry, path: &str) -> Result<Response, WireRefusal> {
    let place = ArtifactPlace::of(registry, path)?;
    let Folder::Entries(entries) = place.folder(registry)? else { return Ok(answer(&json!({}))) };
    if entries.is_empty() {
        return Ok(answer(&json!({})));
    }
    let infos = entries.iter().map(|entry| {
        let name = entry.path.rsplit('/').next().unwrap_or_default();
        file_info(name, entry)
    });
    Ok(answer(&json!({ "files": infos.collect::<Vec<_>>() })))
}

async fn upload(
    state: &ServerState,
    registry: Registry,
    path: String,
    headers: &HeaderMap,
    mut body: Body,
) -> Result<Response, WireRefusal> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let announced: Option<u64> = announced.and_then(|length| length.parse().ok());
    let beginning = registry.clone();
    let mut upload = beside(move || match ArtifactPlace::of(&beginning, &path)? {
        ArtifactPlace::Owned { owner, path } if !path.is_empty() => {
            Ok(beginning.begin_upload(owner, &path)?)
        }
        ArtifactPlace::Registered { .. } => {
            Err(WireRefusal::invalid("the files of a registered version do not change"))
        }
        ArtifactPlace::Owned { .. } | ArtifactPlace::Above => Err(WireRefusal::invalid(format!(
            "Invalid path: {path:?} names no file in the artifacts of a run or a model"
        ))),
    })
    .await?;
    let mut n_bytes = 0;
    let mut pieces: Vec<Bytes> = Vec::new();
    let mut n_waiting = 0;
    loop {
        let piece = match timeout(state.limits().body_wait, frame(&mut body)).await {
            Ok(None) => None,
            Ok(Some(Ok(piece))) => Some(piece.into_data().unwrap_or_default()),
            Ok(Some(Err(_))) => return Err(broken_off(n_bytes, announced)),
            Err(_) => {
                return Err(WireRefusal::new(
                    Code::BadRequest,
                    format!(
                        "the upload paused for too long after {n_bytes} bytes: nothing was kept"
                    ),
                ));
            }
        };
        let is_end = piece.is_none();
        if let Some(piece) = piece {
            n_bytes += piece.len() as u64;
            n_waiting += piece.len();
            pieces.push(piece);
        }
        if n_waiting >= PIECE_BYTES || is_end {
            let ready = std::mem::take(&mut pieces);
            n_waiting = 0;
            upload = beside(move || {
                for piece in ready {
                    upload.write(&piece)?;
                }
                Ok(upload)
            })
            .await?;
        }
        if is_end {
            break;
        }
    }
    if announced.is_some_and(|announced| announced != n_bytes) {
        return Err(broken_off(n_bytes, announced));
    }
    beside(move || Ok(registry.finish_upload(upload)?)).await?;
    Ok(answer(&json!({})))
}

fn broken_off(n_bytes: u64, announced: Option<u64>) -> WireRefusal {
    let of = announced.map_or_else(String::new, |announced| format!(" of {announced}"));
    let message = format!("the upload broke off after {n_bytes}{of} bytes: nothing was kept");
    WireRefusal::new(Code::BadRequest, message)
}

async fn delete(registry: Registry, path: String) -> Result<Response, WireRefusal> {
    beside(move || {
        let ArtifactPlace::Owned { owner, path } = ArtifactPlace::of(&registry, &path)? else {
            return Err(WireRefusal::invalid(format!(
                "Invalid path: {path:?} is in no run's and no logged model's artifacts"
            )));
        };
        if path.is_empty() {
            return Err(WireRefusal::invalid(
                "delete the run or the model to remove all its artifacts",
            ));
        }
        registry.delete_artifacts(&owner, &path)?;
        Ok(answer(&json!({})))
    })
    .await
}

/// Sends the file that `find` finds, once its checksum was proved.
pub(super) async fn download(
    registry: Registry,
    find: impl FnOnce(&Registry) -> Result<Artifact, WireRefusal> + Send + 'static,
) -> Result<Response, WireRefusal> {
    let (artifact, file) = beside(move || {
        let artifact = find(&registry)?;
        let file = registry.artifact_path(&artifact)?;
        Ok((artifact, file))
    })
    .await?;
    let name = artifact.path.rsplit('/').next().unwrap_or_default().to_owned();
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(media_type(&name))),
        (header::CONTENT_LENGTH, artifact.size_bytes.into()),
        (header::CONTENT_DISPOSITION, attachment(&name)),
        (header::ETAG, quoted(&artifact.sha256)),
    ];
    Ok((StatusCode::OK, headers, file_body(file, artifact.size_bytes)).into_response())
}

/// The bytes of `artifact`, read as its client takes them.
fn file_body(artifact: ArtifactFile, size_bytes: u64) -> Body {
    let (pieces, body) = channel(2);
    tokio::spawn(async move {
        let sent = async {
            let mut file = tokio::fs::File::open(&*artifact).await?;
            let mut rest = size_bytes;
            while rest > 0 {
                let mut piece =
                    vec![0; PIECE_BYTES.min(usize::try_from(rest).unwrap_or(PIECE_BYTES))];
                let n_read = file.read(&mut piece).await?;
                if n_read == 0 {
                    return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
                }
                piece.truncate(n_read);
                rest -= n_read as u64;
                if pieces.send(Ok(Bytes::from(piece))).await.is_err() {
                    // The client is gone.
                    return Ok(());
                }
            }
            Ok(())
        };
        if let Err(error) = sent.await {
            let _ = pieces.send(Err(error)).await;
        }
    });
    body
}

/// Artifacts are never pages of this server: a browser saves them.
fn attachment(name: &str) -> HeaderValue {
    let plain: String = name
        .chars()
        .map(|c| if c.is_ascii_graphic() && !matches!(c, '"' | '\\') { c } else { '_' })
        .collect();
    HeaderValue::from_str(&format!("attachment; filename=\"{plain}\""))
        .unwrap_or(HeaderValue::from_static("attachment"))
}

fn quoted(sha256: &str) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{sha256}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("json") => "application/json",
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("svg") => "image/svg+xml",
        Some("txt" | "md" | "csv" | "yaml" | "yml" | "py" | "log") => "text/plain; charset=utf-8",
        _ if name == "MLmodel" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// Does `work`, which may wait for the disk.
pub(super) async fn beside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, WireRefusal> + Send + 'static,
) -> Result<T, WireRefusal> {
    waiting(work).await.unwrap_or_else(|_| {
        Err(WireRefusal::new(Code::InternalError, "the request failed: the server's log says why"))
    })
}
