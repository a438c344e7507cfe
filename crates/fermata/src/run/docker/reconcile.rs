//! What an earlier run left: containers that are as the file wants them keep their numbers, all others are removed.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bollard::models::ContainerSummaryStateEnum;
use bollard::query_parameters::{
    ListContainersOptionsBuilder, RemoveContainerOptionsBuilder, StopContainerOptionsBuilder,
};
use futures_util::future::join_all;

use super::engine::{Engine, said};
use super::recipe::{NUMBER, PROJECT, RECIPE, Recipe, SERVICE};
use crate::run::plan::{Company, Housing, Problem, ServicePlan};

/// A container of the project.
struct Left {
    id: String,
    service: String,
    number: u32,
    recipe: String,
    running: bool,
}

/// Makes sure that every image is here, gives the instances of `plans` the numbers of containers that already are as they
/// should be, and removes the project's other containers. `tell` hears what is done.
pub(in crate::run) async fn reconcile(
    engine: &Engine,
    plans: &mut [ServicePlan],
    tell: impl Fn(String),
) -> Result<(), Vec<Problem>> {
    let mut wanted: BTreeMap<Arc<str>, String> = BTreeMap::new();
    let mut problems = Vec::new();
    let mut project = None;
    for service in plans.iter() {
        let Housing::Container(plan) = &service.housing else { continue };
        project = Some(plan.project.clone());
        match engine.image(&plan.image, &tell).await {
            Ok(image) => {
                let ports = service.instances.first().map_or(&[][..], |instance| &instance.ports);
                let image = image.id.unwrap_or_else(|| plan.image.clone());
                let recipe = Recipe::of(service, plan, ports, &image, engine.reach);
                wanted.insert(service.name.clone(), recipe.digest());
            }
            Err(why) => problems.push(Problem::new(format!("services.{}.image", service.name), why)),
        }
    }
    let Some(project) = project.filter(|_| problems.is_empty()) else {
        return if problems.is_empty() { Ok(()) } else { Err(problems) };
    };
    let mut left = list(engine, &project).await.map_err(|why| vec![Problem::new("services", why)])?;
    for service in plans.iter_mut() {
        let Some(recipe) = wanted.get(&service.name) else { continue };
        let matches = |one: &&Left| one.running && one.service == *service.name && one.recipe == *recipe;
        let mut numbers: Vec<u32> = left.iter().filter(matches).map(|one| one.number).collect();
        numbers.sort_unstable();
        let count = service.instances.len();
        numbers.truncate(count);
        let kept = numbers.len();
        left.retain(|one| one.service != *service.name || one.recipe != *recipe || !numbers.contains(&one.number));
        let fresh = (1..).filter(|number| !numbers.contains(number)).take(count - kept);
        let numbers: Vec<u32> = numbers.iter().copied().chain(fresh).collect();
        *service = service.with_instances(&numbers, Company::Others);
    }
    join_all(left.iter().map(async |one| {
        tell(format!("{}.{} of an earlier run is removed", one.service, one.number));
        let grace = plans.iter().find(|plan| *plan.name == *one.service).map(|plan| plan.stop_grace);
        let seconds = grace.map_or(10, |grace| grace.as_secs_f64().ceil() as i32);
        let stop = StopContainerOptionsBuilder::default().t(seconds).build();
        let _ = engine.docker.stop_container(&one.id, Some(stop)).await;
        let remove = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        let _ = engine.docker.remove_container(&one.id, Some(remove)).await;
    }))
    .await;
    Ok(())
}

async fn list(engine: &Engine, project: &str) -> Result<Vec<Left>, String> {
    let filters = HashMap::from([("label", vec![format!("{PROJECT}={project}")])]);
    let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
    let all = engine.docker.list_containers(Some(options)).await.map_err(|err| said(&err))?;
    let left = all.into_iter().filter_map(|one| {
        let labels = one.labels?;
        Some(Left {
            id: one.id?,
            service: labels.get(SERVICE)?.clone(),
            number: labels.get(NUMBER)?.parse().ok()?,
            recipe: labels.get(RECIPE)?.clone(),
            running: one.state == Some(ContainerSummaryStateEnum::RUNNING),
        })
    });
    Ok(left.collect())
}
