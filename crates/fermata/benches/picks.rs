//! What choosing one of a service's instances costs, among few and among many: `cargo bench -p fermata --bench picks`.
//!
//! Each figure is the fastest of many short rounds, because a machine that does other work can only add to it.
#![allow(clippy::print_stdout, reason = "a benchmark prints")]

use std::collections::VecDeque;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use fermata::route::{Despair, Manner, Newcomers, Pool, Rank, Target, Wanted};
use fermata_spec::Balance;

const ROUNDS: u32 = 200;
const ROUND: Duration = Duration::from_millis(2);
/// Leases that are held at any time: each pick gives the oldest back.
const HELD: usize = 5000;

fn main() {
    println!("{:<34}{:>14}{:>16}", "", "among 3, ns", "among 1000, ns");
    for balance in [Balance::Leastconn, Balance::Roundrobin, Balance::Random, Balance::Source] {
        let [few, many] = [3, 1000].map(|count| pick(balance, count, |_| 1));
        println!("{:<34}{few:>14.0}{many:>16.0}", format!("{balance:?}").to_lowercase());
    }
    let [few, many] = [3, 1000].map(|count| pick(Balance::Leastconn, count, |number| number % 5 + 1));
    println!("{:<34}{few:>14.0}{many:>16.0}", "leastconn, weights of 1 to 5");
    let [few, many] = [3, 1000].map(cookie);
    println!("{:<34}{few:>14.0}{many:>16.0}", "by a visitor's cookie");
    let begin = Instant::now();
    let pool = pool(1000, |_| 1);
    println!("settling 1000 servers in a pool: {:.1} ms", begin.elapsed().as_secs_f64() * 1000.0);
    let begin = Instant::now();
    pool.settle(&wanted(1001, |_| 1), Newcomers::Well, Despair::TryAll);
    println!("one more:                        {:.1} ms", begin.elapsed().as_secs_f64() * 1000.0);
}

fn wanted(count: u16, weight: impl Fn(u16) -> u16) -> Vec<Wanted> {
    let one = |number: u16| {
        let [high, low] = number.to_be_bytes();
        let target = Target::Ip(SocketAddr::from(([10, 0, high, low], 8080)));
        let rank = Rank { weight: weight(number), ..Rank::default() };
        Wanted { instance: format!("web{number}").into(), target, rank }
    };
    (0..count).map(one).collect()
}

fn pool(count: u16, weight: impl Fn(u16) -> u16) -> Pool {
    let pool = Pool::new("servers".into());
    pool.settle(&wanted(count, weight), Newcomers::Well, Despair::TryAll);
    pool
}

/// Nanoseconds of one pick, by so many clients.
fn pick(balance: Balance, count: u16, weight: impl Fn(u16) -> u16) -> f64 {
    let pool = pool(count, weight);
    let manner = Manner { balance, slow_start: None };
    let now = Instant::now();
    let mut client = 0_u32;
    let mut held = VecDeque::new();
    fastest(|| {
        client = client.wrapping_add(0x9e37_79b9);
        held.push_back(pool.pick(manner, IpAddr::V4(Ipv4Addr::from(client)), &[], now));
        if held.len() > HELD {
            held.pop_front();
        }
    })
}

fn cookie(count: u16) -> f64 {
    let pool = pool(count, |_| 1);
    let names: Vec<String> = (0..count).map(|number| format!("web{number}")).collect();
    let mut turn = 0;
    fastest(|| {
        turn = (turn + 7) % names.len();
        black_box(pool.take(&names[turn], &[]));
    })
}

fn fastest(mut what: impl FnMut()) -> f64 {
    let mut fastest = f64::INFINITY;
    for _ in 0..ROUNDS {
        let (begin, mut times) = (Instant::now(), 0);
        while begin.elapsed() < ROUND {
            (0..64).for_each(|_| what());
            times += 64;
        }
        fastest = fastest.min(begin.elapsed().as_nanos() as f64 / f64::from(times));
    }
    fastest
}
