//! A smaller sequence of choices that still does what a larger one does.

use super::Dice;

/// The smallest choices found that `fails` accepts, beginning with `dice`, which it does: stretches of
/// choices are left out or made 0, single ones made smaller, at most `tries` times.
pub fn shrink(dice: &Dice, tries: usize, mut fails: impl FnMut(Dice) -> bool) -> Dice {
    let mut best = dice.rolls().to_vec();
    let mut left = tries;
    let mut try_one = |rolls: Vec<u32>, best: &mut Vec<u32>| {
        let smaller = (rolls.len(), &rolls) < (best.len(), &*best);
        let is_better = left > 0 && smaller && fails(Dice::new(rolls.clone()));
        left = left.saturating_sub(usize::from(smaller));
        if is_better {
            *best = rolls;
        }
        is_better
    };
    loop {
        let before = best.clone();
        let mut length = best.len().next_power_of_two() / 2;
        while length > 0 {
            let mut at = best.len().saturating_sub(length);
            loop {
                let end = (at + length).min(best.len());
                let without = [&best[..at.min(end)], &best[end..]].concat();
                if !try_one(without, &mut best) && end <= best.len() {
                    let mut zeroed = best.clone();
                    zeroed[at.min(end)..end].fill(0);
                    try_one(zeroed, &mut best);
                }
                match at.checked_sub(length) {
                    Some(earlier) => at = earlier,
                    None => break,
                }
            }
            length /= 2;
        }
        for at in 0..best.len() {
            while best.get(at).is_some_and(|&roll| roll > 0) {
                let mut halved = best.clone();
                halved[at] /= 2;
                if !try_one(halved, &mut best) {
                    break;
                }
            }
        }
        if best == before {
            return Dice::new(best);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matters_is_left() {
        let rolls: Vec<u32> = (0..300).map(|i| i * 7 + 3).collect();
        let fails = |dice: Dice| dice.rolls().iter().filter(|&&roll| roll >= 100).count() >= 2;
        let small = shrink(&Dice::new(rolls), 100_000, fails);
        assert_eq!(small.rolls().len(), 2);
        assert!(small.rolls().iter().all(|roll| (100..200).contains(roll)));
    }

    #[test]
    fn tries_are_limited() {
        let mut tried = 0;
        shrink(&Dice::seeded(1), 10, |_| {
            tried += 1;
            false
        });
        assert_eq!(tried, 10);
    }
}
