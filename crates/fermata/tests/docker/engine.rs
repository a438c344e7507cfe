//! A Docker Engine of the test's own, with images made of the `fermata` that is tested: no registry is needed.
#![allow(dead_code, reason = "each test binary uses its own part of it")]

use std::collections::HashMap;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bollard::auth::DockerCredentials;
use bollard::models::{ContainerCreateBody, ContainerInspectResponse, ContainerSummary, HostConfig};
use bollard::query_parameters::{
    BuildImageOptionsBuilder, CreateContainerOptions, CreateImageOptionsBuilder, ListContainersOptionsBuilder,
    ListNetworksOptionsBuilder, PushImageOptionsBuilder, RemoveContainerOptionsBuilder, RemoveImageOptions,
    TagImageOptionsBuilder,
};
use bollard::{API_DEFAULT_VERSION, Docker};
use futures_util::TryStreamExt;
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::support::{Fermata, Folder, PATIENCE, Process, until};

/// The image that [`Engine::start`] makes: Fermata, and `echo` as its command.
pub(crate) const IMAGE: &str = "fermata-test:1";

/// A running engine. Dropping it removes its containers and networks, and ends it.
pub(crate) struct Engine {
    runtime: Runtime,
    docker: Docker,
    dockerd: Option<Process>,
    folder: TempDir,
    place: Place,
}

/// Where an engine is, beside its socket.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Machine,
    /// It answers at a port of 127.0.0.1 too.
    Tcp(u16),
    /// In a network of its own, which has nothing but loopback.
    Apart,
}

impl Engine {
    /// Starts one, with [`IMAGE`].
    pub(crate) fn start() -> Engine {
        Engine::at(Place::Machine)
    }

    /// The same, which also answers at a TCP port of 127.0.0.1.
    pub(crate) fn with_tcp(port: u16) -> Engine {
        Engine::at(Place::Tcp(port))
    }

    /// The same in a network of its own: whatever it publishes is published there.
    pub(crate) fn apart() -> Engine {
        Engine::at(Place::Apart)
    }

    fn at(place: Place) -> Engine {
        let folder = TempDir::new().expect("a temporary folder can be made");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let dockerd = dockerd(&folder, place);
        let socket = folder.path().join("socket");
        let docker =
            Docker::connect_with_unix(socket.to_str().unwrap(), PATIENCE.as_secs(), API_DEFAULT_VERSION).unwrap();
        let docker = runtime.block_on(docker.negotiate_version()).unwrap();
        let engine = Engine { runtime, docker, dockerd: Some(dockerd), folder, place };
        engine.import(IMAGE, &["CMD [\"echo\", \"--listen\", \"0.0.0.0:3000\"]"]);
        engine
    }

    /// Makes an image of the `fermata` that is tested and the libraries that it is linked to.
    pub(crate) fn import(&self, name: &str, changes: &[&str]) {
        let mut all = vec!["ENTRYPOINT [\"/fermata\"]"];
        all.extend(changes);
        self.import_tar(name, self.root_fs(), &all);
    }

    /// Makes an image without programs, in which those of a mounted /usr can run.
    pub(crate) fn import_bare(&self, name: &str) {
        let root = self.folder.path().join("bare");
        merged(&root);
        self.import_folder(name, &root, &[]);
    }

    /// Makes an image of a folder.
    pub(crate) fn import_folder(&self, name: &str, folder: &Path, changes: &[&str]) {
        self.import_tar(name, output(Command::new("tar").arg("-C").arg(folder).args(["-c", "."])), changes);
    }

    /// Builds an image from a Dockerfile alone.
    pub(crate) fn build(&self, name: &str, dockerfile: &str) {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("Dockerfile"), dockerfile).unwrap();
        self.build_in(name, folder.path());
    }

    /// Builds an image from a folder.
    pub(crate) fn build_in(&self, name: &str, folder: &Path) {
        let tar = output(Command::new("tar").arg("-C").arg(folder).args(["-c", "."]));
        let options = BuildImageOptionsBuilder::default().t(name).build();
        let steps = self.docker.build_image(options, None, Some(bollard::body_full(tar.into())));
        let steps = self.runtime.block_on(steps.try_collect::<Vec<_>>());
        let steps = steps.expect("the engine builds");
        let said: String = steps.iter().filter_map(|step| step.stream.as_deref()).collect();
        assert!(said.contains("Successfully tagged"), "{said}");
    }

    /// Runs an image without a network, with these folders of the machine mounted.
    pub(crate) fn run(&self, image: &str, binds: &[&str]) -> String {
        let host = HostConfig {
            binds: Some(binds.iter().map(|&bind| bind.to_owned()).collect()),
            network_mode: Some("none".to_owned()),
            ..HostConfig::default()
        };
        let body = ContainerCreateBody {
            image: Some(image.to_owned()),
            host_config: Some(host),
            ..ContainerCreateBody::default()
        };
        self.runtime.block_on(async {
            let id = self.docker.create_container(None::<CreateContainerOptions>, body).await.unwrap().id;
            self.docker.start_container(&id, None).await.unwrap();
            id
        })
    }

    fn import_tar(&self, name: &str, tar: Vec<u8>, changes: &[&str]) {
        let (repository, tag) = name.split_once(':').unwrap();
        let options = CreateImageOptionsBuilder::default()
            .from_src("-")
            .repo(repository)
            .tag(tag)
            .changes(changes.iter().map(|&change| change.to_owned()).collect())
            .build();
        let body = bollard::body_full(tar.into());
        let steps = self.docker.create_image(Some(options), Some(body), None);
        self.runtime.block_on(steps.try_collect::<Vec<_>>()).expect("an image can be imported");
    }

    /// The file system of an image, as tar(1) writes it.
    fn root_fs(&self) -> Vec<u8> {
        output(Command::new("tar").arg("-C").arg(self.root()).args(["-c", "."]))
    }

    /// The same as a folder.
    pub(crate) fn root(&self) -> PathBuf {
        let root = self.folder.path().join("root");
        if !root.exists() {
            std::fs::create_dir(&root).unwrap();
            let program = env!("CARGO_BIN_EXE_fermata");
            copy(&libraries(program), &root);
            output(Command::new("strip").arg("-o").arg(root.join("fermata")).arg(program));
        }
        root
    }

    /// Gives an image to a registry under another name, and forgets that name.
    pub(crate) fn push(&self, image: &str, name: &str, (user, password): (&str, &str)) {
        let (repository, tag) = name.rsplit_once(':').unwrap();
        let credentials = DockerCredentials {
            username: Some(user.to_owned()),
            password: Some(password.to_owned()),
            ..DockerCredentials::default()
        };
        let named = TagImageOptionsBuilder::default().repo(repository).tag(tag).build();
        let pushed = PushImageOptionsBuilder::default().tag(tag).build();
        self.runtime.block_on(async {
            self.docker.tag_image(image, Some(named)).await.expect("an image gets another name");
            let steps = self.docker.push_image(repository, Some(pushed), Some(credentials));
            steps.try_collect::<Vec<_>>().await.expect("the registry takes an image");
        });
        self.remove_image(name);
        // Else its layers are here already, and nothing is left to pull.
        self.remove_image(image);
    }

    pub(crate) fn remove_image(&self, name: &str) {
        self.runtime
            .block_on(self.docker.remove_image(name, None::<RemoveImageOptions>, None))
            .expect("an image can be removed");
    }

    /// Stops the engine and starts it again: its containers end with it.
    pub(crate) fn restart(&mut self) {
        self.end();
        self.dockerd = Some(dockerd(&self.folder, self.place));
    }

    fn end(&mut self) {
        if let Some(mut dockerd) = self.dockerd.take() {
            dockerd.signal(Signal::TERM);
            dockerd.wait();
        }
    }

    /// What `DOCKER_HOST` says.
    pub(crate) fn host(&self) -> String {
        match self.place {
            Place::Tcp(port) => format!("tcp://127.0.0.1:{port}"),
            Place::Machine | Place::Apart => format!("unix://{}", self.socket().display()),
        }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// A command of `fermata` that uses this engine.
    pub(crate) fn command(&self, folder: &Folder, arguments: &[&str]) -> Command {
        let mut command = folder.command(arguments);
        command.args(["--state-dir", "state"]).env("DOCKER_HOST", self.host());
        command
    }

    /// `fermata up` with this engine, ready for clients.
    pub(crate) fn up(&self, folder: Folder) -> Fermata {
        let process = Process::start(&mut self.command(&folder, &["up"]));
        process.wait_for("that it is ready", |line| line.starts_with("ready"));
        Fermata { process, folder }
    }

    /// A command in its network.
    pub(crate) fn in_its_network(&self, command: &[&str]) -> Command {
        let mut enter = Command::new("nsenter");
        let pid = self.dockerd.as_ref().expect("it runs").pid();
        enter.arg(format!("--net=/proc/{pid}/ns/net")).args(command);
        enter
    }

    /// All containers, in the order of their names.
    pub(crate) fn containers(&self) -> Vec<ContainerSummary> {
        let options = ListContainersOptionsBuilder::default().all(true).build();
        let mut all = self.runtime.block_on(self.docker.list_containers(Some(options))).unwrap();
        all.sort_by(|one, other| one.names.cmp(&other.names));
        all
    }

    /// The ids of all containers, in the order of their names.
    pub(crate) fn ids(&self) -> Vec<String> {
        self.containers().into_iter().map(|one| one.id.unwrap()).collect()
    }

    pub(crate) fn inspect(&self, id: &str) -> ContainerInspectResponse {
        self.runtime.block_on(self.docker.inspect_container(id, None)).unwrap()
    }

    pub(crate) fn kill(&self, id: &str) {
        self.runtime.block_on(self.docker.kill_container(id, None)).unwrap();
    }

    /// The names of the networks that Fermata made.
    pub(crate) fn networks(&self) -> Vec<String> {
        self.networks_with("fermata.project")
    }

    /// The names of the networks with this label.
    pub(crate) fn networks_with(&self, label: &str) -> Vec<String> {
        let filters = HashMap::from([("label", vec![label])]);
        let options = ListNetworksOptionsBuilder::default().filters(&filters).build();
        let all = self.runtime.block_on(self.docker.list_networks(Some(options))).unwrap_or_default();
        all.into_iter().filter_map(|one| one.name).collect()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if self.dockerd.is_some() {
            let options = ListContainersOptionsBuilder::default().all(true).build();
            let all = self.runtime.block_on(self.docker.list_containers(Some(options))).unwrap_or_default();
            for one in all {
                let force = RemoveContainerOptionsBuilder::default().force(true).build();
                let _ = self.runtime.block_on(self.docker.remove_container(&one.id.unwrap(), Some(force)));
            }
            for network in self.networks() {
                let _ = self.runtime.block_on(self.docker.remove_network(&network));
            }
        }
        self.end();
    }
}

/// `dockerd`, once it answers. It changes no firewall and no forwarding of the machine, and takes its networks from a
/// range of its own, so that several can run at once.
fn dockerd(folder: &TempDir, place: Place) -> Process {
    let at = |name: &str| folder.path().join(name).display().to_string();
    let pid = std::process::id();
    let mut command = match place {
        Place::Machine | Place::Tcp(_) => Command::new("dockerd"),
        Place::Apart => {
            let mut command = Command::new("unshare");
            command.args(["--net", "sh", "-c", "ip link set lo up && exec dockerd \"$@\"", "sh"]);
            command
        }
    };
    command
        .args(["--data-root", &at("data"), "--exec-root", &at("exec"), "--pidfile", &at("pid")])
        .args(["--config-file", &at("none.json"), "--host", &format!("unix://{}", at("socket"))])
        .args(["--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false"])
        .args(["--default-address-pool", &format!("base=10.{}.{}.0/24,size=28", 128 + pid / 256 % 100, pid % 256)]);
    if let Place::Tcp(port) = place {
        command.args(["--host", &format!("tcp://127.0.0.1:{port}"), "--tls=false"]);
    }
    std::fs::write(folder.path().join("none.json"), "{}").unwrap();
    let process = Process::start(&mut command);
    let socket = folder.path().join("socket");
    until("dockerd answers", || {
        assert!(!process.transcript().contains("failed to start"), "dockerd needs root\n{}", process.transcript());
        UnixStream::connect(&socket).is_ok()
    });
    process.stderr.wait_for(|line| line.contains("API listen on") && line.contains("socket"));
    process
}

/// A new root as Debian has it (usr-is-merged), with nothing in it.
pub(crate) fn merged(root: &Path) {
    for folder in ["usr/bin", "usr/lib", "usr/lib64", "tmp"] {
        std::fs::create_dir_all(root.join(folder)).unwrap();
    }
    for folder in ["bin", "lib", "lib64"] {
        std::os::unix::fs::symlink(format!("usr/{folder}"), root.join(folder)).unwrap();
    }
}

/// Copies programs of this machine, with what they are linked to.
pub(crate) fn install(programs: &[&str], root: &Path) {
    for program in programs {
        copy(&[program], root);
        copy(&libraries(program), root);
    }
}

/// What a program is linked to.
fn libraries(program: &str) -> Vec<String> {
    let said = String::from_utf8(output(Command::new("ldd").arg(program))).unwrap();
    said.split_whitespace().filter(|word| word.starts_with('/')).map(str::to_owned).collect()
}

/// Copies files to where they are here.
pub(crate) fn copy(files: &[impl AsRef<std::ffi::OsStr>], root: &Path) {
    output(Command::new("cp").args(["--parents", "--dereference", "--recursive"]).args(files).arg(root));
}

fn output(command: &mut Command) -> Vec<u8> {
    let output = command.stderr(Stdio::inherit()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?} failed");
    output.stdout
}
