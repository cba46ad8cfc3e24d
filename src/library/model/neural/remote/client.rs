//! Having a net trained elsewhere: sends what is needed, tells and keeps what comes back.

use std::{
    fs,
    net::{TcpStream, ToSocketAddrs as _},
    path::Path,
    time::{Duration, Instant},
};

use tungstenite::{
    Error as SocketError, HandshakeError,
    client::{IntoClientRequest as _, client_with_config},
    http::HeaderValue,
};

use super::{
    files::{IncomingFiles, file_names, kept_files, sent_in_pieces},
    message::{RemoteJob, RemoteMessage, SentSplit},
    wire::{PATH, SteadyStream, Wire, web_socket_config},
};
use crate::{
    data::Split,
    error::{Error, ErrorKind, Result},
    hint::Hint,
    model::{
        Device, ModelFiles, RemoteAddress,
        header::HEADER_FILE,
        neural::{
            Neural, NeuralConfig, checkpoint::snapshot, files::load, hugging_face::open_to_train,
        },
    },
    progress::Monitor,
};

/// The variable with the API key, as for every server of ours.
const KEY_ENV: &str = "TRIALBOOK_KEY";
const CONNECT: Duration = Duration::from_secs(5);
/// The time that a server may take for its first answer, and for stopping.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(100);

type MetricLog<'a> = &'a mut dyn FnMut(&str, f64, u64) -> Result<()>;

/// Trains `config` on the device behind `address`, as it would be trained here.
pub(in crate::model::neural) fn train(
    config: &NeuralConfig,
    address: RemoteAddress,
    (train, validation): (&Split, Option<&Split>),
    monitor: &Monitor,
    log: MetricLog<'_>,
    folder: Option<&Path>,
) -> Result<Neural> {
    let mut wire = connect(address)?;
    let in_context = |error: Error| match error.kind() {
        ErrorKind::Unavailable => {
            let error = error.with_context(format!("remote device {address}"));
            if error.hint().is_some() {
                return error;
            }
            error.with_hint("see whether its server runs; a run that kept a state goes on with train --resume RUN")
        }
        _ => error,
    };
    let sent = monitor.stage("sending the training", None, || {
        send(&mut wire, config, (train, validation), monitor, folder)
    });
    sent.map_err(in_context)?;
    let place = tempfile::tempdir().map_err(|source| {
        Error::new(ErrorKind::Io, "cannot make a folder for the model").with_source(source)
    })?;
    follow(&mut wire, place.path(), monitor, log, folder).map_err(in_context)?;
    wire.close();
    let files = ModelFiles::in_dir(&place.path().join("model"))?;
    let path = files.path(HEADER_FILE)?;
    let header = fs::read_to_string(path).map_err(|source| Error::io("read", path, source))?;
    // The files are mapped or read by now: they may go.
    load(&files, &header, Device::Auto)
}

fn connect(address: RemoteAddress) -> Result<Wire> {
    let nobody = |source: std::io::Error| {
        Error::new(ErrorKind::Unavailable, format!("no server answers at {address}"))
            .with_hint(Hint::from("start one on that machine with ").run("device serve"))
            .with_source(source)
    };
    let found = address.authority().to_socket_addrs().map_err(nobody)?;
    let mut stream = Err(std::io::Error::other("the name has no address"));
    for addr in found {
        stream = TcpStream::connect_timeout(&addr, CONNECT);
        if stream.is_ok() {
            break;
        }
    }
    let stream = stream.map_err(nobody)?;
    let _ = stream.set_nodelay(true);
    stream.set_read_timeout(Some(PATIENCE)).map_err(nobody)?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(nobody)?;
    let strange = |source: SocketError| {
        Error::new(ErrorKind::Unavailable, format!("{address} is no server that lends a device"))
            .with_hint(Hint::from("give the address that is shown by ").run("device serve"))
            .with_source(source)
    };
    let mut request = format!("{address}{PATH}").into_client_request().map_err(strange)?;
    if let Ok(key) = std::env::var(KEY_ENV)
        && !key.is_empty()
    {
        let value = HeaderValue::from_str(&format!("Bearer {key}"));
        let value = value.map_err(|source| {
            Error::invalid(format!("{KEY_ENV} holds no key")).with_source(source)
        })?;
        request.headers_mut().insert("authorization", value);
    }
    let socket = client_with_config(request, SteadyStream(stream), Some(web_socket_config()));
    let (socket, _) = socket.map_err(|error| match error {
        HandshakeError::Failure(SocketError::Http(response)) => {
            refused(address, response.status().as_u16())
        }
        HandshakeError::Failure(error) => strange(error),
        HandshakeError::Interrupted(_) => {
            Error::new(ErrorKind::Unavailable, format!("{address} did not answer in time"))
        }
    })?;
    Wire::new(socket)
}

/// The error of a server that answered with `status`.
fn refused(address: RemoteAddress, status: u16) -> Error {
    match status {
        401 | 403 => {
            let what = match status {
                403 => "the API key may not train: expected one of scope write",
                _ if std::env::var(KEY_ENV).is_ok_and(|key| !key.is_empty()) => {
                    "the API key does not hold"
                }
                _ => "an API key is needed, none was given",
            };
            let hint =
                Hint::from("on that machine make one with ").run("keys add NAME --scope write");
            Error::invalid(format!("remote device {address}: {what}"))
                .with_hint(hint.say(format!(", and put it into {KEY_ENV} here")))
        }
        404 => Error::invalid(format!(
            "remote device {address}: it is no server that lends a device, or of another version: \
             expected one that knows {PATH}"
        ))
        .with_hint("use the same version of trialbook on both machines"),
        503 => Error::new(
            ErrorKind::Unavailable,
            format!("remote device {address}: too many trainings wait there"),
        )
        .with_hint("try again when one of them is over"),
        _ => {
            Error::new(ErrorKind::Unavailable, format!("remote device {address} answered {status}"))
                .with_hint(Hint::from("give the address that is shown by ").run("device serve"))
        }
    }
}

fn send(
    wire: &mut Wire,
    config: &NeuralConfig,
    (train, validation): (&Split, Option<&Split>),
    monitor: &Monitor,
    folder: Option<&Path>,
) -> Result<()> {
    let job = RemoteJob {
        recipe: serde_json::to_value(config).expect("settings are plain values"),
        has_validation: validation.is_some(),
        keeps_states: folder.is_some(),
    };
    wire.send(&RemoteMessage::Job(job), &[])?;
    let place = tempfile::tempdir().map_err(|source| {
        Error::new(ErrorKind::Io, "cannot make a folder for the data").with_source(source)
    })?;
    let mut files = Vec::new();
    for (name, split) in [("train.json", Some(train)), ("validation.json", validation)] {
        let Some(split) = split else { continue };
        let path = place.path().join(name);
        let bytes = serde_json::to_vec(&SentSplit::from(split)).expect("splits are plain values");
        fs::write(&path, bytes).map_err(|source| Error::io("write", &path, source))?;
        files.push((path, name.to_owned()));
    }
    if let Some(folder) = folder {
        let kept = kept_files(folder)?;
        files.extend(kept.into_iter().map(|name| (folder.join(&name), format!("state/{name}"))));
    }
    // Where a state is continued, the checkpoint may be gone: it is not needed any more.
    let is_continued = files.iter().any(|(_, name)| name.starts_with("state/train_state"));
    if let Some(folder) = &config.checkpoint
        && !is_continued
    {
        let folder = snapshot(folder)?;
        // What is wrong with it is known before its weights travel, and named by its folder here.
        open_to_train(&folder, config.max_length)?;
        let names = file_names(&folder)?.into_iter().filter(|name| !is_of_others(name));
        files.extend(names.map(|name| (folder.join(&name), format!("checkpoint/{name}"))));
    }
    for (path, name) in files {
        sent_in_pieces(&path, &name, &mut |message, bytes| {
            monitor.interrupt.check()?;
            wire.send(&message, &bytes)
        })?;
    }
    wire.send(&RemoteMessage::Start, &[])
}

/// True for a file that lies beside many a checkpoint with its weights once more, or with an optimiser's,
/// in a form that nothing here reads.
fn is_of_others(name: &str) -> bool {
    const FORMS: [&str; 6] = ["ckpt", "h5", "msgpack", "ot", "pt", "pth"];
    name.rsplit_once('.').is_some_and(|(_, form)| FORMS.contains(&form))
}

/// Tells what comes back until the model is there, in `place`.
fn follow(
    wire: &mut Wire,
    place: &Path,
    monitor: &Monitor,
    log: MetricLog<'_>,
    folder: Option<&Path>,
) -> Result<()> {
    let mut incoming = IncomingFiles::new(place);
    let (mut stopping, mut n_stages) = (None::<Instant>, 0_u32);
    let outcome = loop {
        if monitor.interrupt.is_raised() && stopping.is_none() {
            stopping = Some(Instant::now());
            wire.send(&RemoteMessage::Stop, &[])?;
        }
        if stopping.is_some_and(|since| since.elapsed() > PATIENCE) {
            break monitor.interrupt.check();
        }
        let (message, bytes) = match wire.poll(LOOK) {
            Ok(Some(message)) => message,
            Ok(None) => continue,
            Err(error) => break Err(error),
        };
        match message {
            RemoteMessage::Waiting => {
                monitor.progress.note("waiting: the device computes another training");
            }
            RemoteMessage::Begin { stage, total } => {
                n_stages += 1;
                monitor.progress.begin(&stage, total);
            }
            RemoteMessage::Advance { n_steps } => monitor.progress.advance(n_steps),
            RemoteMessage::Note { remark } => monitor.progress.note(&remark),
            RemoteMessage::End => {
                n_stages = n_stages.saturating_sub(1);
                monitor.progress.end();
            }
            RemoteMessage::Metric { key, bits, step } => log(&key, f64::from_bits(bits), step)?,
            RemoteMessage::Piece { name, last } => incoming.take(&name, last, &bytes)?,
            RemoteMessage::Kept => {
                let names = incoming.taken();
                if let Some(folder) = folder {
                    keep(place, &names, folder)?;
                }
            }
            RemoteMessage::Finished => break Ok(()),
            RemoteMessage::Failed { error, message, hint } => {
                let error = RemoteMessage::error(&error, message, hint);
                if error.kind() == ErrorKind::Interrupted && !monitor.interrupt.is_raised() {
                    break Err(Error::new(ErrorKind::Unavailable, "its server was stopped"));
                }
                break Err(error);
            }
            RemoteMessage::Job(_) | RemoteMessage::Start | RemoteMessage::Stop => {
                break Err(Error::invalid("the server sent a message that only clients send"));
            }
        }
    };
    // Stages that the server could not end any more.
    (0..n_stages).for_each(|_| monitor.progress.end());
    outcome
}

/// Puts a state that came whole into `folder`, file by file in its order.
fn keep(place: &Path, names: &[String], folder: &Path) -> Result<()> {
    for name in names {
        let Some(inner) = name.strip_prefix("state/") else { continue };
        let (from, to) = (place.join(name), folder.join(inner));
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent).map_err(|source| Error::io("create", parent, source))?;
        }
        let bytes = fs::read(&from).map_err(|source| Error::io("read", &from, source))?;
        crate::store::write_atomically(&to, &bytes)?;
    }
    Ok(())
}
