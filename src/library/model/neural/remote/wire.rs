//! A WebSocket on which messages go both ways. It knows frames and how long to wait; what a message means,
//! it does not.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use tungstenite::{Message, WebSocket, protocol::WebSocketConfig};

use super::message::RemoteMessage;
use crate::error::{Error, ErrorKind, Result};

/// The path that is asked for: it names the version of the protocol.
pub const PATH: &str = "/device/1";
/// The longest frame that is read; pieces of files are half as long.
const MAX_FRAME_BYTES: usize = 8 << 20;
/// The time after which a side that says nothing is gone.
const SILENCE: Duration = Duration::from_secs(60);
/// The time between two signs of life.
const PULSE: Duration = Duration::from_secs(5);

/// The bounds of what is read.
pub fn web_socket_config() -> WebSocketConfig {
    WebSocketConfig::default()
        .max_frame_size(Some(MAX_FRAME_BYTES))
        .max_message_size(Some(MAX_FRAME_BYTES))
}

/// A stream that a signal, such as that of Ctrl-C, does not break: the system ends the call that waits, and
/// where a time to wait was set, begins it anew for no handler.
pub struct SteadyStream(pub TcpStream);

impl Read for SteadyStream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        steadily(|| self.0.read(bytes))
    }
}

impl Write for SteadyStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        steadily(|| self.0.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        steadily(|| self.0.flush())
    }
}

fn steadily<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// One side of a connection.
pub struct Wire {
    socket: WebSocket<SteadyStream>,
    heard: Instant,
    pulsed: Instant,
}

impl Wire {
    /// # Errors
    /// [`ErrorKind::Unavailable`] where the connection is broken already.
    pub fn new(socket: WebSocket<SteadyStream>) -> Result<Self> {
        socket.get_ref().0.set_write_timeout(Some(SILENCE)).map_err(broken)?;
        Ok(Self { socket, heard: Instant::now(), pulsed: Instant::now() })
    }

    /// Sends `message` with the bytes of a file.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] for a broken connection.
    pub fn send(&mut self, message: &RemoteMessage, bytes: &[u8]) -> Result<()> {
        self.socket.send(Message::binary(message.encode(bytes))).map_err(broken)
    }

    /// The next message, if one comes within `patience`.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] for a broken connection and for a side that has been silent for long;
    /// [`ErrorKind::Invalid`] for what is no message.
    pub fn poll(&mut self, patience: Duration) -> Result<Option<(RemoteMessage, Vec<u8>)>> {
        if self.pulsed.elapsed() >= PULSE {
            self.pulsed = Instant::now();
            self.socket.send(Message::Ping(Default::default())).map_err(broken)?;
        }
        self.socket.get_ref().0.set_read_timeout(Some(patience)).map_err(broken)?;
        match self.socket.read() {
            Ok(Message::Binary(frame)) => {
                self.heard = Instant::now();
                let (message, bytes) = RemoteMessage::decode(&frame)?;
                Ok(Some((message, bytes.to_vec())))
            }
            Ok(_) => {
                self.heard = Instant::now();
                Ok(None)
            }
            Err(tungstenite::Error::Io(error))
                if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) =>
            {
                if self.heard.elapsed() < SILENCE {
                    return Ok(None);
                }
                Err(broken(io::Error::other(format!("silent for {} s", SILENCE.as_secs()))))
            }
            Err(error) => Err(broken(error)),
        }
    }

    /// Says that nothing more comes.
    pub fn close(&mut self) {
        let _ = self.socket.close(None).and_then(|()| self.socket.flush());
    }
}

fn broken(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(ErrorKind::Unavailable, "the connection broke").with_source(source)
}
