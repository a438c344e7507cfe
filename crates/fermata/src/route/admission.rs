//! Who may come in: how many tunnels a service has, in all and by address, counted from the handshake to the tunnel's end;
//! and how many tunnels and requests the gateway has.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::arrivals::Arrivals;

/// The tunnels of one service.
#[derive(Debug, Default)]
pub struct Guests {
    /// How fast they come.
    pub arrivals: Arrivals,
    all: AtomicU32,
    by_address: Mutex<HashMap<IpAddr, u32>>,
}

/// A place that is held until this is dropped.
#[derive(Debug)]
pub struct Admission {
    guests: Arc<Guests>,
    client: IpAddr,
}

impl Admission {
    /// Whose place it is.
    pub fn client(&self) -> IpAddr {
        self.client
    }
}

/// Why somebody may not come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// The service has as many as it takes.
    Full,
    /// This address has as many as one may have.
    FullForAddress,
}

impl Guests {
    /// Takes a place, if there is one.
    pub fn admit(
        self: &Arc<Self>,
        client: IpAddr,
        most: Option<u32>,
        most_per_address: Option<u32>,
    ) -> Result<Admission, Denied> {
        let mut by_address = self.by_address();
        let here = by_address.get(&client).copied().unwrap_or(0);
        if most_per_address.is_some_and(|most| here >= most) {
            return Err(Denied::FullForAddress);
        }
        if most.is_some_and(|most| self.all.load(Ordering::Relaxed) >= most) {
            return Err(Denied::Full);
        }
        by_address.insert(client, here + 1);
        self.all.fetch_add(1, Ordering::Relaxed);
        Ok(Admission { guests: self.clone(), client })
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        self.all.load(Ordering::Relaxed)
    }

    fn by_address(&self) -> MutexGuard<'_, HashMap<IpAddr, u32>> {
        self.by_address.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut by_address = self.guests.by_address();
        if let Some(count) = by_address.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(&self.client);
            }
        }
        self.guests.all.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The tunnels and requests of the whole gateway.
#[derive(Debug, Default)]
pub struct Places(AtomicU32);

/// One of them, until it is dropped.
#[derive(Debug)]
pub struct Place(Arc<Places>);

impl Places {
    /// Takes a place, if fewer than `most` are taken.
    pub fn take(self: &Arc<Self>, most: Option<u32>) -> Option<Place> {
        let free = |taken| (taken < most.unwrap_or(u32::MAX)).then(|| taken + 1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, free).ok()?;
        Some(Place(self.clone()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gateway_has_as_many_places_as_its_file_says() {
        let places = Arc::new(Places::default());
        let first = places.take(Some(2)).expect("a place");
        let second = places.take(Some(2)).expect("a place");
        assert!(places.take(Some(2)).is_none());
        drop(first);
        assert!(places.take(Some(2)).is_some());
        drop(second);
        assert_eq!(places.0.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_place_is_free_again_when_its_holder_leaves() {
        let guests = Arc::new(Guests::default());
        let [one, two]: [IpAddr; 2] = [[127, 0, 0, 1].into(), [127, 0, 0, 2].into()];
        let first = guests.admit(one, Some(2), Some(1)).expect("a place");
        assert_eq!(guests.admit(one, Some(2), Some(1)).expect_err("one each"), Denied::FullForAddress);
        let second = guests.admit(two, Some(2), Some(1)).expect("a place");
        drop(first);
        let again = guests.admit(one, Some(2), Some(1)).expect("a place");
        assert_eq!(guests.admit([127, 0, 0, 3].into(), Some(2), None).expect_err("two in all"), Denied::Full);
        drop((second, again));
        assert_eq!((guests.count(), guests.by_address().len()), (0, 0));
    }
}
