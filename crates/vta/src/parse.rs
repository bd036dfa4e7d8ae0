//! Values of arguments.

use std::str::FromStr;

/// A number as `4096`, `4_096` or `0x1000`.
pub(crate) fn number(text: &str) -> Result<u64, String> {
    let digits = text.replace('_', "");
    let parsed = match digits.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => digits.parse(),
    };
    parsed.map_err(|error| format!("{error}; write it as 4096 or 0x1000"))
}

/// Token counts in the order load to compute, compute to load, compute to store, store to
/// compute.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tokens(pub(crate) [u32; 4]);

impl FromStr for Tokens {
    type Err = String;

    fn from_str(text: &str) -> Result<Tokens, String> {
        let count = |text: &str| {
            let count = number(text.trim())?;
            u32::try_from(count).map_err(|_| format!("{count} tokens are more than a queue takes"))
        };
        let counts: Vec<u32> = text.split(',').map(count).collect::<Result<_, _>>()?;
        let four = <[u32; 4]>::try_from(counts);
        four.map(Tokens).map_err(|counts| {
            format!(
                "{} counts; give four, as in 0,0,0,1: load to compute, compute to load, \
                 compute to store, store to compute",
                counts.len()
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_tokens() {
        assert_eq!(number("0x1_000"), Ok(4096));
        assert_eq!(number("12"), Ok(12));
        for bad in ["", "0x", "-1", "1e3", "0x1_0000_0000_0000_0000"] {
            assert!(number(bad).is_err(), "{bad}");
        }
        assert_eq!("0, 1,0x2,3".parse::<Tokens>().unwrap().0, [0, 1, 2, 3]);
        assert!("0,1,2".parse::<Tokens>().is_err());
    }
}
