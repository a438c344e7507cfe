//! One address that two balancers share: real keepalived on both, with the files that Fermata writes.

use rustix::process::Signal;

use crate::all_well;
use crate::support::until;
use crate::town::{Town, echoes};

const FLOATING: &str = "floating: {address: 10.88.0.10, interface: lan, balancers: [10.88.0.11, 10.88.0.12]}";

#[test]
fn the_floating_address_goes_to_the_other_balancer_stays_there_and_goes_back_when_that_one_is_lost() {
    let mut town = Town::new(FLOATING);
    let keepers = town.share_address();
    keepers[0].wait_for("that the first balancer has it", |line| line.contains("Entering MASTER STATE"));
    let holding = town.open_at(6, "10.88.0.10");
    assert_eq!((town.live(0), town.live(1)), (vec![2, 2, 2], vec![0, 0, 0]));
    assert_eq!(town.ask_at(9, "10.88.0.10"), all_well(9));

    // Its Fermata is gone, and the machine is not: the check of the port gives the address away.
    town.balancers[0].process.signal(Signal::KILL);
    keepers[1].wait_for("that the second one has it", |line| line.contains("Entering MASTER STATE"));
    until("what was open is gone", || holding.stdout.text().matches("closed 1006\n").count() == 6);
    assert_eq!(town.ask_at(9, "10.88.0.10"), all_well(9));
    let mut holding = town.open_at(6, "10.88.0.10");
    assert_eq!(town.live(1), [2, 2, 2]);

    // The first is well again, and does not take it back: that would end what is open.
    town.start_balancer(0);
    keepers[0].wait_for("that it waits", |line| line.contains("Entering BACKUP STATE") && line.contains("balancers"));
    echoes(&mut holding, 6);
    assert_eq!((town.live(0), town.live(1)), (vec![0, 0, 0], vec![2, 2, 2]));

    // The second one's cable: nothing says goodbye.
    town.cable_of_balancer(1, "down");
    until("the first one has it again", || {
        keepers[0].transcript().matches("Entering MASTER STATE").count() == 2
    });
    assert_eq!(town.ask_at(9, "10.88.0.10"), all_well(9));
    drop(town.open_at(3, "10.88.0.10"));
}
