//! A client that is 80 ms away, on a line that loses packets.

use rustix::process::Signal;

use crate::all_well;
use crate::support::until;
use crate::town::{Town, echoes};

#[test]
fn a_client_far_away_on_a_bad_line_waits_longer_and_loses_what_others_lose() {
    let mut town = Town::new("websocket: {keepalive: 1s, pong_timeout: 20s}");
    let _wire = town.move_client_away(80, 2);
    let mut holding = town.open(9, &[0]);
    assert_eq!(town.live(0), [3, 3, 3]);
    echoes(&mut holding, 9);
    assert_eq!(town.ask(5, 0), all_well(5));
    town.signal(2, Signal::KILL);
    until("the three of that server have been told", || holding.stdout.text().matches("closed 1011\n").count() == 3);
    assert_eq!(town.ask(5, 0), all_well(5));
    echoes(&mut holding, 6);
    assert_eq!(holding.stdout.text().matches("closed").count(), 3);
}
