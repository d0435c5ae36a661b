//! The order in which requests for one device are served: round robin among principals, first come first served
//! within one, bounded in all (Q1). When it is full, whoever has the most in it makes room for who has less, so that
//! one flood does not close the queue for the others. Pure: it knows no time and no tasks.

use std::collections::{HashMap, VecDeque};

/// The queue is full; holds its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full(pub usize);

/// Names a waiting item, for taking it out again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key(u64);

/// Waiting items by principal.
#[derive(Debug)]
pub struct FairQueue<T> {
    limit: usize,
    len: usize,
    next_key: u64,
    /// Principals with something waiting, the next to be served first.
    ring: VecDeque<String>,
    waiting: HashMap<String, VecDeque<(Key, T)>>,
}

impl<T> FairQueue<T> {
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            len: 0,
            next_key: 0,
            ring: VecDeque::new(),
            waiting: HashMap::new(),
        }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// How many items would be served before one that `who` adds now, if all take the same time.
    pub fn ahead_of(&self, who: &str) -> usize {
        let own = self.waiting.get(who).map_or(0, VecDeque::len);
        self.waiting
            .values()
            .map(|items| items.len().min(own + 1))
            .sum::<usize>()
            - usize::from(own > 0)
    }

    /// Adds an item for a principal. The second value is an item that had to make room for it: the newest one of the
    /// principal with the most.
    ///
    /// # Errors
    /// [`Full`] when as many items wait as may, and nobody has so many more than `who` that it would be fairer.
    pub fn push(&mut self, who: &str, item: T) -> Result<(Key, Option<T>), Full> {
        let displaced = if self.len < self.limit {
            None
        } else {
            Some(self.displace(who).ok_or(Full(self.limit))?)
        };
        Ok((self.take_over(who, item), displaced))
    }

    /// Adds an item that was let in before, into another queue; so it counts, and the limit does not.
    pub fn take_over(&mut self, who: &str, item: T) -> Key {
        let key = Key(self.next_key);
        self.next_key += 1;
        self.len += 1;
        if let Some(items) = self.waiting.get_mut(who) {
            items.push_back((key, item));
        } else {
            self.waiting.insert(who.to_owned(), VecDeque::from([(key, item)]));
            self.ring.push_back(who.to_owned());
        }
        key
    }

    /// Takes the newest item of the principal with the most, if it still has no less than `who` afterwards.
    fn displace(&mut self, who: &str) -> Option<T> {
        let count = |name: &String| self.waiting.get(name).map_or(0, VecDeque::len);
        let most = self.ring.iter().max_by_key(|name| count(name))?;
        let own = self.waiting.get(who).map_or(0, VecDeque::len);
        if count(most) < own + 2 {
            return None;
        }
        let most = most.clone();
        let (key, _) = self.waiting.get(&most)?.back()?;
        let key = *key;
        self.remove(&most, key)
    }

    /// Takes the next item that can be served now; its principal goes to the end of the ring.
    pub fn pop(&mut self, mut admissible: impl FnMut(&T) -> bool) -> Option<T> {
        for turn in 0..self.ring.len() {
            let who = &self.ring[turn];
            let Some(items) = self.waiting.get_mut(who) else {
                continue;
            };
            let Some(position) = items.iter().position(|(_, item)| admissible(item)) else {
                continue;
            };
            let taken = items.remove(position);
            let done = items.is_empty();
            if let Some(who) = self.ring.remove(turn) {
                if done {
                    self.waiting.remove(&who);
                } else {
                    self.ring.push_back(who);
                }
            }
            self.len -= 1;
            return taken.map(|(_, item)| item);
        }
        None
    }

    /// Takes out an item that does not want to wait any longer.
    pub fn remove(&mut self, who: &str, key: Key) -> Option<T> {
        let items = self.waiting.get_mut(who)?;
        let position = items.iter().position(|(other, _)| *other == key)?;
        let taken = items.remove(position);
        if items.is_empty() {
            self.waiting.remove(who);
            self.ring.retain(|other| other != who);
        }
        self.len -= 1;
        taken.map(|(_, item)| item)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pop(queue: &mut FairQueue<&'static str>) -> Option<&'static str> {
        queue.pop(|_| true)
    }

    /// Q1: one principal who floods the queue does not starve another.
    #[test]
    fn principals_take_turns() {
        let mut queue = FairQueue::new(64);
        for item in ["a1", "a2", "a3"] {
            queue.push("a", item).unwrap();
        }
        queue.push("b", "b1").unwrap();
        assert_eq!(queue.ahead_of("a"), 3);
        assert_eq!(queue.ahead_of("b"), 2);
        assert_eq!(queue.ahead_of("c"), 2);
        let order: Vec<_> = std::iter::from_fn(|| pop(&mut queue)).collect();
        assert_eq!(order, ["a1", "b1", "a2", "a3"]);
        assert_eq!(queue.ahead_of("a"), 0);
    }

    /// Q1
    #[test]
    fn what_exceeds_the_bound_is_refused() {
        let mut queue = FairQueue::new(2);
        let (first, _) = queue.push("a", "a1").unwrap();
        queue.push("b", "b1").unwrap();
        assert_eq!(queue.push("c", "c1"), Err(Full(2)));
        assert_eq!(queue.remove("a", first), Some("a1"));
        assert_eq!(queue.remove("a", first), None);
        queue.push("c", "c1").unwrap();
        assert_eq!(queue.len(), 2);
    }

    /// Quality row 33: a flood makes room for those who have less in the queue, and gets none back.
    #[test]
    fn who_has_the_most_makes_room_for_who_has_less() {
        let mut queue = FairQueue::new(4);
        for item in ["a1", "a2", "a3", "a4"] {
            queue.push("a", item).unwrap();
        }
        assert_eq!(queue.push("a", "a5"), Err(Full(4)));
        let displaced = |pushed: Result<(Key, Option<&'static str>), Full>| pushed.map(|(_, item)| item);
        assert_eq!(displaced(queue.push("b", "b1")), Ok(Some("a4")));
        assert_eq!(displaced(queue.push("b", "b2")), Ok(Some("a3")));
        assert_eq!(queue.push("b", "b3"), Err(Full(4)), "both have half");
        assert_eq!(queue.push("a", "a6"), Err(Full(4)));
        assert_eq!(displaced(queue.push("c", "c1")), Ok(Some("b2")));
        assert_eq!(queue.len(), 4);
        let order: Vec<_> = std::iter::from_fn(|| pop(&mut queue)).collect();
        assert_eq!(order, ["a1", "b1", "c1", "a2"]);
    }

    #[test]
    fn what_cannot_be_served_now_is_passed_over() {
        let mut queue = FairQueue::new(64);
        queue.push("a", "pin").unwrap();
        queue.push("a", "read").unwrap();
        queue.push("b", "pin").unwrap();
        assert_eq!(queue.pop(|item| *item == "read"), Some("read"));
        assert_eq!(queue.pop(|item| *item == "read"), None);
        assert_eq!(queue.len(), 2);
    }

    proptest! {
        /// Nothing is lost or served twice, and between two services of one principal every other that waits is
        /// served at least once.
        #[test]
        fn every_item_is_served_once_and_in_turn(owners in proptest::collection::vec(0..4_usize, 1..60)) {
            let mut queue = FairQueue::new(60);
            for (number, owner) in owners.iter().enumerate() {
                queue.push(&owner.to_string(), (*owner, number)).unwrap();
            }
            let mut left = [0_usize; 4];
            for owner in &owners {
                left[*owner] += 1;
            }
            let mut since = [0_usize; 4];
            let mut seen = Vec::new();
            while let Some((owner, number)) = queue.pop(|_| true) {
                for other in 0..4 {
                    if other != owner && left[other] > 0 {
                        since[other] += 1;
                        prop_assert!(since[other] < 4, "{other} waited for {} others", since[other]);
                    }
                }
                since[owner] = 0;
                left[owner] -= 1;
                seen.push(number);
            }
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..owners.len()).collect::<Vec<_>>());
            prop_assert_eq!(queue.len(), 0);
        }
    }
}
