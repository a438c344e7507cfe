//! The files of `HAProxy` in the state folder, for its owner alone: there are keys among them.

use std::fs;
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A folder for one `HAProxy`.
#[derive(Debug, Clone)]
pub(super) struct Folder(PathBuf);

/// What `HAProxy` is to use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Its configuration.
    pub(super) text: String,
    /// Certificate, chain and key of each pair, in the order of the file.
    pub(super) certificates: Vec<Vec<u8>>,
    /// Pages that it sends for errors, which it reads from where they are.
    pub(super) pages: Vec<Vec<u8>>,
}

/// Something to be written, and what for.
type Written = (PathBuf, Vec<u8>);

impl Folder {
    /// In this state folder; made where there is none.
    pub(super) fn of(state: &Path) -> io::Result<Folder> {
        let path = std::path::absolute(state)?.join("haproxy");
        fs::create_dir_all(path.join("certs"))?;
        fs::create_dir_all(path.join("certs.new"))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700))?;
        Ok(Folder(path))
    }

    /// The configuration that it runs with.
    pub(super) fn configuration(&self) -> PathBuf {
        self.0.join("haproxy.cfg")
    }

    /// Its runtime socket.
    pub(super) fn socket(&self) -> PathBuf {
        self.0.join("admin.sock")
    }

    /// The socket of its master.
    pub(super) fn master(&self) -> PathBuf {
        self.0.join("master.sock")
    }

    /// Where it gives itself TLS that ends there.
    pub(super) fn ending(&self) -> PathBuf {
        self.0.join("tls.sock")
    }

    /// What the servers' states were before a reload.
    pub(super) fn states(&self) -> PathBuf {
        self.0.join("servers.state")
    }

    /// Where it reads certificates.
    pub(super) fn certificates(&self) -> PathBuf {
        self.0.join("certs")
    }

    /// Writes what is wanted beside what is used; returns the configuration, as it can be checked.
    pub(super) fn propose(&self, wanted: &Wanted) -> io::Result<PathBuf> {
        let (certs, proposed) = (self.certificates(), self.0.join("certs.new"));
        fill(&proposed, &wanted.certificates)?;
        let text = wanted.text.replace(&format!("{}/", certs.display()), &format!("{}/", proposed.display()));
        let path = self.0.join("haproxy.cfg.new");
        write(&path, text.as_bytes())?;
        Ok(path)
    }

    /// Puts what is wanted in the place of what is used.
    pub(super) fn settle(&self, wanted: &Wanted) -> io::Result<()> {
        fill(&self.certificates(), &wanted.certificates)?;
        let fresh = self.0.join("haproxy.cfg.new");
        write(&fresh, wanted.text.as_bytes())?;
        fs::rename(fresh, self.configuration())
    }

    /// Writes the states of servers for the next start to read.
    pub(super) fn keep_states(&self, states: &str) -> io::Result<()> {
        write(&self.states(), states.as_bytes())
    }
}

/// Makes a folder hold these certificates and no others.
fn fill(folder: &Path, certificates: &[Vec<u8>]) -> io::Result<()> {
    let files: Vec<Written> = certificates
        .iter()
        .enumerate()
        .map(|(at, bytes)| (folder.join(format!("{at:04}.pem")), bytes.clone()))
        .collect();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if !files.iter().any(|(file, _)| *file == path) {
            fs::remove_file(path)?;
        }
    }
    files.iter().try_for_each(|(path, bytes)| write(path, bytes))
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write;
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)
}
