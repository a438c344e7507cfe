//! How instances end: by themselves, by TERM, by KILL; and what becomes of them then.

use crate::house::{House, Service, events, happened, lines_of};
use crate::support::until;

super::in_both!(
    an_instance_that_ends_at_once_is_started_again_after_longer_and_longer_waits,
    an_instance_that_heeds_term_has_its_last_words_heard,
    an_instance_that_ignores_term_is_killed_after_its_grace,
    an_instance_that_ends_after_a_while_is_started_again,
);

fn an_instance_that_ends_at_once_is_started_again_after_longer_and_longer_waits(house: &House) {
    let folder = House::folder();
    folder.write("fail", "echo run >> runs\necho going\nexit 3\n");
    house.write(&folder, &[Service::new("web", "sh fail", "")]);
    let fermata = house.begin(folder);
    happened(&fermata, "web.1 ended", 3);
    let ended: Vec<String> = events(&fermata).into_iter().filter(|event| event.contains("ended")).take(3).collect();
    assert_eq!(
        ended,
        ["0.5", "1", "2"].map(|wait| format!("web.1 ended with exit code 3; starting again in {wait} s"))
    );
    let said = fermata.process.stdout.text();
    let upto = said.rfind("web.1 ended").unwrap();
    let (words, ends) = (said[..upto].matches("│ going").count(), said[..upto].matches("web.1 ended").count() + 1);
    assert_eq!(words, ends, "each run is heard once, before its end is told\n{said}");
    assert_eq!(fermata.stop().code, Some(0));
}

/// Says hello, and does `at_term` when it is told to end.
fn program(at_term: &str) -> String {
    format!(
        "import os, signal\ndef told(*_):\n    {at_term}\nsignal.signal(signal.SIGTERM, told)\n\
         print('hello', flush=True)\nwhile True:\n    signal.pause()\n"
    )
}

fn an_instance_that_heeds_term_has_its_last_words_heard(house: &House) {
    let folder = House::folder();
    folder.write("polite", &program("print('goodbye', flush=True); os._exit(0)"));
    house.write(&folder, &[Service::new("web", "python3 polite", "stop_grace: 30")]);
    let fermata = house.begin(folder);
    until("it runs", || lines_of(&fermata, "web.1") == ["hello"]);
    let ended = fermata.stop();
    assert_eq!(ended.code, Some(0));
    let last: Vec<&str> = ended.stdout.lines().rev().take(3).collect();
    assert_eq!(last, ["fermata      │ web.1 has stopped", "web.1        │ goodbye", "fermata      │ web.1 stops"]);
}

fn an_instance_that_ignores_term_is_killed_after_its_grace(house: &House) {
    let folder = House::folder();
    folder.write("stubborn", &program("print('no', flush=True)"));
    house.write(&folder, &[Service::new("web", "python3 stubborn", "stop_grace: 1")]);
    let fermata = house.begin(folder);
    until("it runs", || lines_of(&fermata, "web.1") == ["hello"]);
    let ended = fermata.stop();
    assert_eq!(ended.code, Some(0));
    let last: Vec<&str> = ended.stdout.lines().rev().take(3).collect();
    assert_eq!(last, ["fermata      │ web.1 has stopped", "web.1        │ no", "fermata      │ web.1 stops"]);
}

fn an_instance_that_ends_after_a_while_is_started_again(house: &House) {
    let folder = House::folder();
    folder.write("leave", "trap exit TERM\nwhile ! test -e leave-now; do sleep 0.1; done\nrm leave-now\nexit 7\n");
    let ready = "health: {ready: {type: exec, command: \"true\", initial_delay: 0, period: 1, timeout: 20}}";
    house.write(&folder, &[Service::new("web", "sh leave", ready)]);
    let fermata = house.up(folder);
    fermata.folder.write("leave-now", "");
    assert_eq!(happened(&fermata, "web.1 ended", 1), "web.1 ended with exit code 7; starting again in 0.5 s");
    happened(&fermata, "web.1 is ready", 2);
    let instance = fermata.status()["services"][0]["instances"][0].clone();
    assert_eq!((&instance["state"], &instance["restarts"]), (&"ready".into(), &1.into()));
    assert_eq!((&instance["health"], &instance["reason"]), (&"passing".into(), &serde_json::Value::Null));
    assert!(instance["memory"].as_u64().unwrap() > 100_000, "{instance}");
    until("its share of a CPU is known", || {
        fermata.status()["services"][0]["instances"][0]["cpu"].as_f64().is_some_and(|share| share >= 0.0)
    });
    assert_eq!(fermata.stop().code, Some(0));
}
