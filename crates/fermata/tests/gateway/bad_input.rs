//! What `fermata up` cannot do is said in one clear message, and nothing has been begun then.

use std::net::TcpListener;

use crate::support::{Ended, Folder, free_port};

/// Why `fermata up` did not begin; what a test says has been begun is looked for.
fn refused(folder: &Folder, code: i32) -> String {
    let Ended { code: seen, stdout, stderr } = folder.up_refused();
    assert_eq!((seen, stdout.as_str()), (Some(code), ""), "{stderr}");
    assert!(!folder.path().join("begun").exists(), "a process was started");
    let state = folder.path().join("state");
    let left: Vec<String> = std::fs::read_dir(state)
        .map(|names| names.filter_map(|name| name.ok()?.file_name().into_string().ok()).collect())
        .unwrap_or_default();
    // The lock on the folder may be there, and nobody holds it.
    assert!(left.is_empty() || left == ["lock"], "{left:?}");
    stderr
}

/// A service whose start would be seen, and more of a file.
fn begins(ports: &str, more: &str) -> Folder {
    Folder::new(&format!(
        "version: 2\nservices:\n  app: {{command: touch begun, ports: [{{container: {container}, {ports}}}]}}\n\
         gateway: {{bind: [\"127.0.0.1\"]}}\n{more}",
        container = free_port()
    ))
}

#[test]
fn a_file_that_is_not_there() {
    let folder = begins("http: 1", "");
    let ended = folder.run(&["up", "--state-dir", "state", "other.yml"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
    assert_eq!(ended.stderr, "error: other.yml: there is no such file\n");
    std::fs::remove_file(folder.path().join("service.yml")).expect("it is there");
    let words = "error: there is no service.yml in this folder; name the file, or write one (see fermata schema)\n";
    assert_eq!(refused(&folder, 2), words);
}

#[test]
fn a_file_that_is_no_yaml() {
    let folder = Folder::new("version: 2\nservices:\n  app:\n    ports: [\"3000:8080]\n");
    let words = r#"error[E-YAML-QUOTE]: the quote opened here is not closed
 --> service.yml:4:13
  |
4 |     ports: ["3000:8080]
  |             ^^^^^^^^^^^
  |
  = help: write " at the end of the value as well

"#;
    assert_eq!(refused(&folder, 1), words);
}

#[test]
fn a_key_that_nobody_knows() {
    let folder = Folder::new("version: 2\nservices:\n  app:\n    port: [\"3000:8080\"]\n");
    let words = r#"error[E-KEY-UNKNOWN]: services.app: unknown key "port"
 --> service.yml:4:5
  |
4 |     port: ["3000:8080"]
  |     ^^^^
  |
  = help: did you mean "ports"?

"#;
    assert_eq!(refused(&folder, 1), words);
}

#[test]
fn a_port_that_is_used_twice() {
    let folder = Folder::new(
        r#"version: 2
services:
  one: {ports: ["3000:8080"]}
  two: {ports: [{container: 3001, tcp: 8080}]}
"#,
    );
    let words = r#"error[E-PORT-TAKEN]: services.two.ports[0].tcp: 8080 is used as http by one and as tcp by two
 --> service.yml:4:40
  |
3 |   one: {ports: ["3000:8080"]}
  |                       ---- http of one
4 |   two: {ports: [{container: 3001, tcp: 8080}]}
  |                                        ^^^^ tcp of two
  |
  = help: each needs a port of its own; write another number for one of the two

"#;
    assert_eq!(refused(&folder, 1), words);
}

#[test]
fn a_port_that_another_process_has() {
    let held = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    let port = held.local_addr().expect("it is bound").port();
    let free = free_port();
    let folder = begins(&format!("http: {free}, https: {port}"), "");
    let name = std::fs::read_to_string(format!("/proc/{}/comm", std::process::id())).expect("we are a process");
    let words = format!(
        "error: cannot listen on 127.0.0.1:{port}: the port is taken by {} (pid {}); \
         end that process or choose another public port\n",
        name.trim(),
        std::process::id()
    );
    // An https port without a certificate gets one made, which stays for the next time.
    let Ended { code, stdout, stderr } = folder.up_refused();
    assert_eq!((code, stdout.as_str(), stderr), (Some(1), "", words));
    assert!(!folder.path().join("begun").exists());
    TcpListener::bind(("127.0.0.1", free)).expect("nothing has it");
}

#[test]
fn a_command_that_does_not_exist() {
    let folder = begins(&format!("http: {}", free_port()), "");
    let file = std::fs::read_to_string(folder.path().join("service.yml")).expect("it is there");
    folder.write("service.yml", &file.replace("command: touch begun", "command: no-such-program --now"));
    let stderr = refused(&folder, 1);
    let (before, after) = stderr.split_once(" (").expect("the folders of PATH");
    assert_eq!(before, "error: services.app.command: the program no-such-program is in none of the folders of PATH");
    let (_, after) = after.split_once(')').expect("the folders of PATH");
    let rest =
        "; install it, or write its path; a command runs without a shell: for a shell's own words write sh -c '...'\n";
    assert_eq!(after, rest);
}

#[test]
fn certificates_that_cannot_be_used() {
    let folder = begins(
        &format!("https: {}", free_port()),
        "tls:\n  certificates:\n  - {cert: app.pem, key: app.key}\n  - {cert: other.pem, key: other.key}\n",
    );
    let path = |name: &str| format!("{}/{name}", folder.path().display());
    let words = |problem: String| format!("error: {problem}; see tls.certificates in the file\n");
    assert_eq!(refused(&folder, 1), words(format!("{}: there is no such file", path("app.pem"))));
    folder.write_certificate("app", &["app.test"]);
    folder.write_certificate("other", &["other.test"]);
    std::fs::rename(folder.path().join("app.key"), folder.path().join("other.key")).expect("both are there");
    assert_eq!(refused(&folder, 1), words(format!("{}: there is no such file", path("app.key"))));
    folder.write_certificate("app", &["app.test"]);
    let mismatch = format!("{}: does not belong to the certificate {}", path("other.key"), path("other.pem"));
    assert_eq!(refused(&folder, 1), words(mismatch));
    folder.write("other.key", "no key at all");
    let problem = format!("{}: holds no private key (-----BEGIN PRIVATE KEY-----)", path("other.key"));
    assert_eq!(refused(&folder, 1), words(problem));
    folder.write("app.pem", "no certificate at all");
    let problem = format!("{}: holds no certificate (-----BEGIN CERTIFICATE-----)", path("app.pem"));
    assert_eq!(refused(&folder, 1), words(problem));
    folder.write("app.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    assert_eq!(refused(&folder, 1), words(format!("{}: holds something that is no certificate", path("app.pem"))));
}
