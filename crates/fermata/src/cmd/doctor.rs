//! `fermata doctor`.

use std::path::{Path, PathBuf};

use super::{Answer, Failure, file, report, state_dir};
use crate::app::{Drawn, Place};
use crate::cli::Doctor;
use crate::doctor::{self, Question};

/// Runs it.
pub fn run(args: &Doctor) -> Result<Answer, Failure> {
    let file = file::find(args.file.as_deref())?;
    let checked = fermata_spec::read(&file::read(&file)?);
    let folder = match file.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    let place = Place { folder, state: state_dir(args.state_dir.as_deref()), drawn: Drawn::new() };
    let question = Question { file, checked, place, roots: rustls_native_certs::load_native_certs().certs };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::No(format!("cannot start: {error}")))?;
    let report = runtime.block_on(doctor::examine(&question));
    // A resolver that hangs holds a thread that nobody has to wait for.
    runtime.shutdown_background();
    Ok(report::print(&report, args.format))
}
