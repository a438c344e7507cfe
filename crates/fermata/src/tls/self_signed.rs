//! A certificate made on the spot, for https ports that were given none. Kept in the state folder, so that a browser's
//! exception for it outlives a restart.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The certificate's and the key's file for `names`, made if they are not there.
pub fn self_signed(folder: &Path, names: &[String]) -> io::Result<(PathBuf, PathBuf)> {
    let files = (folder.join("self-signed.pem"), folder.join("self-signed.key"));
    let listed = folder.join("self-signed.names");
    let wanted = names.join("\n");
    let known = fs::read_to_string(&listed).is_ok_and(|known| known == wanted);
    if known && files.0.exists() && files.1.exists() {
        return Ok(files);
    }
    let (cert, key) = make_self_signed(names)?;
    fs::create_dir_all(folder)?;
    write_secret(&files.1, &key)?;
    fs::write(&files.0, cert)?;
    fs::write(&listed, wanted)?;
    Ok(files)
}

/// A certificate for `names` that signs itself, and its key: both as PEM.
pub fn make_self_signed(names: &[String]) -> io::Result<(String, String)> {
    let made = rcgen::generate_simple_self_signed(names.to_vec()).map_err(io::Error::other)?;
    Ok((made.cert.pem(), made.signing_key.serialize_pem()))
}

/// Writes a file that only its owner may read.
pub fn write_secret(path: &Path, text: &str) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(text.as_bytes())
}
