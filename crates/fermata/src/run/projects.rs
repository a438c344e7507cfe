//! Which projects may have containers that outlive a Fermata: what tells the next one in the same state folder to look for
//! them, even where its file has none any more.
//!
//! A list that cannot be written or read is told and hinders nothing.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const FILE: &str = "containers";

/// The list, one name a line.
#[derive(Debug, Clone)]
pub(super) struct Projects {
    path: PathBuf,
}

impl Projects {
    /// The list of a state folder.
    pub(super) fn of(state: &Path) -> Projects {
        Projects { path: state.join(FILE) }
    }

    /// All that are on it.
    pub(super) fn all(&self) -> Result<BTreeSet<String>, String> {
        match fs::read_to_string(&self.path) {
            Ok(text) => Ok(text.lines().map(str::to_owned).collect()),
            Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(BTreeSet::new()),
            Err(err) => Err(self.cannot("read", &err)),
        }
    }

    /// From now on there may be containers of `project`.
    pub(super) fn begin(&self, project: &str) -> Result<(), String> {
        let mut all = self.all()?;
        if all.insert(project.to_owned()) { self.write(&all) } else { Ok(()) }
    }

    /// There are none left.
    pub(super) fn end(&self, project: &str) -> Result<(), String> {
        let mut all = self.all()?;
        if all.remove(project) { self.write(&all) } else { Ok(()) }
    }

    fn write(&self, all: &BTreeSet<String>) -> Result<(), String> {
        let text: String = all.iter().flat_map(|name| [name.as_str(), "\n"]).collect();
        // Read by the next Fermata only as a whole.
        let fresh = self.path.with_extension("new");
        let written = fs::write(&fresh, text).and_then(|()| fs::rename(&fresh, &self.path));
        written.map_err(|err| self.cannot("written", &err))
    }

    fn cannot(&self, be: &str, err: &io::Error) -> String {
        let path = self.path.display();
        format!("{path} cannot be {be}: {err}; containers that a later file no longer has may not be found")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_is_on_the_list_from_its_beginning_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let projects = Projects::of(folder.path());
        assert_eq!(projects.all(), Ok(BTreeSet::new()));
        for name in ["one", "two", "one"] {
            projects.begin(name).unwrap();
        }
        projects.end("one").unwrap();
        assert_eq!(projects.all(), Ok(["two".to_owned()].into()));
        let nowhere = Projects::of(&folder.path().join("no/such/folder"));
        assert!(nowhere.begin("one").unwrap_err().contains("cannot be written"));
    }
}
