//! The process runtime as others use it: real processes, real sockets, real signals.

mod ends;
mod health;
mod orphans;
mod output;
mod plan;
mod site;
mod starts;
