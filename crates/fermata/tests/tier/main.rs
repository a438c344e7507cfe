//! The load balancer tier on machines of its own: cables that are cut, servers that are killed, stand still or lose packets, and
//! a second balancer.

mod far;
mod floating;
#[path = "../support/mod.rs"]
mod support;
mod town;

use rustix::process::Signal;
use support::until;
use town::{Town, echoes};

/// What `ask` prints when all is well.
fn all_well(count: usize) -> String {
    format!("200 {count}\n")
}

#[test]
fn tunnels_behind_a_cut_cable_end_with_1011_and_the_others_notice_nothing() {
    let town = Town::new("");
    let mut holding = town.open(12, &[0]);
    assert_eq!(town.live(0), [4, 4, 4]);
    town.cable(0, "down");
    holding.wait_for("that a tunnel has ended", |line| line == "closed 1011");
    until("the four of that server have", || holding.stdout.text().matches("closed 1011\n").count() == 4);
    echoes(&mut holding, 8);
    town.hears(0, "web21 is down on 8080");
    assert_eq!(town.ask(20, 0), all_well(20));
    let more = town.open(6, &[0]);
    assert_eq!(town.live(0), [0, 7, 7]);
    // Plugged in again, it gets what the others have too many of.
    town.cable(0, "up");
    town.hears_again(0, "web21 is well on 8080", 2);
    let back = town.open(7, &[0]);
    assert_eq!(town.live(0), [7, 7, 7]);
    assert_eq!(holding.stdout.text().matches("closed").count(), 4);
    drop((more, back));
}

#[test]
fn a_server_that_accepts_and_never_answers_gets_nothing_and_its_tunnels_end() {
    let mut town = Town::new("balance: roundrobin");
    let mut holding = town.open(6, &[0]);
    assert_eq!(town.live(0), [2, 2, 2]);
    // The kernel still accepts for it.
    town.signal(1, Signal::STOP);
    // Some of these are asked of it before it has failed its checks, and then of another.
    assert_eq!(town.ask(10, 0), all_well(10));
    until("its tunnels have ended", || holding.stdout.text().matches("closed 1011\n").count() == 2);
    town.hears(0, "web22 is down on 8080");
    echoes(&mut holding, 4);
    town.signal(1, Signal::CONT);
    town.hears_again(0, "web22 is well on 8080", 2);
    assert_eq!(town.ask(10, 0), all_well(10));
}

#[test]
fn a_server_that_is_killed_costs_its_own_tunnels_and_no_request() {
    let mut town = Town::new("");
    let mut holding = town.open(9, &[0]);
    assert_eq!(town.live(0), [3, 3, 3]);
    town.signal(2, Signal::KILL);
    assert_eq!(town.ask(20, 0), all_well(20));
    until("its tunnels have ended", || holding.stdout.text().matches("closed 1011\n").count() == 3);
    echoes(&mut holding, 6);
    town.hears(0, "web23 is down on 8080");
}

#[test]
fn lost_packets_cost_time_and_nothing_else() {
    let town = Town::new("websocket: {keepalive: 1s, pong_timeout: 20s}");
    // Every tenth packet to each server, by chance.
    for server in 0..3 {
        town.drops(server, "ip protocol tcp numgen random mod 10 == 0");
    }
    let mut holding = town.open(12, &[0, 1]);
    assert_eq!(town.ask(30, 0), all_well(30));
    echoes(&mut holding, 12);
    assert_eq!(holding.stdout.text().matches("closed").count(), 0);
}

#[test]
fn each_of_two_balancers_uses_what_it_reaches_and_one_that_dies_takes_no_other_tunnels_along() {
    let mut town = Town::new("");
    // The second balancer does not reach the first server; the first one does.
    town.drops(0, "ip saddr 10.88.0.12");
    town.hears(1, "web21 is down on 8080");
    let mut holding = town.open(12, &[0, 1]);
    assert_eq!((town.live(0), town.live(1)), (vec![2, 2, 2], vec![0, 3, 3]));
    assert_eq!((town.ask(9, 0), town.ask(9, 1)), (all_well(9), all_well(9)));
    town.balancers[0].process.signal(Signal::KILL);
    until("its tunnels have ended", || holding.stdout.text().matches("closed 1006\n").count() == 6);
    echoes(&mut holding, 6);
    assert_eq!(town.ask(9, 1), all_well(9));
    let again = town.open(6, &[1]);
    assert_eq!(town.live(1), [0, 6, 6]);
    drop(again);
}
