//! Load balancers of clouds: the command around them, what `check --behind` says, and the table of the documentation.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use fermata::render::{TARGETS, target};
use fermata_spec::Severity;
use fermata_spec::balancers::BALANCERS;

use crate::support::Folder;
use crate::support::golden::inputs;

/// The smallest file that every balancer carries.
pub(crate) const PORTS: &str = "services:\n  web:\n    image: nginx\n    ports: [\"80:8080\"]\n";
/// Where the service.yml files for balancers are.
pub(crate) const FOLDER: &str = "render/cloud";

/// The targets that stand in front of Fermata or of its machines: all for Terraform and what goes with it.
pub(crate) fn targets() -> Vec<&'static str> {
    let is_balancer = |name: &str| BALANCERS.iter().any(|balancer| name.starts_with(balancer.name));
    let is_here = |name: &&str| is_balancer(name) || name.starts_with("servers-");
    TARGETS.iter().map(|target| target.name).filter(is_here).collect()
}

/// The text of a service.yml among them.
pub(crate) fn input(name: &str) -> String {
    inputs(FOLDER).into_iter().find(|(input, _)| input == name).unwrap_or_else(|| panic!("there is no {name}")).1
}

#[test]
fn configuration_and_readme_are_written_into_a_folder_again_and_again() {
    let folder = Folder::new(PORTS);
    for _ in 0..2 {
        let ended = folder.run(&["render", "aws-nlb", "-o", "aws"]);
        let said = "service.yml: written to aws/main.tf.json, aws/README.md (0 left out or changed, 0 notes)\n";
        assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (Some(0), "", said));
    }
    folder.write("aws/README.md", "# Mine\n");
    let before = fs::read(folder.path().join("aws/main.tf.json")).expect("it was written");
    folder.write("service.yml", &PORTS.replace("8080", "8443"));
    let ended = folder.run(&["render", "aws-nlb", "-o", "aws"]);
    let said = "error: aws/README.md was not written by fermata render; move it, or name another folder\n";
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(2), said));
    assert_eq!(fs::read(folder.path().join("aws/main.tf.json")).expect("it is there"), before);
}

#[test]
fn check_tells_what_does_not_go_well_behind_a_balancer() {
    let yml = "services:\n  web:\n    image: nginx\n    ports: [\"80:8080\"]\n    websocket: {keepalive: 1m}\n";
    let folder = Folder::new(yml);
    let ended = folder.run(&["check", "--behind", "cloudflare"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let said = "\
warning[W-BALANCER]: gateway.trusted_proxies: Cloudflare's proxy tells who the client is, and nobody is believed: all clients look like it
warning[W-BALANCER]: services.web.websocket.keepalive: Cloudflare's proxy ends connections that are silent for 100s; a Ping every 1m comes too late";
    let lines = ended.stdout.lines().filter(|line| line.starts_with("warning[W-BALANCER]"));
    let lines: Vec<&str> = lines.collect();
    assert_eq!(lines.join("\n"), said);
    let ended = folder.run(&["check", "--behind", "gcp-nlb"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let ended = folder.run(&["check", "--behind", "elb"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("aws-alb, aws-nlb, aws-classic"), "{}", ended.stderr);
}

/// Every balancer, with a file that fits all of them and one that is hard to carry.
#[test]
fn every_balancer_judges_by_its_own_row() {
    let hard = input("5-seldom.yml");
    let spec = fermata_spec::read(&hard).spec.expect("it is a service.yml");
    let mut text = String::new();
    for balancer in BALANCERS {
        let said = fermata_spec::balancers::judge(balancer, &spec);
        let errors = said.iter().filter(|one| one.severity == Severity::Error).count();
        let _ = writeln!(text, "{}: {errors} errors, {} warnings", balancer.name, said.len() - errors);
    }
    let expected = "\
aws-alb: 2 errors, 1 warnings
aws-nlb: 1 errors, 1 warnings
aws-classic: 1 errors, 1 warnings
aws-api-gateway: 3 errors, 2 warnings
gcp-alb: 2 errors, 0 warnings
gcp-nlb: 2 errors, 1 warnings
azure-appgw: 2 errors, 1 warnings
azure-lb: 1 errors, 1 warnings
azure-frontdoor: 3 errors, 2 warnings
digitalocean: 3 errors, 1 warnings
hetzner: 1 errors, 2 warnings
linode: 1 errors, 2 warnings
vultr: 2 errors, 1 warnings
scaleway: 2 errors, 1 warnings
openstack-octavia: 2 errors, 1 warnings
rackspace: 2 errors, 1 warnings
cloudflare: 2 errors, 2 warnings
fly: 2 errors, 1 warnings
oracle: 2 errors, 1 warnings
";
    assert_eq!(text, expected);
}

/// The table of docs/elsewhere.md.
fn documented() -> String {
    use fermata_spec::balancers::{Carries, Closes, Drain, Idle};
    let mut table =
        "| balancer | carries | silence | time to leave | pins by | kept to networks |\n| --- | --- | --- | --- | --- | --- |\n".to_owned();
    for balancer in BALANCERS {
        let mut carries = match balancer.carries {
            Carries::Requests | Carries::RequestsAsTheyCome => "http, https".to_owned(),
            Carries::Bytes => "http, https, tcp, byte for byte".to_owned(),
            Carries::Messages => "messages of its own".to_owned(),
        };
        carries += if balancer.tcp && balancer.carries == Carries::Requests { ", tcp" } else { "" };
        carries += if balancer.udp { ", udp" } else { "" };
        let idle = match balancer.idle {
            Idle::Set(range, _) => format!("{} s, up to {} s", range.default, range.max),
            Idle::Fixed(seconds) => format!("{seconds} s"),
            Idle::Assumed(seconds) => format!("{seconds} s, assumed"),
            Idle::Unlimited => "no limit".to_owned(),
        };
        let drain = match balancer.drain {
            Drain::Set(range) => format!("up to {} s", range.max),
            Drain::Unbounded => "no limit".to_owned(),
        };
        let pins = match balancer.pins {
            fermata_spec::balancers::Pins::Cookie => "cookie",
            fermata_spec::balancers::Pins::Address => "address",
        };
        let closes = match balancer.closes {
            Closes::ByPort => "by port",
            Closes::AsAWhole => "as a whole",
            Closes::Never => "no",
        };
        let name = balancer.name;
        let target = if target(name).is_some() { format!("**`{name}`**") } else { format!("`{name}`") };
        let _ = writeln!(table, "| {target} | {carries} | {idle} | {drain} | {pins} | {closes} |");
    }
    table
}

#[test]
fn the_documentation_has_the_table_of_balancers() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/elsewhere.md");
    let page = fs::read_to_string(&path).expect("the page is there");
    let (before, rest) = page.split_once("<!-- balancers -->\n").expect("the table begins");
    let (_, after) = rest.split_once("<!-- end -->").expect("the table ends");
    let made = format!("{before}<!-- balancers -->\n\n{}\n<!-- end -->{after}", documented());
    if std::env::var_os("FERMATA_BLESS").is_some() {
        fs::write(&path, &made).expect("it can be written");
    } else {
        assert_eq!(page, made);
    }
}
