//! Values between their packed form in DRAM and one lane each.
//!
//! In DRAM, two's complement values of 1, 2, 4, 8, 16 or 32 bits: those below a byte fill it from its
//! lowest bits, wider ones are little-endian.

use std::ops::{BitOr, Shr};

/// A value as it is kept in a scratchpad.
pub(crate) trait Lane: Copy {
    fn from_i32(value: i32) -> Self;
}

impl Lane for i8 {
    fn from_i32(value: i32) -> i8 {
        value as i8
    }
}

/// An input as kernels want it: plus 128, since unsigned factors are what processors multiply signed ones with.
impl Lane for u8 {
    fn from_i32(value: i32) -> u8 {
        value as u8 ^ 128
    }
}

impl Lane for i32 {
    fn from_i32(value: i32) -> i32 {
        value
    }
}

/// The low `bits` of `value`, sign-extended.
#[inline]
pub(crate) fn wrap(value: i32, bits: u32) -> i32 {
    let unused = 32 - bits;
    (value << unused) >> unused
}

/// The values of `bytes`, in order.
#[inline(always)]
pub(crate) fn unpack<T: Lane>(bits: u32, bytes: &[u8], lanes: &mut [T]) {
    match bits {
        8 => lanes
            .iter_mut()
            .zip(bytes)
            .for_each(|(lane, &b)| *lane = T::from_i32((b as i8).into())),
        16 => lanes
            .iter_mut()
            .zip(bytes.chunks_exact(2))
            .for_each(|(lane, b)| *lane = T::from_i32(i16::from_le_bytes([b[0], b[1]]).into())),
        32 => lanes
            .iter_mut()
            .zip(bytes.chunks_exact(4))
            .for_each(|(lane, b)| {
                *lane = T::from_i32(i32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            }),
        _ => {
            let per_byte = (8 / bits) as usize;
            for (lanes, &byte) in lanes.chunks_exact_mut(per_byte).zip(bytes) {
                for (shift, lane) in (0..8).step_by(bits as usize).zip(lanes) {
                    *lane = T::from_i32(wrap((byte >> shift).into(), bits));
                }
            }
        }
    }
}

/// The low `bits` of each value.
#[inline(always)]
pub(crate) fn pack<T: Copy + Into<i32>>(bits: u32, lanes: &[T], bytes: &mut [u8]) {
    match bits {
        8 => {
            for (byte, &lane) in bytes.iter_mut().zip(lanes) {
                *byte = lane.into() as u8;
            }
        }
        16 => {
            for (bytes, &lane) in bytes.chunks_exact_mut(2).zip(lanes) {
                bytes.copy_from_slice(&(lane.into() as i16).to_le_bytes());
            }
        }
        32 => {
            for (bytes, &lane) in bytes.chunks_exact_mut(4).zip(lanes) {
                bytes.copy_from_slice(&lane.into().to_le_bytes());
            }
        }
        _ => {
            let (mask, per_byte) = ((1 << bits) - 1, (8 / bits) as usize);
            for (byte, lanes) in bytes.iter_mut().zip(lanes.chunks_exact(per_byte)) {
                let shifts = (0..8).step_by(bits as usize);
                *byte = shifts.zip(lanes).fold(0, |byte, (shift, &lane)| {
                    byte | ((lane.into() & mask) as u8) << shift
                });
            }
        }
    }
}

/// 1-bit values, 0 and -1, as signs, 1 and -1; also plus 128.
pub(crate) fn bits_to_signs<T: Copy + BitOr<Output = T> + From<bool>>(lanes: &mut [T]) {
    lanes
        .iter_mut()
        .for_each(|lane| *lane = *lane | T::from(true));
}

/// The inverse of [`bits_to_signs`].
pub(crate) fn signs_to_bits<T: Copy + Shr<u32, Output = T>>(lanes: &mut [T]) {
    lanes.iter_mut().for_each(|lane| *lane = *lane >> 1);
}
