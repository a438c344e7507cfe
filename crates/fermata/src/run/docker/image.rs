//! The image of a container: there already, or pulled.

use std::collections::BTreeMap;

use bollard::models::{CreateImageInfo, ImageInspect};
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::StreamExt;

use super::credentials;
use super::engine::{Engine, is_missing, said};
use crate::run::plan::{ContainerPlan, ImagePlan};

impl Engine {
    /// What the containers of a plan are made of: what they were made of before, or else what its image is now, which is
    /// pulled or built if need be. `tell` hears how far that is.
    pub(super) async fn image(&self, plan: &ContainerPlan, tell: impl Fn(String)) -> Result<ImageInspect, String> {
        let _alone = self.making.lock().await;
        if let Some(id) = plan.settled.0.get()
            && let Some(image) = self.known_image(id).await?
        {
            return Ok(image);
        }
        let image = match &plan.image {
            ImagePlan::Named(name) => self.named_image(name, tell).await?,
            ImagePlan::Built(build) => self.build(build, tell).await?,
        };
        // Set before, it names an image that is there no more, and its name is what is left.
        let _ = plan.settled.0.set(image.id.clone().unwrap_or_else(|| plan.image.name().to_owned()));
        Ok(image)
    }

    /// The same, if nothing has to be pulled or built.
    pub(super) async fn image_at_hand(&self, plan: &ImagePlan) -> Result<Option<ImageInspect>, String> {
        match plan {
            ImagePlan::Named(name) => self.known_image(name).await,
            ImagePlan::Built(build) => self.built_image(build).await,
        }
    }

    async fn named_image(&self, name: &str, tell: impl Fn(String)) -> Result<ImageInspect, String> {
        if let Some(image) = self.known_image(name).await? {
            return Ok(image);
        }
        tell(format!("pulling {name}"));
        self.pull(name, &tell).await.map_err(|why| {
            format!(
                "the image {name} is not here and cannot be pulled: {why}; check its name and tag, log in to its \
                 registry (docker login) if it is private, or build it (docker build -t {name} .)"
            )
        })?;
        self.docker.inspect_image(name).await.map_err(|err| said(&err))
    }

    /// The image of this name, if the engine has it.
    pub(super) async fn known_image(&self, name: &str) -> Result<Option<ImageInspect>, String> {
        match self.docker.inspect_image(name).await {
            Ok(image) => Ok(Some(image)),
            Err(err) if is_missing(&err) => Ok(None),
            Err(err) => Err(said(&err)),
        }
    }

    async fn pull(&self, name: &str, tell: &impl Fn(String)) -> Result<(), String> {
        let options = CreateImageOptionsBuilder::default().from_image(&tagged(name)).build();
        let mut steps = self.docker.create_image(Some(options), None, credentials::of(name).await);
        let mut progress = Progress::default();
        while let Some(step) = steps.next().await {
            let step = step.map_err(|err| said(&err))?;
            if let Some(percent) = progress.follow(&step) {
                tell(format!("pulling {name}: {percent} %"));
            }
        }
        tell(format!("pulled {name}"));
        Ok(())
    }
}

/// A name without a tag would mean every tag (Docker Engine API, `ImageCreate`).
fn tagged(name: &str) -> String {
    let last = name.rsplit('/').next().unwrap_or(name);
    if last.contains([':', '@']) { name.to_owned() } else { format!("{name}:latest") }
}

/// How far a pull is, over all layers.
#[derive(Default)]
struct Progress {
    layers: BTreeMap<String, (i64, i64)>,
    told: i64,
}

impl Progress {
    /// The tenth of the way that was reached by this step, if one was.
    fn follow(&mut self, step: &CreateImageInfo) -> Option<i64> {
        let (Some(id), Some(detail)) = (&step.id, &step.progress_detail) else { return None };
        let (Some(current), Some(total)) = (detail.current, detail.total) else { return None };
        // Extraction is told with the same numbers again.
        if step.status.as_deref() != Some("Downloading") {
            return None;
        }
        self.layers.insert(id.clone(), (current, total));
        let (current, total) = self.layers.values().fold((0, 0), |sum, layer| (sum.0 + layer.0, sum.1 + layer.1));
        let percent = current * 100 / total.max(1) / 10 * 10;
        (percent > self.told).then(|| {
            self.told = percent;
            percent
        })
    }
}

#[cfg(test)]
mod tests {
    use bollard::models::ProgressDetail;

    use super::*;

    #[test]
    fn a_name_without_a_tag_means_the_latest() {
        assert_eq!(tagged("redis"), "redis:latest");
        assert_eq!(tagged("localhost:5000/app"), "localhost:5000/app:latest");
        assert_eq!(tagged("redis:7"), "redis:7");
        assert_eq!(tagged("redis@sha256:00"), "redis@sha256:00");
    }

    #[test]
    fn a_pull_is_told_in_tenths_of_all_its_layers() {
        let step = |id: &str, current, total| CreateImageInfo {
            id: Some(id.into()),
            status: Some("Downloading".into()),
            progress_detail: Some(ProgressDetail { current: Some(current), total: Some(total) }),
            ..CreateImageInfo::default()
        };
        let mut progress = Progress::default();
        let told =
            [step("a", 5, 100), step("b", 25, 100), step("a", 20, 100), step("a", 100, 100), step("b", 100, 100)]
                .map(|step| progress.follow(&step));
        assert_eq!(told, [None, Some(10), Some(20), Some(60), Some(100)]);
    }
}
