//! The image of a container: there already, or pulled.

use std::collections::BTreeMap;
use std::sync::Arc;

use bollard::models::{CreateImageInfo, ImageInspect};
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::StreamExt;

use super::credentials;
use super::engine::{Engine, is_missing, said};
use crate::run::event::{Progress, Share};
use crate::run::plan::{ContainerPlan, ImagePlan};

impl Engine {
    /// What the containers of a plan are made of: what they were made of before, or else what its image is now, which is
    /// pulled or built if need be. `tell` hears how far that is.
    pub(super) async fn image(
        &self,
        plan: &Arc<ContainerPlan>,
        tell: impl Fn(Progress),
    ) -> Result<ImageInspect, String> {
        let _alone = self.making.lock().await;
        if let Some(id) = self.settled.of(plan)
            && let Some(image) = self.known_image(&id).await?
        {
            return Ok(image);
        }
        let image = match &plan.image {
            ImagePlan::Named(name) => self.named_image(name, tell).await?,
            ImagePlan::Built(build) => self.build(build, tell).await?,
        };
        // Set before, it names an image that is there no more, and its name is what is left.
        self.settled.settle(plan, image.id.as_deref().unwrap_or_else(|| plan.image.name()));
        Ok(image)
    }

    /// The same, if nothing has to be pulled or built.
    pub(super) async fn image_at_hand(&self, plan: &ImagePlan) -> Result<Option<ImageInspect>, String> {
        match plan {
            ImagePlan::Named(name) => self.known_image(name).await,
            ImagePlan::Built(build) => self.built_image(build).await,
        }
    }

    async fn named_image(&self, name: &str, tell: impl Fn(Progress)) -> Result<ImageInspect, String> {
        if let Some(image) = self.known_image(name).await? {
            return Ok(image);
        }
        tell(format!("pulling {name}").into());
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

    async fn pull(&self, name: &str, tell: &impl Fn(Progress)) -> Result<(), String> {
        let options = CreateImageOptionsBuilder::default().from_image(&tagged(name)).build();
        let mut steps = self.docker.create_image(Some(options), None, credentials::of(name).await);
        let mut layers = Layers::default();
        while let Some(step) = steps.next().await {
            let step = step.map_err(|err| said(&err))?;
            if let Some(share) = layers.follow(&step) {
                tell(Progress { text: format!("pulling {name}"), share: Some(share) });
            }
        }
        tell(format!("pulled {name}").into());
        Ok(())
    }
}

/// A name without a tag would mean every tag (Docker Engine API, `ImageCreate`).
fn tagged(name: &str) -> String {
    let last = name.rsplit('/').next().unwrap_or(name);
    if last.contains([':', '@']) { name.to_owned() } else { format!("{name}:latest") }
}

/// How far a pull is, over all layers that it has begun with: the engine tells of no other.
#[derive(Default)]
struct Layers {
    /// What is there of each, and of how much.
    layers: BTreeMap<String, (u64, u64)>,
    percent: u8,
}

impl Layers {
    /// How much is there after this step, if that is more.
    fn follow(&mut self, step: &CreateImageInfo) -> Option<Share> {
        let id = step.id.as_ref()?;
        // Extraction is told with the same numbers again.
        match step.status.as_deref()? {
            "Downloading" => {
                let detail = step.progress_detail.as_ref()?;
                let (current, total) = (detail.current?.max(0), detail.total?.max(0));
                self.layers.insert(id.clone(), (current.cast_unsigned(), total.cast_unsigned()));
            }
            // Its last bytes need not have been told.
            "Download complete" => self.layers.get_mut(id).into_iter().for_each(|layer| layer.0 = layer.1),
            _ => return None,
        }
        let (done, total) = self.layers.values().fold((0, 0), |sum, layer| (sum.0 + layer.0, sum.1 + layer.1));
        let percent = (done * 100 / total.max(1)).min(100) as u8;
        (percent > self.percent).then(|| {
            let is_tenth = percent / 10 > self.percent / 10;
            self.percent = percent;
            Share { done, total, percent, is_tenth }
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
    fn a_pull_is_told_over_all_its_layers_and_never_goes_back() {
        let mut layers = Layers::default();
        let mut follow = |id: &str, status: &str, current| {
            let step = CreateImageInfo {
                id: Some(id.into()),
                status: Some(status.into()),
                progress_detail: Some(ProgressDetail { current, total: current.map(|_| 100) }),
                ..CreateImageInfo::default()
            };
            layers.follow(&step).map(|share| (share.done, share.percent, share.is_tenth))
        };
        let steps = [("a", 5), ("b", 25), ("b", 26), ("a", 20), ("c", 1), ("a", 100), ("b", 100)];
        let mut told = steps.map(|(layer, current)| follow(layer, "Downloading", Some(current))).to_vec();
        told.push(follow("a", "Extracting", Some(50)));
        told.push(follow("c", "Download complete", None));
        assert_eq!(
            told,
            [
                Some((5, 5, false)),
                Some((30, 15, true)),
                None,
                Some((46, 23, true)),
                None,
                Some((127, 42, true)),
                Some((201, 67, true)),
                None,
                Some((300, 100, true)),
            ]
        );
    }
}
