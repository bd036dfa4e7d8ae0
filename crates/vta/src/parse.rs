//! Values of arguments.

use std::path::PathBuf;
use std::str::FromStr;

use vta_graph::quant::RangeMethod;

/// A number as `4096`, `4_096` or `0x1000`.
pub(crate) fn number(text: &str) -> Result<u64, String> {
    let digits = text.replace('_', "");
    let parsed = match digits.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => digits.parse(),
    };
    parsed.map_err(|error| format!("{error}; write it as 4096 or 0x1000"))
}

/// How many of something, at least 1.
pub(crate) fn count<T: TryFrom<u64>>(text: &str) -> Result<T, String> {
    match number(text)? {
        0 => Err("give 1 or more".to_owned()),
        count => T::try_from(count).map_err(|_| "give less".to_owned()),
    }
}

/// A real number as `0.5`, `.5` or `1/2`.
pub(crate) fn fraction(text: &str) -> Result<f64, String> {
    let number = |text: &str| text.trim().parse::<f64>().ok();
    let value = match text.split_once('/') {
        Some((above, below)) => number(above).zip(number(below)).map(|(a, b)| a / b),
        None => number(text),
    };
    let finite = value.filter(|v| v.is_finite());
    finite.ok_or_else(|| "give a number such as 0.485, or a fraction such as 1/255".to_owned())
}

/// Where inputs come from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Source {
    Path(PathBuf),
    /// Noise of this seed.
    Synthetic(u64),
}

/// A path, or `synthetic:SEED`.
pub(crate) fn source(text: &str) -> Result<Source, String> {
    Ok(match text.strip_prefix("synthetic:") {
        Some(seed) => Source::Synthetic(number(seed)?),
        None => Source::Path(text.into()),
    })
}

/// How the ranges of activations are chosen.
pub(crate) fn method(text: &str) -> Result<RangeMethod, String> {
    Ok(match text {
        "mse" => RangeMethod::Mse,
        "max" => RangeMethod::Max,
        "entropy" => RangeMethod::Entropy,
        share => match share.parse() {
            Ok(share) if share > 0.0 && share <= 1.0 => RangeMethod::Percentile(share),
            _ => return Err("give mse, max, entropy, or a share such as 0.9999".to_owned()),
        },
    })
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
    fn values() {
        assert_eq!(number("0x1_000"), Ok(4096));
        assert_eq!(number("12"), Ok(12));
        for bad in ["", "0x", "-1", "1e3", "0x1_0000_0000_0000_0000"] {
            assert!(number(bad).is_err(), "{bad}");
        }
        assert_eq!("0, 1,0x2,3".parse::<Tokens>().unwrap().0, [0, 1, 2, 3]);
        assert_eq!(fraction("1/4"), Ok(0.25));
        assert_eq!(fraction("-.5"), Ok(-0.5));
        for bad in ["", "1/0", "0/0", "a", "1/2/3", "inf"] {
            assert!(fraction(bad).is_err(), "{bad}");
        }
        assert_eq!(source("synthetic:7"), Ok(Source::Synthetic(7)));
        assert!(source("synthetic:").is_err());
        assert!("0,1,2".parse::<Tokens>().is_err());
    }
}
