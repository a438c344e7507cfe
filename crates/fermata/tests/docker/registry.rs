//! Images come from registries, private ones too: Debian's own registry, which the test starts for itself.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::engine::{Engine, IMAGE};
use crate::support::{Folder, Process, free_port};

/// The user anna, whose password is "secret" (bcrypt, as htpasswd(1) writes it).
const USERS: &str = "anna:$2b$04$XOv/kZQUS0G7WQ8V4iWWyOaY1p7/a2CaMb92luA4A1mprAXj9uGKW\n";
/// The same as `docker login` writes it down: base64 of anna:secret.
const ANNA: &str = "YW5uYTpzZWNyZXQ=";

/// A registry that only anna may use, and its address.
fn registry(folder: &Folder) -> (Process, String) {
    let address = format!("127.0.0.1:{}", free_port());
    let users = folder.write("users", USERS);
    let data = folder.path().join("registry");
    let config = format!(
        "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: \"{address}\"}}\n\
         auth: {{htpasswd: {{realm: registry, path: {}}}}}\n",
        data.display(),
        users.display()
    );
    let config = folder.write("registry.yml", &config);
    let process = Process::start(Command::new("docker-registry").arg("serve").arg(config));
    process.stderr.wait_for(|line| line.contains("listening on")).expect("the registry listens");
    (process, address)
}

/// `fermata up` for a user with this `~/.docker/config.json`.
fn up(engine: &Engine, folder: &Folder, config: &str) -> Process {
    let home = folder.path().join("docker");
    std::fs::create_dir_all(&home).unwrap();
    folder.write("docker/config.json", config);
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    Process::start(engine.command(folder, &["up"]).env("DOCKER_CONFIG", home).env("PATH", path))
}

#[test]
fn images_of_a_private_registry_are_pulled_for_those_who_have_logged_in() {
    let engine = Engine::start();
    let folder = Folder::new("");
    let (_registry, address) = registry(&folder);
    let image = format!("{address}/team/app:1");
    engine.push(IMAGE, &image, ("anna", "secret"));
    folder.write("service.yml", &format!("version: 2\nservices:\n  web:\n    image: {image}\n    stop_grace: 2\n"));

    let mut nobody = up(&engine, &folder, "{}");
    assert_eq!(nobody.wait().code(), Some(1));
    let why = nobody.stderr.whole();
    let begin = format!("error: services.web.image: the image {image} is not here and cannot be pulled: ");
    assert!(why.starts_with(&begin) && why.contains("no basic auth credentials"), "{why}");
    assert!(why.contains("log in to its registry (docker login) if it is private"), "{why}");

    let mut anna = up(&engine, &folder, &format!("{{\"auths\": {{\"{address}\": {{\"auth\": \"{ANNA}\"}}}}}}"));
    anna.wait_for("that it pulls", |line| line.ends_with(&format!("web: pulling {image}")));
    anna.wait_for("that it has it", |line| line.ends_with(&format!("web: pulled {image}")));
    anna.wait_for("that it is ready", |line| line.starts_with("ready"));
    anna.signal(rustix::process::Signal::TERM);
    assert_eq!(anna.wait().code(), Some(0));

    // The same from a program that keeps passwords (docker-credential-helpers).
    engine.remove_image(&image);
    let helper = "#!/bin/sh\nread registry\necho '{\"Username\": \"anna\", \"Secret\": \"secret\"}'\n";
    let helper = folder.write("docker-credential-safe", helper);
    std::fs::set_permissions(helper, PermissionsExt::from_mode(0o755)).unwrap();
    let mut anna = up(&engine, &folder, &format!("{{\"credHelpers\": {{\"{address}\": \"safe\"}}}}"));
    anna.wait_for("that it is ready", |line| line.starts_with("ready"));
    anna.signal(rustix::process::Signal::TERM);
    assert_eq!(anna.wait().code(), Some(0));
}
