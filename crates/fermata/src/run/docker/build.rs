//! The image of a service that is built from its source. What has not changed since is not built again.

use std::io::{self, BufWriter, Write};

use bollard::models::{ErrorDetail, ImageInspect};
use bollard::query_parameters::BuildImageOptionsBuilder;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};

use super::context::Context;
use super::credentials;
use super::engine::{Engine, said};
use crate::run::event::Progress;
use crate::run::plan::BuildPlan;

/// The label of an image that says what it was built of.
const CONTEXT: &str = "fermata.context";
/// A build's files are sent in pieces of this size, so many of which may wait for the engine.
const PIECE: usize = 64 * 1024;
const PIECES: usize = 16;

impl Engine {
    /// The image that was built of what is there now, if there is one.
    pub(super) async fn built_image(&self, plan: &BuildPlan) -> Result<Option<ImageInspect>, String> {
        let (_, digest) = look(plan).await?;
        self.image_of(plan, &digest).await
    }

    async fn image_of(&self, plan: &BuildPlan, digest: &str) -> Result<Option<ImageInspect>, String> {
        let is_of_this = |image: &ImageInspect| {
            let labels = image.config.as_ref().and_then(|config| config.labels.as_ref());
            labels.and_then(|labels| labels.get(CONTEXT)).map(String::as_str) == Some(digest)
        };
        Ok(self.known_image(&plan.name).await?.filter(is_of_this))
    }

    /// The same, built if need be. `tell` hears what the build says.
    pub(super) async fn build(&self, plan: &BuildPlan, tell: impl Fn(Progress)) -> Result<ImageInspect, String> {
        let (context, digest) = look(plan).await?;
        if let Some(image) = self.image_of(plan, &digest).await? {
            return Ok(image);
        }
        tell(format!("building {} from {}", plan.name, plan.root.display()).into());
        let options = BuildImageOptionsBuilder::default()
            .dockerfile(&context.dockerfile)
            .t(&plan.name)
            .labels(&[(CONTEXT.to_owned(), digest)].into())
            .forcerm(true)
            .build();
        let (pieces, sending) = send(context);
        let body = bollard::body_try_stream(pieces);
        let mut steps = std::pin::pin!(self.docker.build_image(options, Some(credentials::all().await), Some(body)));
        while let Some(step) = steps.next().await {
            let step = step.map_err(|err| failed(plan, &said(&err)))?;
            if let Some(ErrorDetail { message: Some(message), .. }) = step.error_detail {
                return Err(failed(plan, &message));
            }
            let lines = step.stream.as_deref().into_iter().chain(step.status.as_deref()).flat_map(str::lines);
            lines.filter(|line| !line.trim().is_empty()).for_each(|line| tell(line.to_owned().into()));
        }
        if let Ok(Err(err)) = sending.await {
            return Err(failed(plan, &err.to_string()));
        }
        self.known_image(&plan.name).await?.ok_or_else(|| failed(plan, "the engine gave no image"))
    }
}

fn failed(plan: &BuildPlan, why: &str) -> String {
    format!("its image cannot be built from {}: {}", plan.root.display(), why.trim())
}

/// The files of a build, and what tells them from others.
async fn look(plan: &BuildPlan) -> Result<(Context, String), String> {
    let (plan, root) = (plan.clone(), plan.root.display().to_string());
    let looked = spawn_blocking(move || {
        let context = Context::of(&plan)?;
        let digest = context.digest().map_err(|err| format!("{root} cannot be read: {err}"))?;
        Ok((context, digest))
    });
    looked.await.unwrap_or_else(|err| Err(err.to_string()))
}

/// The files as a stream for the engine, and the task that writes it.
fn send(context: Context) -> (impl Stream<Item = io::Result<Bytes>> + Send + 'static, JoinHandle<io::Result<()>>) {
    let (sender, pieces) = mpsc::channel(PIECES);
    let sending = spawn_blocking(move || {
        let mut pipe = BufWriter::with_capacity(PIECE, Pipe(sender.clone()));
        let written = context.write(&mut pipe).and_then(|()| pipe.flush());
        if let Err(err) = &written {
            // So that the engine does not take half of it for all.
            let _ = sender.blocking_send(Err(io::Error::new(err.kind(), err.to_string())));
        }
        written
    });
    let pieces = stream::unfold(pieces, |mut pieces| async { Some((pieces.recv().await?, pieces)) });
    (pieces, sending)
}

struct Pipe(mpsc::Sender<io::Result<Bytes>>);

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes)));
        sent.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
