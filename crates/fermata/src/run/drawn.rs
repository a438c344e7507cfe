//! Values that `AUTO_GENERATE` has come to, kept in the state folder: drawn once, they stay, so that a database that was made with
//! a password is still opened by it, and an unchanged file changes no container.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::planner::Drawn;

const FILE: &str = "generated.json";

/// By the folder of the file, service and variable.
type Written = BTreeMap<String, BTreeMap<String, BTreeMap<String, String>>>;

/// Where they are kept.
#[derive(Debug, Clone)]
pub struct Keepsake {
    path: PathBuf,
    folder: String,
}

impl Keepsake {
    /// Those of the service.yml in `folder`.
    pub fn of(state: &Path, folder: &Path) -> Keepsake {
        Keepsake { path: state.join(FILE), folder: folder.display().to_string() }
    }

    /// What is kept; nothing where that cannot be read.
    pub fn read(&self) -> Drawn {
        let own = self.all().remove(&self.folder).unwrap_or_default();
        let each = own.into_iter().flat_map(|(service, variables)| {
            variables.into_iter().map(move |(name, text)| ((service.clone(), name), text))
        });
        each.collect()
    }

    /// Keeps these too, for nobody else to read.
    pub fn keep(&self, drawn: impl IntoIterator<Item = ((String, String), String)>) -> io::Result<()> {
        let mut all = self.all();
        let before = all.clone();
        for ((service, name), text) in drawn {
            all.entry(self.folder.clone()).or_default().entry(service).or_default().insert(name, text);
        }
        if all == before {
            return Ok(());
        }
        let fresh = self.path.with_extension("new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        serde_json::to_writer_pretty(&mut file, &all)?;
        file.flush()?;
        fs::rename(&fresh, &self.path)
    }

    fn all(&self) -> Written {
        let text = fs::read(&self.path).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_was_drawn_for_one_folder_is_kept_for_it_alone() {
        let state = tempfile::tempdir().unwrap();
        let (here, there) = (Keepsake::of(state.path(), Path::new("/a")), Keepsake::of(state.path(), Path::new("/b")));
        let one = |text: &str| Drawn::from([(("db".to_owned(), "PASSWORD".to_owned()), text.to_owned())]);
        assert_eq!(here.read(), Drawn::new());
        here.keep(one("secret")).unwrap();
        there.keep(one("other")).unwrap();
        here.keep(Drawn::new()).unwrap();
        assert_eq!((here.read(), there.read()), (one("secret"), one("other")));
        let mode = fs::metadata(state.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
