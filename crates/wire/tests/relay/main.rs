//! The relay against a simple reader, another implementation, and a simulated world.

mod cuts;
mod endpoint;
mod model;
mod moves;
mod simulation;
mod streams;
