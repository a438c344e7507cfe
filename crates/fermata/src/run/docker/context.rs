//! What a build sees: the files of a folder but for those that its .dockerignore names, and the Dockerfile.

use std::fs::{self, File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context as Hasher, SHA256};

use super::ignore::Ignore;
use crate::run::plan::BuildPlan;

/// What the Dockerfile is called in the build if it is not in the folder.
const FROM_ELSEWHERE: &str = ".fermata.dockerfile";
const IGNORE_FILE: &str = ".dockerignore";

/// The files of a build, in the order of their paths.
#[derive(Debug)]
pub(super) struct Context {
    root: PathBuf,
    /// Paths below `root`, with `/`.
    files: Vec<Entry>,
    /// What the Dockerfile is called.
    pub(super) dockerfile: String,
    /// Where it is, if not in the folder, and what the .dockerignore says beside.
    elsewhere: Option<(PathBuf, Vec<u8>)>,
}

#[derive(Debug)]
struct Entry {
    path: String,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Folder,
    File,
    Link(PathBuf),
}

impl Context {
    /// Looks at the folder. It reads no file but the .dockerignore; an error says what to do.
    pub(super) fn of(plan: &BuildPlan) -> Result<Context, String> {
        let root = plan.root.clone();
        if !root.is_dir() {
            return Err(format!("the folder {} does not exist; create it, or change build_root", root.display()));
        }
        let path = root.join(&plan.dockerfile);
        if !path.is_file() {
            return Err(format!(
                "there is no Dockerfile at {}; write one, or say in dockerfile_path where it is",
                path.display()
            ));
        }
        let cannot = |err: io::Error| format!("{} cannot be read: {err}", root.display());
        let ignore = match fs::read_to_string(root.join(IGNORE_FILE)) {
            Ok(text) => text,
            Err(err) if err.kind() == io::ErrorKind::NotFound => String::new(),
            Err(err) => return Err(cannot(err)),
        };
        let inside = inside(&root, &path).map_err(cannot)?;
        let mut files = Vec::new();
        let rules = Ignore::read(&ignore);
        // The engine needs both, and takes them away itself where they are not to be seen.
        let always = |path: &str| path == IGNORE_FILE || Some(path) == inside.as_deref();
        walk(&root, "", &rules, &always, &mut files).map_err(cannot)?;
        files.sort_by(|one, other| one.path.cmp(&other.path));
        let elsewhere = if inside.is_none() {
            files.retain(|entry| entry.path != IGNORE_FILE);
            Some((path, format!("{ignore}\n{FROM_ELSEWHERE}\n").into_bytes()))
        } else {
            None
        };
        let dockerfile = inside.unwrap_or_else(|| FROM_ELSEWHERE.to_owned());
        Ok(Context { root, files, dockerfile, elsewhere })
    }

    /// Tells builds of different things apart: paths, rights and contents count, times do not.
    pub(super) fn digest(&self) -> io::Result<String> {
        let mut hasher = Hasher::new(&SHA256);
        let mut piece = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_be_bytes());
            hasher.update(bytes);
        };
        piece(self.dockerfile.as_bytes());
        let mut contents = Hasher::new(&SHA256);
        for Entry { path, kind } in &self.files {
            let file = self.root.join(path);
            piece(path.as_bytes());
            match kind {
                Kind::Folder => piece(b"folder"),
                Kind::Link(to) => piece(to.as_os_str().as_encoded_bytes()),
                Kind::File => {
                    piece(&(fs::metadata(&file)?.permissions().mode() & 0o777).to_be_bytes());
                    update(&mut contents, File::open(&file)?)?;
                }
            }
        }
        if let Some((dockerfile, ignore)) = &self.elsewhere {
            piece(ignore);
            update(&mut contents, File::open(dockerfile)?)?;
        }
        piece(contents.finish().as_ref());
        Ok(hasher.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Writes it as tar(5).
    pub(super) fn write(&self, to: impl Write) -> io::Result<()> {
        let mut tar = tar::Builder::new(to);
        tar.follow_symlinks(false);
        for Entry { path, .. } in &self.files {
            // Its owner is root, as for everything that a Dockerfile copies.
            let file = self.root.join(path);
            let seen = fs::symlink_metadata(&file)?;
            let mut header = header(&seen);
            if seen.is_symlink() {
                tar.append_link(&mut header, path, fs::read_link(&file)?)?;
            } else if seen.is_dir() {
                tar.append_data(&mut header, format!("{path}/"), io::empty())?;
            } else {
                append(&mut tar, &mut header, path, &file)?;
            }
        }
        if let Some((dockerfile, ignore)) = &self.elsewhere {
            append(&mut tar, &mut header(&fs::metadata(dockerfile)?), FROM_ELSEWHERE, dockerfile)?;
            let mut header = header(&fs::metadata(dockerfile)?);
            header.set_size(ignore.len() as u64);
            tar.append_data(&mut header, IGNORE_FILE, &ignore[..])?;
        }
        tar.into_inner()?.flush()
    }
}

/// What a file's path is below the root, if it is there.
fn inside(root: &Path, file: &Path) -> io::Result<Option<String>> {
    let (root, file) = (fs::canonicalize(root)?, fs::canonicalize(file)?);
    Ok(file.strip_prefix(root).ok().and_then(|path| path.to_str()).map(str::to_owned))
}

fn walk(
    root: &Path,
    below: &str,
    rules: &Ignore,
    always: &dyn Fn(&str) -> bool,
    files: &mut Vec<Entry>,
) -> io::Result<()> {
    for entry in fs::read_dir(root.join(below))? {
        let entry = entry?;
        // What the engine could not be told, it cannot be given.
        let Ok(name) = entry.file_name().into_string() else { continue };
        let path = if below.is_empty() { name } else { format!("{below}/{name}") };
        let hidden = rules.hides(&path) && !always(&path);
        let kind = entry.file_type()?;
        if kind.is_dir() {
            if !hidden {
                files.push(Entry { path: path.clone(), kind: Kind::Folder });
            }
            if !hidden || rules.brings_back() {
                walk(root, &path, rules, always, files)?;
            }
        } else if hidden {
        } else if kind.is_symlink() {
            let to = fs::read_link(entry.path())?;
            files.push(Entry { path, kind: Kind::Link(to) });
        } else if kind.is_file() {
            files.push(Entry { path, kind: Kind::File });
        }
        // Sockets, pipes and devices are no part of a build.
    }
    Ok(())
}

fn header(seen: &Metadata) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_metadata(seen);
    header.set_uid(0);
    header.set_gid(0);
    if !seen.is_file() {
        header.set_size(0);
    }
    header
}

fn append(tar: &mut tar::Builder<impl Write>, header: &mut tar::Header, path: &str, file: &Path) -> io::Result<()> {
    let file = File::open(file)?;
    let size = header.size()?;
    // One that grows or shrinks meanwhile must not spoil what follows.
    tar.append_data(header, path, file.take(size).chain(io::repeat(0)).take(size))
}

fn update(hasher: &mut Hasher, mut file: File) -> io::Result<()> {
    let mut bytes = vec![0; 64 * 1024];
    let mut length = 0u64;
    loop {
        let read = file.read(&mut bytes)?;
        if read == 0 {
            hasher.update(&length.to_be_bytes());
            return Ok(());
        }
        length += read as u64;
        hasher.update(&bytes[..read]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site() -> (tempfile::TempDir, BuildPlan) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("app");
        fs::create_dir_all(root.join("src")).unwrap();
        fs::create_dir(root.join("target")).unwrap();
        for (name, text) in [
            ("app/Dockerfile", "FROM scratch\n"),
            ("app/.dockerignore", "target\nDockerfile\n*.log\n"),
            ("app/src/main.rs", "fn main() {}"),
            ("app/target/big", "big"),
            ("app/a.log", "noise"),
            ("Other", "FROM scratch\nCOPY . /\n"),
        ] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        std::os::unix::fs::symlink("src/main.rs", root.join("link")).unwrap();
        let plan = BuildPlan { name: "app".to_owned(), root, dockerfile: "Dockerfile".to_owned() };
        (folder, plan)
    }

    fn paths(context: &Context) -> Vec<String> {
        let mut tar = Vec::new();
        context.write(&mut tar).unwrap();
        let mut archive = tar::Archive::new(&tar[..]);
        let entries = archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string());
        entries.collect()
    }

    #[test]
    fn a_build_sees_the_folder_but_for_what_is_ignored() {
        let (_folder, plan) = site();
        let context = Context::of(&plan).unwrap();
        assert_eq!(paths(&context), [".dockerignore", "Dockerfile", "link", "src/", "src/main.rs"]);
        assert_eq!(context.dockerfile, "Dockerfile");
    }

    #[test]
    fn a_dockerfile_of_another_folder_comes_along_under_a_name_that_the_build_does_not_see() {
        let (_folder, plan) = site();
        let context = Context::of(&BuildPlan { dockerfile: "../Other".to_owned(), ..plan }).unwrap();
        assert_eq!(paths(&context), ["link", "src/", "src/main.rs", ".fermata.dockerfile", ".dockerignore"]);
        assert_eq!(context.elsewhere.unwrap().1, b"target\nDockerfile\n*.log\n\n.fermata.dockerfile\n");
    }

    #[test]
    fn only_what_the_build_sees_makes_another_digest() {
        let (_folder, plan) = site();
        let digest = || Context::of(&plan).unwrap().digest().unwrap();
        let first = digest();
        fs::write(plan.root.join("target/big"), "bigger").unwrap();
        fs::write(plan.root.join("b.log"), "more noise").unwrap();
        assert_eq!(digest(), first);
        fs::write(plan.root.join("src/main.rs"), "fn main() { }").unwrap();
        assert_ne!(digest(), first);
    }

    #[test]
    fn what_is_missing_is_told() {
        let (_folder, plan) = site();
        let at = |root: &Path, dockerfile: &str| {
            Context::of(&BuildPlan { name: String::new(), root: root.to_owned(), dockerfile: dockerfile.to_owned() })
                .unwrap_err()
        };
        let (root, nowhere) = (&plan.root, plan.root.join("nowhere"));
        assert_eq!(
            at(&nowhere, "Dockerfile"),
            format!("the folder {} does not exist; create it, or change build_root", nowhere.display())
        );
        assert_eq!(
            at(root, "No"),
            format!(
                "there is no Dockerfile at {}; write one, or say in dockerfile_path where it is",
                root.join("No").display()
            )
        );
    }
}
