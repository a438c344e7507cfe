//! What becomes of the containers that an earlier run left: a value first, which `up --dry-run` prints, then carried out.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bollard::models::{ContainerSummaryStateEnum, ImageInspect};
use bollard::query_parameters::{ListContainersOptionsBuilder, StopContainerOptionsBuilder};
use futures_util::future::join_all;

use super::container;
use super::engine::{Engine, said};
use super::recipe::{NUMBER, PROJECT, RECIPE, Recipe, SERVICE};
use crate::run::event::{InstanceName, Progress};
use crate::run::plan::{Company, ContainerPlan, Housing, ImagePlan, Problem, ServicePlan};

/// How long a container of a service that the file no longer has may take to end: Docker's own default (docker stop(1)).
const GRACE: Duration = Duration::from_secs(10);

/// What becomes of a project's containers, and which images they need that are not here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reconciliation {
    /// Where the engine is.
    pub engine: String,
    /// Whose containers.
    pub project: Arc<str>,
    /// Images that are not here yet.
    pub images: Vec<ImagePlan>,
    /// Each container that there is or will be, by its instance.
    pub fates: BTreeMap<InstanceName, Fate>,
}

/// What becomes of one container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It runs, and is as the file says.
    Stays,
    /// There is none yet.
    Starts,
    /// Another one takes its place, because of this.
    Replaced(Cause),
    /// The file has no such instance.
    Removed,
}

/// Why a container cannot stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Cause {
    Ended,
    MadeOfOtherThings,
    ImageToCome,
}

/// A service as its containers should be.
struct Wanted {
    service: Arc<str>,
    count: usize,
    /// The digest of its recipe; not known while its image is not here.
    recipe: Option<String>,
}

/// A container of the project.
#[derive(Debug, Clone)]
struct Left {
    id: String,
    instance: InstanceName,
    recipe: String,
    running: bool,
}

impl Reconciliation {
    /// Pure: what should be and what is in, what becomes of it out. Containers that are as they should be keep their
    /// numbers, and the lowest others are given away.
    fn between(engine: &str, project: &Arc<str>, wanted: &[Wanted], left: &[Left]) -> Reconciliation {
        let mut fates = BTreeMap::new();
        for one in wanted {
            let own = || left.iter().filter(|left| left.instance.service == one.service);
            let is_right = |left: &&Left| left.running && Some(&left.recipe) == one.recipe.as_ref();
            let mut kept: Vec<u32> = own().filter(is_right).map(|left| left.instance.number).collect();
            kept.sort_unstable();
            kept.truncate(one.count);
            let instance = |number: u32| InstanceName::new(one.service.clone(), number);
            let fresh = (1..).filter(|number| !kept.contains(number)).take(one.count - kept.len());
            for number in fresh {
                let fate = match own().find(|left| left.instance.number == number) {
                    None => Fate::Starts,
                    Some(left) if !left.running => Fate::Replaced(Cause::Ended),
                    Some(_) if one.recipe.is_none() => Fate::Replaced(Cause::ImageToCome),
                    Some(_) => Fate::Replaced(Cause::MadeOfOtherThings),
                };
                fates.insert(instance(number), fate);
            }
            fates.extend(kept.iter().map(|number| (instance(*number), Fate::Stays)));
        }
        for one in left {
            fates.entry(one.instance.clone()).or_insert(Fate::Removed);
        }
        Reconciliation { engine: engine.to_owned(), project: project.clone(), images: Vec::new(), fates }
    }

    /// What would become of the containers of these services, asked of the engine; it changes nothing.
    pub(in crate::run) async fn foresee(
        engine: &Engine,
        project: &Arc<str>,
        plans: &[ServicePlan],
    ) -> Result<Reconciliation, String> {
        let (mut wanted, mut images) = (Vec::new(), Vec::new());
        for service in plans {
            let Housing::Container(plan) = &service.housing else { continue };
            let image = engine.image_at_hand(&plan.image).await?;
            if image.is_none() {
                images.push(plan.image.clone());
            }
            let recipe = image.map(|image| digest(engine, service, &id_of(image, plan)));
            wanted.push(Wanted { service: service.name.clone(), count: service.instances.len(), recipe });
        }
        images.dedup();
        let left = list(engine, project).await?;
        Ok(Reconciliation { images, ..Reconciliation::between(&engine.host, project, &wanted, &left) })
    }

    fn instances(&self, wanted: impl Fn(&Fate) -> bool) -> impl Iterator<Item = &InstanceName> {
        self.fates.iter().filter(move |(_, fate)| wanted(fate)).map(|(instance, _)| instance)
    }

    /// The numbers of the instances that a service will have.
    fn numbers(&self, service: &str) -> Vec<u32> {
        let own = self.instances(|fate| *fate != Fate::Removed).filter(|instance| &*instance.service == service);
        own.map(|instance| instance.number).collect()
    }
}

impl fmt::Display for Reconciliation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "containers of {}, on the Docker Engine at {}", self.project, self.engine)?;
        for image in &self.images {
            let verb = if matches!(image, ImagePlan::Named(_)) { "pull" } else { "build" };
            write!(out, "\n  {verb:<9}  {image}")?;
        }
        let replaced = |cause| Fate::Replaced(cause);
        for (word, fate, why) in [
            ("unchanged", Fate::Stays, ""),
            ("start", Fate::Starts, ""),
            ("replace", replaced(Cause::MadeOfOtherThings), ": made of something else now"),
            ("replace", replaced(Cause::ImageToCome), ": its image is not here yet"),
            ("replace", replaced(Cause::Ended), ": it does not run"),
            ("remove", Fate::Removed, ""),
        ] {
            let names: Vec<String> = self.instances(|one| *one == fate).map(ToString::to_string).collect();
            if !names.is_empty() {
                write!(out, "\n  {word:<9}  {}{why}", names.join(", "))?;
            }
        }
        Ok(())
    }
}

/// Makes sure that every image is here, gives the instances of `plans` the numbers of containers that already are as they
/// should be, and removes the project's other containers. `tell` hears what is done and what could not be.
pub(in crate::run) async fn reconcile(
    engine: &Engine,
    project: &Arc<str>,
    plans: &mut [ServicePlan],
    tell: impl Fn(Progress),
) -> Result<(), Vec<Problem>> {
    let (mut wanted, mut problems) = (Vec::new(), Vec::new());
    for service in plans.iter() {
        let Housing::Container(plan) = &service.housing else { continue };
        let tell = |told: Progress| tell(Progress { text: format!("{}: {}", service.name, told.text), ..told });
        match engine.image(plan, tell).await {
            Ok(image) => {
                let recipe = Some(digest(engine, service, &id_of(image, plan)));
                wanted.push(Wanted { service: service.name.clone(), count: service.instances.len(), recipe });
            }
            Err(why) => {
                let key = if matches!(plan.image, ImagePlan::Named(_)) { "image" } else { "build_root" };
                problems.push(Problem::new(format!("services.{}.{key}", service.name), why));
            }
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let left = list(engine, project).await.map_err(|why| vec![Problem::new("services", why)])?;
    let reconciliation = Reconciliation::between(&engine.host, project, &wanted, &left);
    for service in plans.iter_mut().filter(|service| matches!(service.housing, Housing::Container(_))) {
        *service = service.with_instances(&reconciliation.numbers(&service.name), Company::Others);
    }
    let goes = |one: &&Left| reconciliation.fates.get(&one.instance) != Some(&Fate::Stays);
    join_all(left.iter().filter(goes).map(async |one| {
        tell(format!("{} of an earlier run is removed", one.instance).into());
        let grace = plans.iter().find(|plan| plan.name == one.instance.service).map_or(GRACE, |plan| plan.stop_grace);
        if let Err(why) = discard(engine, one, grace).await {
            tell(why.into());
        }
    }))
    .await;
    Ok(())
}

/// Removes every container of a project that no file has any more, and its network. An error tells what is left.
pub(in crate::run) async fn clear(engine: &Engine, project: &str, tell: impl Fn(Progress)) -> Result<(), String> {
    let left = list(engine, project).await?;
    let ended = join_all(left.iter().map(async |one| {
        tell(format!("{} of an earlier run is removed", one.instance).into());
        discard(engine, one, GRACE).await
    }));
    let failed: Vec<String> = ended.await.into_iter().filter_map(Result::err).collect();
    engine.remove_network(project).await;
    if failed.is_empty() { Ok(()) } else { Err(failed.join("; ")) }
}

async fn discard(engine: &Engine, left: &Left, grace: Duration) -> Result<(), String> {
    let stop = StopContainerOptionsBuilder::default().t(grace.as_secs_f64().ceil() as i32).build();
    // One that does not stop is killed as it is removed.
    let _ = engine.patient(grace).stop_container(&left.id, Some(stop)).await;
    container::remove(engine, &left.id).await.map_err(|why| format!("{}: {why}", left.instance))
}

fn id_of(image: ImageInspect, plan: &ContainerPlan) -> String {
    image.id.unwrap_or_else(|| plan.image.name().to_owned())
}

fn digest(engine: &Engine, service: &ServicePlan, image: &str) -> String {
    let Housing::Container(plan) = &service.housing else { return String::new() };
    let ports = service.instances.first().map_or(&[][..], |instance| &instance.ports);
    Recipe::of(service, plan, ports, image, engine.reach).digest()
}

async fn list(engine: &Engine, project: &str) -> Result<Vec<Left>, String> {
    let filters = HashMap::from([("label", vec![format!("{PROJECT}={project}")])]);
    let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
    let all = engine.docker.list_containers(Some(options)).await.map_err(|err| said(&err))?;
    let left = all.into_iter().filter_map(|one| {
        let labels = one.labels?;
        let service = labels.get(SERVICE)?.as_str().into();
        Some(Left {
            id: one.id?,
            instance: InstanceName::new(service, labels.get(NUMBER)?.parse().ok()?),
            recipe: labels.get(RECIPE)?.clone(),
            running: one.state == Some(ContainerSummaryStateEnum::RUNNING),
        })
    });
    Ok(left.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(service: &str, number: u32, recipe: &str, running: bool) -> Left {
        let instance = InstanceName::new(service.into(), number);
        Left { id: format!("{service}{number}"), instance, recipe: recipe.to_owned(), running }
    }

    fn wanted(service: &str, count: usize, recipe: Option<&str>) -> Wanted {
        Wanted { service: service.into(), count, recipe: recipe.map(str::to_owned) }
    }

    #[test]
    fn what_is_right_stays_under_its_number_and_everything_else_is_told() {
        let seen = Reconciliation::between(
            "unix:///run/docker.sock",
            &"fermata-shop-01".into(),
            &[wanted("web", 4, Some("new")), wanted("db", 1, Some("same")), wanted("queue", 1, None)],
            &[
                left("web", 2, "new", true),
                left("web", 3, "new", false),
                left("web", 1, "old", true),
                left("web", 9, "old", true),
                left("db", 7, "same", true),
                left("db", 8, "same", true),
                left("queue", 1, "any", true),
                left("worker", 1, "any", true),
            ],
        );
        let seen = Reconciliation { images: vec![ImagePlan::Named("queue:2".to_owned())], ..seen };
        assert_eq!(
            seen.to_string(),
            "containers of fermata-shop-01, on the Docker Engine at unix:///run/docker.sock\n  \
             pull       queue:2\n  \
             unchanged  db.7, web.2\n  \
             start      web.4\n  \
             replace    web.1: made of something else now\n  \
             replace    queue.1: its image is not here yet\n  \
             replace    web.3: it does not run\n  \
             remove     db.8, web.9, worker.1"
        );
        assert_eq!(seen.numbers("web"), [1, 2, 3, 4]);
        assert_eq!(seen.numbers("db"), [7]);
    }
}
