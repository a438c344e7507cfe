//! Asks a running Fermata. Blocking: commands have nothing else to do.

use std::fmt;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use super::SOCKET;
use super::protocol::{Reply, Request};

/// Why nobody answered.
#[derive(Debug)]
pub struct CallError {
    folder: PathBuf,
    source: std::io::Error,
}

impl fmt::Display for CallError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let folder = self.folder.display();
        match self.source.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => write!(
                out,
                "no fermata is running with the state folder {folder}; start one with fermata up, or name its folder with \
                 --state-dir"
            ),
            ErrorKind::PermissionDenied => {
                write!(out, "the fermata with the state folder {folder} belongs to somebody else; use sudo")
            }
            _ => write!(out, "the fermata with the state folder {folder} does not answer: {}", self.source),
        }
    }
}

impl std::error::Error for CallError {}

/// Sends a request, and gives each reply to `each` until the last, or until `each` says that it has had enough.
pub fn call(folder: &Path, request: &Request, mut each: impl FnMut(Reply) -> bool) -> Result<(), CallError> {
    let failed = |source| CallError { folder: folder.to_owned(), source };
    let mut stream = UnixStream::connect(folder.join(SOCKET)).map_err(failed)?;
    let mut line = serde_json::to_vec(request).map_err(|error| failed(error.into()))?;
    line.push(b'\n');
    stream.write_all(&line).map_err(failed)?;
    for line in BufReader::new(stream).lines() {
        let reply = serde_json::from_str(&line.map_err(failed)?).map_err(|error| failed(error.into()))?;
        if !each(reply) {
            break;
        }
    }
    Ok(())
}
