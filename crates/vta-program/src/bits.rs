//! Dense images of narrow values: lowest bits first, several values to a byte.

/// Bytes of `count` values of `bits` bits (8, 4, 2 or 1); `None` past the address space.
pub fn packed_bytes(count: usize, bits: u32) -> Option<usize> {
    Some(count.checked_mul(bits as usize)?.div_ceil(8))
}

/// Appends the low `bits` bits of each value to `out`; a last partial byte is filled with zeros.
///
/// # Panics
/// If `bits` is not 8, 4, 2 or 1: a bug of the caller.
pub fn pack(values: &[i8], bits: u32, out: &mut Vec<u8>) {
    assert!(matches!(bits, 8 | 4 | 2 | 1), "values of {bits} bits");
    if bits == 8 {
        out.extend(values.iter().map(|&v| v as u8));
        return;
    }
    let mask = (1u8 << bits) - 1;
    out.extend(values.chunks(8 / bits as usize).map(|group| {
        let lanes = group.iter().zip((0..).step_by(bits as usize));
        lanes.fold(0, |byte, (&v, at)| byte | (v as u8 & mask) << at)
    }));
}

/// The inverse of [`pack`]: fills `values` with sign-extended values from the front of `bytes`.
///
/// # Panics
/// If `bits` is not 8, 4, 2 or 1, or `bytes` is too short: a bug of the caller.
pub fn unpack(bytes: &[u8], bits: u32, values: &mut [i8]) {
    assert!(matches!(bits, 8 | 4 | 2 | 1), "values of {bits} bits");
    if bits == 8 {
        let bytes = &bytes[..values.len()];
        values
            .iter_mut()
            .zip(bytes)
            .for_each(|(v, &b)| *v = b as i8);
        return;
    }
    let per_byte = 8 / bits as usize;
    assert!(bytes.len() >= values.len().div_ceil(per_byte));
    for (group, &byte) in values.chunks_mut(per_byte).zip(bytes) {
        for (v, at) in group.iter_mut().zip((0..).step_by(bits as usize)) {
            *v = ((byte >> at) << (8 - bits)) as i8 >> (8 - bits);
        }
    }
}
