//! One suite for everything that instances can run in: local processes and containers are started, looked after, replaced and
//! ended alike. Needs root, as a Docker Engine does.

#[path = "../support/mod.rs"]
mod support;

#[path = "../docker/engine.rs"]
mod engine;

mod changes;
mod ends;
mod health;
mod house;
mod starts;

/// Each of these functions as a test of processes, and as one of containers.
macro_rules! in_both {
    ($($name:ident),+ $(,)?) => {
        mod processes {
            $(#[test]
            fn $name() {
                super::$name(&crate::house::House::of_processes());
            })+
        }
        mod containers {
            $(#[test]
            fn $name() {
                super::$name(&crate::house::House::of_containers());
            })+
        }
    };
}
use in_both;
