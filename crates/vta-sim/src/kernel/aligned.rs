//! Arrays that begin on a cache line, so that no vector of theirs crosses one.

use std::ops::{Deref, DerefMut};

/// Bytes of a line.
const LINE: usize = 64;

/// A fixed number of values from a line's first byte on.
#[derive(Debug)]
pub(crate) struct Aligned<T> {
    room: Vec<T>,
    start: usize,
    len: usize,
}

impl<T: Copy> Aligned<T> {
    pub(crate) fn new(value: T, len: usize) -> Aligned<T> {
        let room = vec![value; len + LINE / size_of::<T>()];
        // Out of reach only where alignment cannot be told, and then it does not matter.
        let start = match room.as_ptr().align_offset(LINE) {
            start if start + len <= room.len() => start,
            _ => 0,
        };
        Aligned { room, start, len }
    }
}

impl<T: Copy + Default> Clone for Aligned<T> {
    fn clone(&self) -> Aligned<T> {
        let mut copy = Aligned::new(T::default(), self.len);
        copy.copy_from_slice(self);
        copy
    }
}

impl<T> Deref for Aligned<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.room[self.start..self.start + self.len]
    }
}

impl<T> DerefMut for Aligned<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.room[self.start..self.start + self.len]
    }
}
