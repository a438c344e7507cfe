//! A program that takes part in an upgrade up to some point, and dies there. It is this very test program, called by a
//! script; what it says are the real words.

use std::os::fd::AsFd;
use std::path::PathBuf;

use fermata::handover::manifest::{Answer, Begin, Hello, VERSION, Word};
use fermata::handover::{Channel, Message};
use rustix::process::{Signal, getpid, kill_process};
use serde::de::DeserializeOwned;

use crate::support::Folder;

/// In whose place it dies. Not set where this program is only a test.
const POINT: &str = "FERMATA_TEST_DIES";

/// Where it dies, in order.
pub(crate) const POINTS: [&str; 9] = [
    "before a word",
    "after Hello",
    "after Begin",
    "after Prepared",
    "after Estate",
    "after some tunnels",
    "after End",
    "after Ready",
    "after Go",
];

/// A script in this folder that plays such a program.
pub(crate) fn script(folder: &Folder, point: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let program = std::env::current_exe().expect("this program is somewhere");
    let text = format!(
        "#!/bin/sh\n\
         case \"$1\" in\n  \
           --version) echo 'fermata 9.9.9' ;;\n  \
           *) {POINT}='{point}' exec '{}' --exact --nocapture actor::a_program_that_is_called_dies_where_it_was_told_to ;;\n\
         esac\n",
        program.display()
    );
    let script = folder.write("actor.sh", &text);
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("a file of one's own");
    script
}

#[test]
fn a_program_that_is_called_dies_where_it_was_told_to() {
    let Ok(point) = std::env::var(POINT) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(play(&point));
}

async fn play(point: &str) {
    let die = |here: &str| {
        if here == point {
            kill_process(getpid(), Signal::KILL).expect("one may kill oneself");
        }
    };
    let descriptor = std::io::stdin().as_fd().try_clone_to_owned().expect("a descriptor");
    let mut channel = Channel::new(descriptor).expect("a socket");
    die("before a word");
    let handover = if point == "speaks other words" { VERSION + 1 } else { VERSION };
    if point == "speaks nonsense" {
        channel.say(&"good morning").await.expect("somebody listens");
    }
    channel.say(&Hello { handover, fermata: "9.9.9".into() }).await.expect("somebody listens");
    die("after Hello");
    let begin: Message<Begin> = hear(&mut channel).await;
    assert_eq!(begin.descriptors.len(), begin.said.listeners.len());
    die("after Begin");
    if point == "refuses" {
        channel.say(&Answer::Refused("it is not in the mood".into())).await.expect("somebody listens");
    }
    channel.say(&Answer::Prepared).await.expect("somebody listens");
    die("after Prepared");
    assert!(matches!(hear(&mut channel).await.said, Word::Estate(_)));
    die("after Estate");
    loop {
        match hear(&mut channel).await.said {
            Word::Tunnels(_) => die("after some tunnels"),
            Word::End(_) => break,
            word => panic!("{word:?}"),
        }
    }
    die("after End");
    if point == "takes without being told to" {
        channel.say(&Answer::Taken).await.expect("somebody listens");
    }
    channel.say(&Answer::Ready).await.expect("somebody listens");
    die("after Ready");
    assert_eq!(hear::<Word>(&mut channel).await.said, Word::Go);
    die("after Go");
}

async fn hear<T: DeserializeOwned>(channel: &mut Channel) -> Message<T> {
    channel.hear().await.expect("a message").expect("somebody speaks")
}
