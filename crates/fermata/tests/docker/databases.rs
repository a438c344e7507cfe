//! Databases of the file as containers for development: Debian's own, in images of the names and with the variables of those that
//! a registry would give. No registry is needed.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::engine::{Engine, copy, install, merged};
use crate::support::{Fermata, Folder, Process};

/// What is in the image that runs clients.
const CLIENT: &str = "fermata-test:client";

/// What the image postgres:17 does with its variables (hub.docker.com/_/postgres), as far as it is used here.
const POSTGRES: &str = "#!/bin/sh
set -e
data=/var/lib/postgresql/data
as='setpriv --reuid 999 --regid 999 --clear-groups'
if ! test -e $data/PG_VERSION; then
    chown 999:999 $data
    echo \"$POSTGRES_PASSWORD\" > /tmp/password
    $as initdb --username=\"$POSTGRES_USER\" --pwfile=/tmp/password --auth-host=scram-sha-256 --auth-local=trust \\
        --locale=C --encoding=UTF8 --no-sync --pgdata=$data
    echo 'host all all all scram-sha-256' >> $data/pg_hba.conf
    echo \"CREATE DATABASE $POSTGRES_DB;\" | $as postgres --single -D $data postgres
fi
exec $as postgres -D $data -c 'listen_addresses=*'
";

/// Where Debian has the programs of `PostgreSQL`.
fn postgresql() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL is installed");
    let mut versions: Vec<PathBuf> = versions.map(|version| version.unwrap().path()).collect();
    versions.sort();
    versions.pop().expect("PostgreSQL is installed")
}

/// Makes the images, all of the same files.
fn import(engine: &Engine) {
    let folder = Folder::new("");
    let root = folder.path().join("root");
    merged(&root);
    let postgresql = postgresql();
    let programs = postgresql.join("bin");
    let own: Vec<String> =
        ["postgres", "initdb", "pg_isready", "psql"].map(|name| programs.join(name).display().to_string()).into();
    let own: Vec<&str> = own.iter().map(String::as_str).collect();
    let others =
        ["dash", "sleep", "chown", "setpriv", "redis-cli", "redis-check-rdb"].map(|name| format!("/usr/bin/{name}"));
    install(&own, &root);
    install(&others.each_ref().map(String::as_str), &root);
    let modules: Vec<PathBuf> =
        fs::read_dir(postgresql.join("lib")).unwrap().map(|module| module.unwrap().path()).collect();
    let modules = modules.iter().filter(|module| module.extension().is_some_and(|end| end == "so"));
    copy(&modules.collect::<Vec<_>>(), &root);
    copy(&[Path::new("/usr/share/postgresql").join(postgresql.file_name().unwrap())], &root);
    symlink("dash", root.join("usr/bin/sh")).unwrap();
    // One program: its name decides (redis-check-rdb.c in redis).
    fs::rename(root.join("usr/bin/redis-check-rdb"), root.join("usr/bin/redis-server")).unwrap();
    for folder in ["data", "etc", "var/lib/postgresql/data", "var/run/postgresql"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    for open in ["tmp", "var/run/postgresql"] {
        fs::set_permissions(root.join(open), PermissionsExt::from_mode(0o1777)).unwrap();
    }
    fs::write(root.join("etc/passwd"), "root:x:0:0::/:/bin/sh\npostgres:x:999:999::/var/lib/postgresql:/bin/sh\n")
        .unwrap();
    fs::write(root.join("postgres"), POSTGRES).unwrap();
    let path = format!("ENV PATH={}:/usr/bin", programs.display());
    engine.import_folder("postgres:17", &root, &[&path, "CMD [\"sh\", \"/postgres\"]"]);
    let redis = "CMD [\"redis-server\", \"--protected-mode\", \"no\"]";
    engine.import_folder("redis:7", &root, &[&path, "WORKDIR /data", redis]);
    engine.import_folder(CLIENT, &root, &[&path]);
}

fn up(engine: &Engine, folder: Folder) -> Fermata {
    let process = Process::start(&mut engine.command(&folder, &["up", "--with-databases"]));
    process.wait_for("that it is ready", |line| line.starts_with("ready"));
    folder.adopt(process)
}

/// Ends it, and everything.
fn stop(engine: &Engine, fermata: Fermata) -> Folder {
    let Fermata { mut process, folder } = fermata;
    assert_eq!(engine.command(&folder, &["stop"]).status().unwrap().code(), Some(0));
    assert_eq!(process.wait().code(), Some(0));
    assert_eq!(engine.ids(), [""; 0]);
    folder
}

#[test]
fn databases_answer_those_who_were_told_of_them_and_keep_what_they_were_given() {
    let engine = Engine::start();
    import(&engine);
    let folder = Folder::new(&format!(
        "
version: 2
services:
  visitor:
    image: {CLIENT}
    command: sh /site/visit
    volumes: [\"SITE:/site:ro\"]
    stop_grace: 0
databases: [postgresql, redis]
"
    ));
    folder.write(
        "visit",
        "psql -qAt \"$POSTGRESQL_URL\" -c 'CREATE TABLE IF NOT EXISTS visits (at timestamptz)' 2>/dev/null
psql -qAt \"$POSTGRESQL_URL\" -c 'INSERT INTO visits VALUES (now())' -c 'SELECT current_user, current_database(), count(*) FROM visits'
PGPASSWORD=$POSTGRESQL_PASSWORD psql -qAt -h $POSTGRESQL_ADDRESS -p $POSTGRESQL_PORT -U $POSTGRESQL_USERNAME $POSTGRESQL_DATABASE -c 'SELECT 1'
redis-cli -u $REDIS_URL INCR visits
redis-cli -h $REDIS_ADDRESS -p $REDIS_PORT PING
exec sleep 1000
",
    );
    let text = fs::read_to_string(folder.path().join("service.yml")).unwrap();
    let site = folder.path().canonicalize().unwrap();
    folder.write("service.yml", &text.replace("SITE", site.to_str().unwrap()));
    let mut folder = folder;
    for visit in 1..=2 {
        let fermata = up(&engine, folder);
        let heard = |lines: &[String]| -> Vec<String> {
            lines.iter().filter_map(|line| Some(line.strip_prefix("visitor.1    │ ")?.to_owned())).collect()
        };
        let answers = [&format!("app|app|{visit}"), "1", &format!("{visit}"), "PONG"];
        let answered = fermata.process.stdout.wait_until(|lines| heard(lines).len() >= answers.len());
        assert!(answered, "{}", fermata.process.transcript());
        fermata.process.stdout.wait_until(|lines| {
            assert_eq!(heard(lines), answers);
            true
        });
        folder = stop(&engine, fermata);
    }
}

#[test]
fn a_process_reaches_a_database_at_a_port_of_the_machine_which_only_one_can_have() {
    let engine = Engine::start();
    import(&engine);
    let folder = Folder::new(
        "
version: 2
services:
  job:
    command: sh -c 'redis-cli -u $REDIS_URL PING; echo $SECRET; exec sleep 1000'
    env_vars: {SECRET: AUTO_GENERATE_32}
databases: [redis]
",
    );
    let fermata = up(&engine, folder);
    fermata.process.wait_for("the answer", |line| line == "job.1        │ PONG");
    let redis = &engine.ids()[0];
    let mounts = engine.inspect(redis).host_config.unwrap().mounts.unwrap();
    let data = fermata.folder.path().canonicalize().unwrap().join("state/databases/redis");
    assert_eq!(mounts[0].source.as_deref(), Some(data.to_str().unwrap()));

    let scaled = engine.command(&fermata.folder, &["scale", "redis=2"]).output().unwrap();
    assert_eq!(
        String::from_utf8(scaled.stderr).unwrap(),
        "error: redis can have only one instance: job, as a process of this machine, reaches it at 127.0.0.1:6379, which two \
         cannot have; run job in a container too (image), or have it use a public port of redis and take redis out of its \
         requires\n"
    );

    // There is one port for it: the old one goes first.
    let redeployed = engine.command(&fermata.folder, &["redeploy", "redis"]).output().unwrap();
    assert_eq!(redeployed.status.code(), Some(0), "{redeployed:?}");

    // What was drawn is kept, and so nothing has changed.
    let before = engine.ids();
    let kept = engine.command(&fermata.folder, &["stop", "--keep"]).output().unwrap();
    assert_eq!(kept.status.code(), Some(0), "{kept:?}");
    let Fermata { mut process, folder } = fermata;
    assert_eq!(process.wait().code(), Some(0));
    let fermata = up(&engine, folder);
    assert_eq!(engine.ids(), before);
    stop(&engine, fermata);
}

#[test]
fn databases_that_are_not_asked_for_are_only_mentioned() {
    let folder = Folder::new("version: 2\nservices:\n  job: {command: sleep 1000}\ndatabases: [redis]\n");
    let fermata = folder.up();
    let note = "fermata      │ warning: databases: redis is not run here; fermata up --with-databases runs them as \
                containers for development; otherwise tell services in env_vars where they are";
    assert!(fermata.process.stdout.text().lines().any(|line| line == note), "{}", fermata.process.transcript());
    assert_eq!(fermata.stop().code, Some(0));
}
