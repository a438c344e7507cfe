//! One address that two balancers share: a real keepalived on both, with the files that Fermata writes.

use rustix::process::Signal;

use crate::all_well;
use crate::support::{Process, until};
use crate::town::{Town, echoes};

const ADDRESS: &str = "10.88.0.10";
const KEYS: &str = "floating: {address: 10.88.0.10, interface: lan, balancers: [10.88.0.11, 10.88.0.12]}";

/// Waits until a keepalived has said so many times that its balancer has the address, or hasn't.
fn says(keeper: &Process, state: &str, times: usize) {
    let said = format!("Entering {state} STATE");
    until(&format!("{said}, {times} times"), || keeper.stdout.text().matches(&said).count() == times);
}

#[test]
fn the_floating_address_moves_when_its_balancer_is_lost_and_stays_when_that_one_is_back() {
    let mut town = Town::new(KEYS);
    let keepers = town.share_address();
    says(&keepers[0], "MASTER", 1);
    let holding = town.open_at(6, &[ADDRESS]);
    assert_eq!((town.live(0), town.live(1)), (vec![2, 2, 2], vec![0, 0, 0]));
    assert_eq!(town.ask_at(9, ADDRESS), all_well(9));

    // Fermata is gone, and the machine is not: keepalived finds out.
    town.balancers[0].process.signal(Signal::KILL);
    says(&keepers[1], "MASTER", 1);
    until("what was open is gone", || holding.stdout.text().matches("closed 1006\n").count() == 6);
    assert_eq!(town.ask_at(9, ADDRESS), all_well(9));
    let mut holding = town.open_at(6, &[ADDRESS]);
    assert_eq!(town.live(1), [2, 2, 2]);

    // To take it back would end what is open.
    town.start_again(0);
    says(&keepers[0], "BACKUP", 2);
    echoes(&mut holding, 6);
    assert_eq!((town.live(0), town.live(1)), (vec![0, 0, 0], vec![2, 2, 2]));

    // A machine that is cut off says nothing at all.
    town.balancer_cable(1, "down");
    says(&keepers[0], "MASTER", 2);
    assert_eq!(town.ask_at(9, ADDRESS), all_well(9));
    drop(town.open_at(3, &[ADDRESS]));
    // Reset by its kernel, what it had keeps nobody waiting at the end.
    town.balancers[1].process.signal(Signal::KILL);
    town.balancer_cable(1, "up");
}
