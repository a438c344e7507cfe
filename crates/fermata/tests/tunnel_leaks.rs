//! Thousands of tunnels at once, and nothing left of them. Alone in its process: it counts descriptors.

#[path = "tunnel/world/mod.rs"]
mod world;

use fermata::tunnel::Kind;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use world::{Frame, WIRINGS, World};

/// Four descriptors each: both ends of both legs are here.
const TUNNELS: usize = 4000;

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("proc is mounted").count()
}

/// As many tunnels as the system lets one process have, up to [`TUNNELS`].
fn affordable() -> usize {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).expect("up to the hard limit");
    limit.maximum.map_or(TUNNELS, |most| TUNNELS.min((most as usize - 200) / 4))
}

#[test]
fn thousands_of_tunnels_leave_no_descriptor_and_no_slot() {
    let tunnels = affordable();
    let mut world = World::new();
    // Whatever is made once (configurations, the standard library's own) is made now.
    world.open(WIRINGS[2], Kind::WebSocket);
    world.client().reset();
    world.until_over();
    world.tunnels.clear();
    let before = descriptors();
    for round in 1..=2 {
        for number in 0..tunnels {
            // TLS for a few: its handshakes take most of the time.
            let wiring = WIRINGS[if number % 40 == 0 { 2 + number / 40 % 4 } else { number % 2 }];
            let held = world.open(wiring, Kind::WebSocket);
            held.client.say(Frame::text(&format!("hello {number}")).masked());
        }
        assert_eq!(world.engine.live(), tunnels);
        world.run("every question", |world| world.tunnels.iter().all(|held| !held.service.got.is_empty()));
        for (number, held) in world.tunnels.iter_mut().enumerate() {
            held.service.say(Frame::text(&format!("hello {number}")).bare());
        }
        world.run("every answer", |world| world.tunnels.iter().all(|held| !held.client.got.is_empty()));
        for (number, held) in world.tunnels.iter_mut().enumerate() {
            assert_eq!(held.client.frames(), [Frame::text(&format!("hello {number}"))]);
            // However they end.
            match number % 4 {
                0 => held.client.reset(),
                1 => held.service.reset(),
                2 => held.client.leave(),
                _ => held.service.leave(),
            }
            held.client.finish();
            held.service.finish();
        }
        world.until_over();
        world.tunnels.clear();
        assert_eq!((world.engine.live(), world.ledger.live(), descriptors()), (0, 0, before), "round {round}");
    }
    assert_eq!(world.endings().values().sum::<u64>(), 2 * tunnels as u64 + 1);
}
