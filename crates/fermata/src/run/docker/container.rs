//! One container: made or found again, waited for, listened to, ended.

use std::fs::Permissions;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::PermissionsExt;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bollard::errors::Error;
use bollard::models::{ContainerInspectResponse, HealthStatusEnum, ImageInspect};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, LogsOptionsBuilder, RemoveContainerOptionsBuilder, StatsOptionsBuilder,
    StopContainerOptionsBuilder,
};
use futures_util::StreamExt;
use tokio::time::{sleep, timeout};

use super::clock::{now, seconds_since_1970};
use super::engine::{Engine, Reach, is_missing, said};
use super::exec::Inside;
use super::hearing::{Heard, HeardRecord, Said};
use super::recipe::{self, RECIPE, Recipe};
use crate::run::event::{InstanceName, Progress, Stream};
use crate::run::handed::ContainerRecord;
use crate::run::plan::{ContainerPlan, InstancePlan, PortPlan, ServicePlan, Value};
use crate::run::ports::{Assigned, Ports};
use crate::run::process::Exit;
use crate::run::usage::Usage;

/// How long to wait for an engine that has just gone away before it is asked again.
const ENGINE_RESTARTS: Duration = Duration::from_secs(1);
/// How long the engine may take to tell that a container has ended, once a command in it has.
const END_TOLD: Duration = Duration::from_secs(1);
/// So many of the last lines of a container that ended at once are given on.
const LAST_LINES: &str = "100";

/// A running container.
#[derive(Debug, Clone)]
pub(in crate::run) struct Container {
    engine: Engine,
    id: String,
    /// The id of its image, where it is known.
    image: Option<String>,
    /// What of its output has been given on.
    heard: Arc<Mutex<Heard>>,
    /// `pre_stop_command`.
    pre_stop: Option<Vec<String>>,
}

/// How a container came to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::run) enum Origin {
    Made,
    /// It runs since an earlier Fermata, for so long.
    Adopted(Duration),
}

/// What came of a start.
pub(in crate::run) enum Begun {
    Runs(Box<Container>, Assigned, Origin),
    /// It had ended before anything else could be asked of it, and has been removed: how, and what it wrote.
    Ended(Exit, Vec<(Stream, String)>),
}

impl Container {
    /// Finds the instance's container running as it should be, or makes it. `tell` hears what takes time.
    pub(in crate::run) async fn start(
        engine: &Engine,
        service: &ServicePlan,
        plan: &Arc<ContainerPlan>,
        instance: &InstancePlan,
        ports: &Ports,
        tell: impl Fn(Progress),
    ) -> Result<Begun, String> {
        let image = engine.image(plan, tell).await?;
        keeps_its_user(plan, &image)?;
        if plan.security.host_network != Some(true) {
            engine.network(&plan.project).await?;
        }
        let image = image.id.unwrap_or_else(|| plan.image.name().to_owned());
        let recipe = Recipe::of(service, plan, &instance.ports, &image, engine.reach);
        let inside = |words: &Vec<Value>| service.words_inside(words, &instance.ports);
        make_folders(engine, plan)?;
        let (id, origin) = match find(engine, &recipe, &instance.name).await? {
            Some((id, up)) => (id, Origin::Adopted(up)),
            None => (make(engine, &recipe, &instance.name).await?, Origin::Made),
        };
        let heard = if origin == Origin::Made { Heard::default() } else { Heard::from_now_on() };
        let heard = Arc::new(Mutex::new(heard));
        let pre_stop = plan.pre_stop.as_ref().map(inside);
        let container = Container { engine: engine.clone(), id, image: Some(image.clone()), heard, pre_stop };
        let seen = container.inspect().await?;
        let at = addresses(&seen, engine.reach, plan, &instance.ports);
        let Some((host, pairs)) = at.filter(|_| is_running(&seen)) else {
            return container.ended_at_once(&seen).await;
        };
        if let (Some(words), Origin::Made) = (&plan.post_start, origin)
            && let Err(why) = container.inside(inside(words)).run().await
        {
            // A command that dies with its container has failed before the engine tells that the container has ended.
            container.exited_within(END_TOLD).await;
            return match container.inspect().await {
                Ok(seen) if !is_running(&seen) => container.ended_at_once(&seen).await,
                _ => {
                    container.remove().await?;
                    Err(format!("its post_start_command failed: {why}"))
                }
            };
        }
        Ok(Begun::Runs(Box::new(container), ports.elsewhere(host, pairs), origin))
    }

    /// The container that another Fermata had, and hands over.
    pub(in crate::run) fn handed(
        engine: &Engine,
        plan: &Arc<ContainerPlan>,
        record: &ContainerRecord,
        pre_stop: Option<Vec<String>>,
    ) -> Container {
        let ContainerRecord { id, image, heard, .. } = record.clone();
        if let Some(image) = &image {
            // Whoever comes later is made of the same.
            engine.settled.settle(plan, image);
        }
        Container { engine: engine.clone(), id, image, heard: Arc::new(Mutex::new(heard.into())), pre_stop }
    }

    /// Which it is, what it is made of, and what of its output has been given on.
    pub(in crate::run) fn standing(&self) -> (String, Option<String>, HeardRecord) {
        (self.id.clone(), self.image.clone(), self.heard().record())
    }

    /// Removes what a start that was given up may have left.
    pub(in crate::run) async fn forget(
        engine: &Engine,
        plan: &ContainerPlan,
        instance: &InstanceName,
    ) -> Result<(), String> {
        remove(engine, &recipe::name(&plan.project, instance)).await
    }

    /// Waits until it has ended, through restarts of the engine.
    pub(in crate::run) async fn exited(&self) -> Exit {
        loop {
            let mut answers = std::pin::pin!(self.engine.docker.wait_container(&self.id, None));
            match answers.next().await {
                Some(Ok(answer)) => return Exit::Code(answer.status_code as i32),
                // How the library tells an exit code that is not 0.
                Some(Err(Error::DockerContainerWaitError { code, .. })) => return Exit::Code(code as i32),
                Some(Err(err)) if is_missing(&err) => return Exit::Untold,
                Some(Err(_)) | None => sleep(ENGINE_RESTARTS).await,
            }
        }
    }

    /// Gives on what it writes, until it has ended, or until it is `held`: then all that was taken has been given on, but for
    /// lines that have only begun.
    pub(in crate::run) async fn listen<G: Future>(
        self,
        mut give: impl FnMut(Stream, String) -> G,
        held: impl Future<Output = ()>,
    ) {
        let mut held = pin!(held);
        loop {
            let place = self.heard().place();
            let options = LogsOptionsBuilder::default().follow(true).stdout(true).stderr(true).timestamps(true);
            let mut pieces = pin!(
                self.engine.docker.logs(&self.id, Some(options.since(place.since).build())).skip(place.pieces as usize)
            );
            loop {
                let piece = tokio::select! {
                    biased;
                    () = &mut held => return,
                    piece = pieces.next() => piece,
                };
                let Some(Ok(piece)) = piece else { break };
                self.heard().hear(&piece);
                while let Some((stream, line)) = self.next_line() {
                    give(stream, line).await;
                }
            }
            let over = tokio::select! {
                biased;
                () = &mut held => return,
                over = self.is_over() => over,
            };
            if over {
                let last = self.heard().last();
                for (stream, line) in last {
                    give(stream, line).await;
                }
                return;
            }
        }
    }

    fn next_line(&self) -> Option<(Stream, String)> {
        self.heard().next()
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it has ended; where the engine does not say, after a while.
    async fn is_over(&self) -> bool {
        match self.inspect().await {
            Ok(seen) => !is_running(&seen),
            Err(_) if self.is_gone().await => true,
            Err(_) => {
                sleep(ENGINE_RESTARTS).await;
                false
            }
        }
    }

    /// Ends it: the command that the file wants run before, the image's stop signal, KILL after `grace`; then removes it.
    pub(in crate::run) async fn end(self, grace: Duration) -> Result<(), String> {
        let mut trouble = None;
        if let Some(words) = &self.pre_stop {
            trouble = match timeout(grace, self.inside(words.clone()).run()).await {
                Ok(Ok(())) => None,
                Ok(Err(why)) => Some(format!("its pre_stop_command failed: {why}")),
                Err(_) => Some("its pre_stop_command took longer than stop_grace".to_owned()),
            };
        }
        let seconds = grace.as_secs_f64().ceil() as i32;
        let options = StopContainerOptionsBuilder::default().t(seconds).build();
        match self.engine.patient(grace).stop_container(&self.id, Some(options)).await {
            // It had ended already (304), or is gone.
            Ok(()) | Err(Error::DockerResponseServerError { status_code: 304 | 404, .. }) => {}
            Err(err) => trouble = Some(format!("its container cannot be stopped: {}", said(&err))),
        }
        // What it wrote last is read from it.
        self.exited_within(ENGINE_RESTARTS).await;
        trouble.map_or(Ok(()), Err)
    }

    /// Takes it away, with what only it used.
    pub(in crate::run) async fn remove(&self) -> Result<(), String> {
        remove(&self.engine, &self.id).await
    }

    /// A command inside it.
    pub(in crate::run) fn inside(&self, words: Vec<String>) -> Inside {
        Inside { engine: self.engine.clone(), container: self.id.clone(), words }
    }

    /// What the image's own HEALTHCHECK says; `None` where it has none.
    pub(in crate::run) async fn health(&self) -> Option<Result<(), String>> {
        let seen = match self.inspect().await {
            Ok(seen) => seen,
            Err(why) => return Some(Err(why)),
        };
        let health = seen.state?.health?;
        match health.status? {
            HealthStatusEnum::EMPTY | HealthStatusEnum::NONE => None,
            HealthStatusEnum::HEALTHY => Some(Ok(())),
            HealthStatusEnum::STARTING => Some(Err("its HEALTHCHECK has not passed yet".to_owned())),
            HealthStatusEnum::UNHEALTHY => {
                let last = health.log.and_then(|log| log.into_iter().next_back()?.output).unwrap_or_default();
                let first = last.trim().lines().next().map(|line| format!(": {line}")).unwrap_or_default();
                Some(Err(format!("its HEALTHCHECK fails{first}")))
            }
        }
    }

    /// What it uses.
    pub(in crate::run) async fn usage(&self) -> Option<Usage> {
        let options = StatsOptionsBuilder::default().stream(false).one_shot(true).build();
        let seen = std::pin::pin!(self.engine.docker.stats(&self.id, Some(options))).next().await?.ok()?;
        let cpu = seen.cpu_stats?.cpu_usage?.total_usage?;
        let memory = seen.memory_stats?;
        // Files that can be read again from their disk do not count, as in docker stats(1); the first is the name of cgroup v2.
        let files = memory.stats.as_ref().and_then(|stats| {
            ["inactive_file", "total_inactive_file"].iter().find_map(|name| stats.get(*name)).copied()
        });
        Some(Usage { cpu: Duration::from_nanos(cpu), memory: memory.usage?.saturating_sub(files.unwrap_or_default()) })
    }

    async fn inspect(&self) -> Result<ContainerInspectResponse, String> {
        self.engine.docker.inspect_container(&self.id, None).await.map_err(|err| said(&err))
    }

    async fn is_gone(&self) -> bool {
        self.engine.docker.inspect_container(&self.id, None).await.is_err_and(|err| is_missing(&err))
    }

    /// Removes it, and tells how it ended and what it said.
    async fn ended_at_once(&self, seen: &ContainerInspectResponse) -> Result<Begun, String> {
        let options = LogsOptionsBuilder::default().stdout(true).stderr(true).tail(LAST_LINES).build();
        let mut said = Said::default();
        let mut pieces = std::pin::pin!(self.engine.docker.logs(&self.id, Some(options)));
        let mut lines = Vec::new();
        while let Some(Ok(piece)) = pieces.next().await {
            said.hear(&piece, piece.as_ref());
            lines.extend(std::iter::from_fn(|| said.next()));
        }
        lines.extend(said.last());
        self.remove().await?;
        let state = seen.state.as_ref();
        if let Some(error) = state.and_then(|state| state.error.as_deref()).filter(|error| !error.is_empty()) {
            return Err(format!("its container cannot be started: {error}"));
        }
        let code = state.and_then(|state| state.exit_code).unwrap_or_default();
        Ok(Begun::Ended(Exit::Code(code as i32), lines))
    }

    async fn exited_within(&self, limit: Duration) {
        let _ = timeout(limit, self.exited()).await;
    }
}

/// The container of this name and how long it has been up, if it runs and is made as it should be; one that is not is
/// removed.
async fn find(
    engine: &Engine,
    recipe: &Recipe<'_>,
    instance: &InstanceName,
) -> Result<Option<(String, Duration)>, String> {
    let name = recipe::name(&recipe.plan.project, instance);
    let seen = match engine.docker.inspect_container(&name, None).await {
        Ok(seen) => seen,
        Err(err) if is_missing(&err) => return Ok(None),
        Err(err) => return Err(said(&err)),
    };
    let labels = seen.config.as_ref().and_then(|config| config.labels.as_ref());
    let same = labels.and_then(|labels| labels.get(RECIPE)) == Some(&recipe.digest());
    if same && is_running(&seen) {
        let started = seen.state.and_then(|state| state.started_at).and_then(|text| seconds_since_1970(&text));
        let up = started.map_or(0, |started| i64::from(now()) - started);
        return Ok(seen.id.map(|id| (id, Duration::from_secs(up.max(0).cast_unsigned()))));
    }
    remove(engine, &name).await?;
    Ok(None)
}

/// What of this machine is mounted and not there yet becomes a folder, as docker run(1) does it.
fn make_folders(engine: &Engine, plan: &ContainerPlan) -> Result<(), String> {
    for mount in plan.mounts.iter().filter(|_| engine.is_of_this_machine()) {
        let Some(path) = mount.host.as_ref().filter(|path| !path.exists()) else { continue };
        let made = std::fs::create_dir_all(path).and_then(|()| {
            // As /tmp: everybody may write, and remove what is theirs. Who may go there, the folder around it says.
            let open = Permissions::from_mode(0o1777);
            if mount.open { std::fs::set_permissions(path, open) } else { Ok(()) }
        });
        made.map_err(|err| format!("its volume {} cannot be made: {err}", path.display()))?;
    }
    Ok(())
}

async fn make(engine: &Engine, recipe: &Recipe<'_>, instance: &InstanceName) -> Result<String, String> {
    let name = recipe::name(&recipe.plan.project, instance);
    let options = CreateContainerOptionsBuilder::default().name(&name).build();
    let made = engine.docker.create_container(Some(options), recipe.body(instance)).await;
    let id = made.map_err(|err| format!("its container cannot be made: {}", said(&err)))?.id;
    if let Err(err) = engine.docker.start_container(&id, None).await {
        remove(engine, &id).await?;
        return Err(format!("its container cannot be started: {}", said(&err)));
    }
    Ok(id)
}

pub(super) async fn remove(engine: &Engine, container: &str) -> Result<(), String> {
    let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
    match engine.docker.remove_container(container, Some(options)).await {
        // It is gone, or the engine is at it already (409, "removal of container … is already in progress").
        Ok(()) | Err(Error::DockerResponseServerError { status_code: 404 | 409, .. }) => Ok(()),
        Err(err) => {
            Err(format!("its container cannot be removed: {}; docker rm -f {container} tries again", said(&err)))
        }
    }
}

fn is_running(seen: &ContainerInspectResponse) -> bool {
    seen.state.as_ref().and_then(|state| state.running) == Some(true)
}

/// Where a running container's ports are.
fn addresses(
    seen: &ContainerInspectResponse,
    reach: Reach,
    plan: &ContainerPlan,
    ports: &[PortPlan],
) -> Option<(IpAddr, Vec<(u16, u16)>)> {
    let same = || ports.iter().map(|port| (port.container, port.container)).collect();
    if plan.security.host_network == Some(true) {
        return Some((Ipv4Addr::LOCALHOST.into(), same()));
    }
    let settings = seen.network_settings.as_ref()?;
    match reach {
        Reach::Address => {
            let own = settings.networks.as_ref()?.get(&*plan.project)?;
            Some((own.ip_address.as_ref()?.parse().ok()?, same()))
        }
        Reach::Published => {
            let published = settings.ports.as_ref()?;
            let host = |port: &PortPlan| {
                let binding = published.get(&recipe::key(*port))?.as_ref()?.first()?;
                Some((port.container, binding.host_port.as_ref()?.parse().ok()?))
            };
            Some((Ipv4Addr::LOCALHOST.into(), ports.iter().map(host).collect::<Option<_>>()?))
        }
    }
}

/// `run_as_non_root` is a promise that only the image, or `run_as_user`, can keep.
fn keeps_its_user(plan: &ContainerPlan, image: &ImageInspect) -> Result<(), String> {
    let user = image.config.as_ref().and_then(|config| config.user.as_deref()).unwrap_or_default();
    let image_is_root = matches!(user.split(':').next(), None | Some("" | "0" | "root"));
    let root = plan.security.run_as_user.map_or(image_is_root, |user| user == 0);
    if plan.security.run_as_non_root == Some(true) && root {
        return Err(format!(
            "security_context says run_as_non_root, and the image {} runs as root; give it a USER, or write \
             run_as_user",
            plan.image.name()
        ));
    }
    Ok(())
}
