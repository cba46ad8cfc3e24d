//! The commit log: the file beside the database to which a commit is appended, because one write and
//! one sync in a file whose length stays are far less than a commit of redb's. From time to time, and
//! when a process that wrote to it closes, what it holds is written into the tables (a checkpoint) and
//! it begins anew. This is the file alone: frames, their checks, its lock; what lies in a frame and when
//! a checkpoint is due is told by others.
//!
//! ```text
//! bytes 0 to 4095    magic (16), id of the database (8), generation (8), CRC-32 of magic and id (4), zeros
//! from byte 4096 on  frames: length of the payload (4), CRC-32 (4), epoch (8), number (8), payload,
//!                    zeros up to a multiple of 8
//! ```
//!
//! All numbers are little-endian. The **epoch** counts checkpoints: the database says how many lie in
//! its tables, and only frames of the next epoch are news. Frames of an epoch are numbered from 0, so
//! the first one that is not the next one, or whose CRC-32 (of length, epoch, number and payload) is
//! wrong, is the end: older bytes may follow. The **generation** is written before the first frame of an
//! epoch, so that who reads an older one notices that it is being written over.
//!
//! As SQLite does by default ("powersafe overwrite"), it relies on a disk that does not change
//! bytes beside those that are written when the power fails.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    ops::Bound,
    path::Path,
};

use redb::{StorageBackend as _, backends::FileBackend};
use tempfile::NamedTempFile;

use super::locked_file::{FileIdentity, identity, keep_owner};
use crate::{
    error::{Error, Result},
    store::{sync_dir, temporary_file},
};

/// The length of the file: room for some hundred small commits, and little to read at the start.
const LOG_BYTES: u64 = 256 << 10;

const MAGIC: &[u8; 16] = b"trialbook log 1\n";
const ID_AT: u64 = 16;
const GENERATION_AT: u64 = 24;
const CHECKSUM_AT: u64 = 32;
const FRAMES_AT: u64 = 4096;
const FRAME_HEAD_BYTES: usize = 24;

/// Whoever appends holds it, from before it reads the end until its frame is durable. It lies behind
/// every byte, and redb, whose way to lock is used, gives it no meaning.
const WRITER_BYTE: (Bound<u64>, Bound<u64>) =
    (Bound::Included((1 << 62) + 1000), Bound::Included((1 << 62) + 1000));

/// The place where the next frame goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LogEnd {
    pub(super) epoch: u64,
    /// The number of frames before it.
    pub(super) n_frames: u64,
    offset: u64,
}

impl LogEnd {
    /// The beginning of an epoch.
    pub(super) fn of_epoch(epoch: u64) -> Self {
        Self { epoch, n_frames: 0, offset: FRAMES_AT }
    }

    /// The place behind a frame with `payload`.
    pub(super) fn after(self, payload: &[u8]) -> Self {
        let offset = self.offset + frame_bytes(payload.len());
        Self { n_frames: self.n_frames + 1, offset, ..self }
    }
}

/// True where a write to the log is on the disk when it returns: one call of the system in place of two.
const WRITES_ARE_SYNCED: bool = cfg!(target_os = "linux");

/// An open log.
pub(super) struct CommitLog {
    backend: FileBackend,
    /// The database that it belongs to.
    id: u64,
    identity: Option<FileIdentity>,
}

impl CommitLog {
    /// The log at `path`; none if none lies there. Another content is damage, never an empty log.
    pub(super) fn open(path: &Path, writable: bool) -> io::Result<Option<Self>> {
        let mut options = File::options();
        options.read(true).write(writable);
        #[cfg(target_os = "linux")]
        if writable {
            use std::os::unix::fs::OpenOptionsExt as _;
            options.custom_flags(rustix::fs::OFlags::DSYNC.bits().cast_signed());
        }
        let file = match options.open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let metadata = file.metadata()?;
        if metadata.len() != LOG_BYTES {
            return Err(damaged());
        }
        let backend = FileBackend::new(file).map_err(io::Error::other)?;
        let id = read_number(&backend, ID_AT)?;
        let mut head = [0; MAGIC.len()];
        let mut checksum = [0; 4];
        backend.read(0, &mut head)?;
        backend.read(CHECKSUM_AT, &mut checksum)?;
        if &head != MAGIC || checksum != head_checksum(id) {
            return Err(damaged());
        }
        Ok(Some(Self { backend, id, identity: identity(&metadata) }))
    }

    /// Makes an empty log at `path` for the database `id`, whose file is at `database`: who may use that
    /// may use the log. One that lies there already stays.
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) fn create(path: &Path, id: u64, database: &Path) -> Result<()> {
        let fail = |error| Error::io("write", path, error);
        match prepare(path, id, database).map_err(fail)?.persist_noclobber(path) {
            Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => {
                Err(fail(error.error))
            }
            _ => sync_dir(dir_of(path)),
        }
    }

    /// Puts an empty log in the place of what lies at `path`.
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) fn replace(path: &Path, id: u64, database: &Path) -> Result<()> {
        let fail = |error| Error::io("write", path, error);
        let fresh = prepare(path, id, database).map_err(fail)?;
        fresh.persist(path).map_err(|error| fail(error.error))?;
        sync_dir(dir_of(path))
    }

    /// True if it is the file that lies at `path`.
    pub(super) fn lies_at(&self, path: &Path) -> bool {
        fs::metadata(path).is_ok_and(|found| identity(&found) == self.identity)
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// Waits until nobody else appends, and keeps everybody from it.
    pub(super) fn lock(&self) -> io::Result<()> {
        Ok(self.backend.lock_range(WRITER_BYTE.0, WRITER_BYTE.1)?)
    }

    pub(super) fn unlock(&self) -> io::Result<()> {
        Ok(self.backend.unlock_range(WRITER_BYTE.0, WRITER_BYTE.1)?)
    }

    /// The epoch whose frames may have written over older ones.
    pub(super) fn generation(&self) -> io::Result<u64> {
        read_number(&self.backend, GENERATION_AT)
    }

    /// The payload of the frame at `end`, and where the next one goes; none if there is none.
    pub(super) fn read(&self, end: LogEnd) -> io::Result<Option<(Vec<u8>, LogEnd)>> {
        if end.offset + FRAME_HEAD_BYTES as u64 > LOG_BYTES {
            return Ok(None);
        }
        let mut head = [0; FRAME_HEAD_BYTES];
        self.backend.read(end.offset, &mut head)?;
        let head = FrameHead::parse(&head);
        if (head.epoch, head.number) != (end.epoch, end.n_frames)
            || end.offset + frame_bytes(head.n_bytes as usize) > LOG_BYTES
        {
            return Ok(None);
        }
        let mut payload = vec![0; head.n_bytes as usize];
        self.backend.read(end.offset + FRAME_HEAD_BYTES as u64, &mut payload)?;
        if head.checksum != head.checksum_with(&payload) {
            return Ok(None);
        }
        let next = end.after(&payload);
        Ok(Some((payload, next)))
    }

    /// True if a later frame of its epoch lies behind the frame at `end`, which cannot be read: damage,
    /// and not the end.
    pub(super) fn goes_on_behind(&self, end: LogEnd) -> io::Result<bool> {
        let mut bytes = vec![0; (LOG_BYTES - FRAMES_AT) as usize];
        self.backend.read(FRAMES_AT, &mut bytes)?;
        let from = usize::try_from(end.offset - FRAMES_AT).unwrap_or(usize::MAX);
        let found = (from..bytes.len()).step_by(8).any(|at| {
            let Some(head) = bytes.get(at..at + FRAME_HEAD_BYTES) else { return false };
            let head = FrameHead::parse(head.try_into().expect("a head's length"));
            let content = at + FRAME_HEAD_BYTES..;
            (head.epoch, head.number > end.n_frames) == (end.epoch, true)
                && bytes[content]
                    .get(..head.n_bytes as usize)
                    .is_some_and(|payload| head.checksum == head.checksum_with(payload))
        });
        // Somebody may have written both frames meanwhile.
        Ok(found && self.read(end)?.is_none() && self.generation()? <= end.epoch)
    }

    /// True if a frame with `payload` fits in at `end`.
    pub(super) fn has_room(&self, end: LogEnd, payload: &[u8]) -> bool {
        end.offset + frame_bytes(payload.len()) <= LOG_BYTES
    }

    /// Appends a frame, durably; there must be room for it, and `self` locked.
    pub(super) fn append(&self, end: LogEnd, payload: &[u8]) -> io::Result<()> {
        if end.n_frames == 0 {
            self.begin_epoch(end.epoch)?;
        }
        let mut head = FrameHead {
            n_bytes: u32::try_from(payload.len()).map_err(io::Error::other)?,
            checksum: 0,
            epoch: end.epoch,
            number: end.n_frames,
        };
        head.checksum = head.checksum_with(payload);
        let mut frame = head.to_bytes().to_vec();
        frame.extend_from_slice(payload);
        let mut appended = self.backend.write(end.offset, &frame);
        if appended.is_ok() && !WRITES_ARE_SYNCED {
            appended = self.backend.sync_data();
        }
        if appended.is_err() {
            // Nobody is told that it is written, so nobody is to read it.
            let _ = self.backend.write(end.offset, &[0; FRAME_HEAD_BYTES]);
        }
        appended
    }

    /// From here on, frames of `epoch` may write over older ones.
    pub(super) fn begin_epoch(&self, epoch: u64) -> io::Result<()> {
        self.backend.write(GENERATION_AT, &epoch.to_le_bytes())
    }
}

struct FrameHead {
    n_bytes: u32,
    checksum: u32,
    epoch: u64,
    number: u64,
}

impl FrameHead {
    fn parse(bytes: &[u8; FRAME_HEAD_BYTES]) -> Self {
        let four = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
        let eight = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
        Self { n_bytes: four(0), checksum: four(4), epoch: eight(8), number: eight(16) }
    }

    fn to_bytes(&self) -> [u8; FRAME_HEAD_BYTES] {
        let mut bytes = [0; FRAME_HEAD_BYTES];
        bytes[..4].copy_from_slice(&self.n_bytes.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.checksum.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.epoch.to_le_bytes());
        bytes[16..].copy_from_slice(&self.number.to_le_bytes());
        bytes
    }

    fn checksum_with(&self, payload: &[u8]) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&self.n_bytes.to_le_bytes());
        hasher.update(&self.epoch.to_le_bytes());
        hasher.update(&self.number.to_le_bytes());
        hasher.update(payload);
        hasher.finalize()
    }
}

/// The CRC-32 of magic and `id`.
fn head_checksum(id: u64) -> [u8; 4] {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(MAGIC);
    hasher.update(&id.to_le_bytes());
    hasher.finalize().to_le_bytes()
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "it has not the form of a commit log")
}

fn frame_bytes(n_payload: usize) -> u64 {
    (FRAME_HEAD_BYTES as u64 + n_payload as u64).next_multiple_of(8)
}

fn read_number(backend: &FileBackend, offset: u64) -> io::Result<u64> {
    let mut bytes = [0; 8];
    backend.read(offset, &mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

/// An empty log that wants nothing but its name. Its zeros are written: a write into room that is
/// merely reserved makes the next sync write the file's metadata as well.
fn prepare(path: &Path, id: u64, database: &Path) -> io::Result<NamedTempFile> {
    let mut file = temporary_file(dir_of(path))?;
    let mut bytes = vec![0; LOG_BYTES as usize];
    bytes[..MAGIC.len()].copy_from_slice(MAGIC);
    bytes[ID_AT as usize..GENERATION_AT as usize].copy_from_slice(&id.to_le_bytes());
    let checksum_at = CHECKSUM_AT as usize;
    bytes[checksum_at..checksum_at + 4].copy_from_slice(&head_checksum(id));
    file.write_all(&bytes)?;
    keep_owner(&fs::metadata(database)?, file.as_file())?;
    Ok(file)
}

fn dir_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}
