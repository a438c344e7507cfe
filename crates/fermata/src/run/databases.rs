//! `databases:` of a file as services of it: what `up --with-databases` runs for development. Pure: a file in, a file out.
//!
//! Each is a piece of service.yml, as somebody would write it. For everything else, where a database lives for years, the file
//! names one that others run.

use std::path::Path;
use std::sync::Arc;

use fermata_spec::{Database, Service, Source, Spec};

/// A database that can be run, and what services are told of it.
struct Known {
    /// Its name in the file, and its host name.
    name: &'static str,
    database: Database,
    image: &'static str,
    port: u16,
    /// Where in its container the files are that stay.
    data: Option<&'static str>,
    /// What else stands in its service.
    more: &'static str,
    /// How a URL for it begins.
    scheme: &'static str,
    /// Where nobody is let in without.
    login: Option<Login>,
}

/// Who its users are: one, called `app`.
struct Login {
    /// The variable of its own service that has the password.
    password: &'static str,
    /// Whether there is a database of that name too.
    database: bool,
}

const KNOWN: [Known; 6] = [
    Known {
        name: "postgresql",
        database: Database::Postgresql,
        image: "postgres:17",
        port: 5432,
        data: Some("/var/lib/postgresql/data"),
        // While it makes its files it listens on a socket alone.
        more: "
    stop_grace: 30
    env_vars: {POSTGRES_USER: app, POSTGRES_PASSWORD: AUTO_GENERATE_24, POSTGRES_DB: app}
    health: {ready: {type: exec, command: pg_isready -h 127.0.0.1 -U app, initial_delay: 0, period: 1, timeout: 10}}
",
        scheme: "postgresql",
        login: Some(Login { password: "POSTGRES_PASSWORD", database: true }),
    },
    Known {
        name: "mysql",
        database: Database::Mysql,
        image: "mysql:8.4",
        port: 3306,
        data: Some("/var/lib/mysql"),
        more: "
    stop_grace: 30
    env_vars:
      MYSQL_USER: app
      MYSQL_PASSWORD: AUTO_GENERATE_24
      MYSQL_DATABASE: app
      MYSQL_RANDOM_ROOT_PASSWORD: 'yes'
    health: {ready: {type: exec, command: mysqladmin ping -h 127.0.0.1, initial_delay: 0, period: 1, timeout: 10}}
",
        scheme: "mysql",
        login: Some(Login { password: "MYSQL_PASSWORD", database: true }),
    },
    Known {
        name: "redis",
        database: Database::Redis,
        image: "redis:7",
        port: 6379,
        data: Some("/data"),
        more: "",
        scheme: "redis",
        login: None,
    },
    Known {
        name: "mongodb",
        database: Database::Mongodb,
        image: "mongo:7",
        port: 27017,
        data: Some("/data/db"),
        more: "
    stop_grace: 30
",
        scheme: "mongodb",
        login: None,
    },
    Known {
        name: "elasticsearch",
        database: Database::Elasticsearch,
        image: "elasticsearch:8.17.0",
        port: 9200,
        data: None,
        more: "
    env_vars: {discovery.type: single-node, xpack.security.enabled: 'false', ES_JAVA_OPTS: -Xms512m -Xmx512m}
    health: {ready: {type: http, endpoint: /, initial_delay: 0, period: 2}}
",
        scheme: "http",
        login: None,
    },
    Known {
        name: "rabbitmq",
        database: Database::Rabbitmq,
        image: "rabbitmq:4",
        port: 5672,
        data: Some("/var/lib/rabbitmq"),
        more: "
    stop_grace: 30
    env_vars:
      RABBITMQ_DEFAULT_USER: app
      RABBITMQ_DEFAULT_PASS: AUTO_GENERATE_24
      RABBITMQ_NODENAME: rabbit@localhost
",
        scheme: "amqp",
        login: Some(Login { password: "RABBITMQ_DEFAULT_PASS", database: false }),
    },
];

fn known(database: Database) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.database == database)
}

/// The file with its databases as services, whose files are below `state`. Its other services require them, and are told
/// where they are; what a file says itself, and a service of the name of a database, stays as it is.
#[must_use]
pub fn with_databases(mut spec: Spec, state: &Path) -> Spec {
    let mut added = Vec::new();
    for known in spec.databases.iter().copied().filter_map(known) {
        if spec.services.iter().any(|service| &*service.name == known.name) {
            continue;
        }
        let Some(own) = known.own(state) else { continue };
        spec.services.iter_mut().for_each(|service| known.tell(service));
        added.push(own);
    }
    spec.services.extend(added);
    spec
}

/// What is said of a file's databases that are not run.
pub fn note(spec: &Spec) -> Option<String> {
    let left: Vec<&str> = spec
        .databases
        .iter()
        .filter_map(|database| match known(*database) {
            Some(known) => {
                let is_there = spec.services.iter().any(|service| &*service.name == known.name);
                (!is_there).then_some(known.name)
            }
            None => Some("glusterfs"),
        })
        .collect();
    let (first, rest) = left.split_first()?;
    let are = if rest.is_empty() { "is" } else { "are" };
    let way_out = match rest {
        [] if *first == "glusterfs" => "tell services in env_vars where it is",
        _ => {
            "fermata up --with-databases runs them as containers for development; otherwise tell services in env_vars \
              where they are"
        }
    };
    Some(format!("databases: {} {are} not run here; {way_out}", left.join(", ")))
}

impl Known {
    /// A service.yml with it alone, its files below `state`.
    fn file(&self, state: &Path) -> String {
        let Known { name, image, port, data, more, .. } = self;
        let own = state.join("databases").join(name);
        let volumes = data.map(|data| format!("\n    volumes: ['{}:{data}']", own.display())).unwrap_or_default();
        format!(
            "version: 2\nservices:\n  {name}:\n    image: {image}\n    ports: [{{container: {port}}}]{volumes}{more}"
        )
    }

    fn own(&self, state: &Path) -> Option<Service> {
        let mut own = fermata_spec::read(&self.file(state)).spec?.services.into_iter().next()?;
        // Two at once would have the same files.
        own.constraints.max_surge = fermata_spec::Share::Count(0);
        own.constraints.max_unavailable = fermata_spec::Share::Count(1);
        Some(own)
    }

    fn tell(&self, service: &mut Service) {
        let host = match service.source {
            Source::Command(_) => "127.0.0.1",
            Source::Image { .. } | Source::Build { .. } => self.name,
            // It runs elsewhere already.
            _ => return,
        };
        service.requires.push(Arc::from(self.name));
        for (name, value) in self.variables(host) {
            let name = format!("{}_{name}", self.name.to_uppercase());
            if !service.env_vars.iter().any(|(each, _)| *each == name) {
                service.env_vars.push((name, value));
            }
        }
    }

    /// What somebody is told for whom it is at this host.
    fn variables(&self, host: &str) -> Vec<(&'static str, String)> {
        let Known { name, port, scheme, login, .. } = self;
        let password = login.as_ref().map(|login| format!("_env(SERVICE[{name}].{})", login.password));
        let database = login.as_ref().is_some_and(|login| login.database).then_some("app");
        let user = password.as_ref().map(|password| format!("app:{password}@")).unwrap_or_default();
        let path = database.map(|database| format!("/{database}")).unwrap_or_default();
        let mut all = vec![
            ("ADDRESS", host.to_owned()),
            ("PORT", port.to_string()),
            ("URL", format!("{scheme}://{user}{host}:{port}{path}")),
        ];
        if let Some(password) = password {
            all.extend([("USERNAME", "app".to_owned()), ("PASSWORD", password)]);
        }
        all.extend(database.map(|database| ("DATABASE", database.to_owned())));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(text: &str) -> Spec {
        fermata_spec::read(text).spec.expect("a valid file")
    }

    const FILE: &str = "version: 2\nservices:\n  web: {image: web, env_vars: {REDIS_URL: mine}}\n  job: {command: job}\n  \
                        elsewhere: {address: 10.0.0.5, ports: [{container: 1}]}\ndatabases: [redis, postgresql]\n";

    #[test]
    fn each_service_is_told_where_a_database_is_for_it() {
        let spec = with_databases(spec(FILE), Path::new("/state"));
        let told = |name: &str| -> Vec<String> {
            let service = spec.services.iter().find(|service| &*service.name == name).unwrap();
            service.env_vars.iter().map(|(name, value)| format!("{name}={value}")).collect()
        };
        assert_eq!(
            told("web"),
            [
                "REDIS_URL=mine",
                "REDIS_ADDRESS=redis",
                "REDIS_PORT=6379",
                "POSTGRESQL_ADDRESS=postgresql",
                "POSTGRESQL_PORT=5432",
                "POSTGRESQL_URL=postgresql://app:_env(SERVICE[postgresql].POSTGRES_PASSWORD)@postgresql:5432/app",
                "POSTGRESQL_USERNAME=app",
                "POSTGRESQL_PASSWORD=_env(SERVICE[postgresql].POSTGRES_PASSWORD)",
                "POSTGRESQL_DATABASE=app",
            ]
        );
        assert_eq!(
            told("job")[..3],
            ["REDIS_ADDRESS=127.0.0.1", "REDIS_PORT=6379", "REDIS_URL=redis://127.0.0.1:6379"]
        );
        assert_eq!(told("elsewhere"), [""; 0]);
        let requires = |name: &str| spec.services.iter().find(|one| &*one.name == name).unwrap().requires.join(" ");
        assert_eq!([requires("web"), requires("postgresql")], ["redis postgresql", ""].map(str::to_owned));
    }

    #[test]
    fn every_database_is_a_valid_service() {
        for database in &KNOWN {
            let text = database.file(Path::new("/d"));
            let outcome = fermata_spec::read(&text);
            let wrong: Vec<_> = outcome.diagnostics.iter().map(|one| one.render("f", &text, false)).collect();
            assert_eq!(wrong, [""; 0]);
        }
    }

    #[test]
    fn what_is_not_run_is_told() {
        let file = spec(FILE);
        assert_eq!(
            note(&file).unwrap(),
            "databases: redis, postgresql are not run here; fermata up --with-databases runs them as containers for \
             development; otherwise tell services in env_vars where they are"
        );
        assert_eq!(note(&with_databases(file, Path::new("/state"))), None);
        let glusterfs = spec("version: 2\nservices: {web: {image: web}}\ndatabases: [glusterfs]\n");
        assert_eq!(
            note(&glusterfs).unwrap(),
            "databases: glusterfs is not run here; tell services in env_vars where it is"
        );
    }
}
