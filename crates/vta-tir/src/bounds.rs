//! Bounds of index expressions over a nest of loops.

use crate::affine::Affine;
use crate::expr::{Expr, ExprOp, Name};

/// The loops around a place, outermost first; each extent may use the variables of the loops before it.
#[derive(Clone, Debug, Default)]
pub struct LoopNest {
    loops: Vec<(Name, Expr)>,
}

/// Eliminations tried before a bound counts as unknown: nested minima branch, and hostile ones must not take for ever.
const BUDGET: u32 = 4096;

impl LoopNest {
    /// No loops.
    pub fn new() -> LoopNest {
        LoopNest::default()
    }

    /// Enters a loop.
    pub fn push(&mut self, var: Name, extent: Expr) {
        self.loops.push((var, extent));
    }

    /// Leaves the innermost loop.
    pub fn pop(&mut self) {
        self.loops.pop();
    }

    /// How many loops there are.
    pub fn depth(&self) -> usize {
        self.loops.len()
    }

    /// The variables, outermost first.
    pub fn vars(&self) -> impl Iterator<Item = &Name> {
        self.loops.iter().map(|(var, _)| var)
    }

    /// The extent of the loop over `name`.
    pub fn extent(&self, name: &str) -> Option<&Expr> {
        self.position(name).map(|position| &self.loops[position].1)
    }

    /// Whether `name` is one of the variables.
    pub fn binds(&self, name: &str) -> bool {
        self.position(name).is_some()
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.loops.iter().rposition(|(var, _)| var == name)
    }

    /// A number that `expr` never exceeds while the loops run, if one can be proved.
    pub fn upper(&self, expr: &Expr) -> Option<i64> {
        self.greatest(&expr.as_affine(), 0)?.as_const()
    }

    /// A number that `expr` never falls below while the loops run, if one can be proved.
    pub fn lower(&self, expr: &Expr) -> Option<i64> {
        self.least(&expr.as_affine(), 0)?.as_const()
    }

    /// An upper bound in terms of the `keep` outermost variables.
    pub(crate) fn greatest(&self, affine: &Affine, keep: usize) -> Option<Affine> {
        self.bound(affine.clone(), keep, true, &mut { BUDGET })
    }

    /// A lower bound in terms of the `keep` outermost variables.
    pub(crate) fn least(&self, affine: &Affine, keep: usize) -> Option<Affine> {
        self.bound(affine.clone(), keep, false, &mut { BUDGET })
    }

    /// Eliminates the variables from the innermost outwards, so that an extent cancels against a tile that it came
    /// from before its own variables are eliminated.
    fn bound(&self, mut affine: Affine, keep: usize, up: bool, budget: &mut u32) -> Option<Affine> {
        loop {
            *budget = budget.checked_sub(1)?;
            affine = joined(affine)?;
            let Some(position) = self
                .innermost(&affine)?
                .filter(|position| *position >= keep)
            else {
                return Some(affine);
            };
            let (var, extent) = &self.loops[position];
            if extent.as_const() == Some(1) {
                // The one value is exact, inside a quotient too.
                affine = affine.to_expr().substitute(var, &0.into()).as_affine();
                continue;
            }
            let mut opaque: Vec<_> = affine
                .terms()
                .filter(|(term, _)| !matches!(term, Expr::Var(_)) && term.mentions(var))
                .collect();
            // An extent that ends with a tensor cancels against the tile's index while that is whole.
            opaque
                .sort_by_key(|(term, _)| !matches!(term, Expr::Bin(ExprOp::Min | ExprOp::Max, ..)));
            let opaque = opaque.into_iter().next();
            let Some((Expr::Bin(op, a, b), coefficient)) = opaque else {
                let (rest, coefficient) = affine.without(&Expr::Var(var.clone()));
                affine = rest;
                if (coefficient > 0) == up {
                    let last = extent.as_affine().add(&Affine::constant(-1))?;
                    affine = affine.add(&last.scale(coefficient)?)?;
                }
                continue;
            };
            let (term, rising) = (
                Expr::bin(*op, (**a).clone(), (**b).clone()),
                (coefficient > 0) == up,
            );
            let (rest, coefficient) = affine.without(&term);
            let (a, b) = (a.as_affine(), b.as_affine());
            let varies = |affine: &Affine| affine.terms().any(|(term, _)| term.mentions(var));
            let replacement = match op {
                // The rest stays outside, where it may cancel against what is left of this term.
                ExprOp::Min | ExprOp::Max if !varies(&rest) => {
                    let a = self.bound(a, position, rising, budget)?;
                    let b = self.bound(b, position, rising, budget)?;
                    Affine::combine(*op, &a, &b)?
                }
                ExprOp::Min | ExprOp::Max => {
                    let a = self.bound(rest.add(&a.scale(coefficient)?)?, keep, up, budget)?;
                    let b = self.bound(rest.add(&b.scale(coefficient)?)?, keep, up, budget)?;
                    // Scaling by a negative number turns a minimum into a maximum.
                    let op = if (*op == ExprOp::Min) == (coefficient > 0) {
                        ExprOp::Min
                    } else {
                        ExprOp::Max
                    };
                    return Affine::combine(op, &a, &b);
                }
                // d * (a / d) is a less a remainder: tighter than bounding the quotient, where that may cancel.
                ExprOp::FloorDiv
                    if varies(&rest) && b.as_const().is_some_and(|d| coefficient % d == 0) =>
                {
                    let (factor, divisor) = (coefficient / b.as_const()?, b.as_const()?);
                    let remainder = if (factor < 0) == up { divisor - 1 } else { 0 };
                    let whole = a.add(&Affine::constant(-remainder))?;
                    affine = rest.add(&whole.scale(factor)?)?;
                    continue;
                }
                // Other variables stay, so that the quotient may cancel against one of the rest.
                ExprOp::FloorDiv => {
                    let a = self.bound(a, position, rising, budget)?;
                    Affine::combine(ExprOp::FloorDiv, &a, &b)?
                }
                ExprOp::Mod => {
                    let divisor = b.as_const()?;
                    let low = self.bound(a.clone(), 0, false, budget)?.as_const()?;
                    let high = self.bound(a.clone(), 0, true, budget)?.as_const()?;
                    match (low >= 0 && high < divisor, rising) {
                        (true, _) => a,
                        (false, true) => Affine::constant(divisor - 1),
                        (false, false) => Affine::constant(0),
                    }
                }
                ExprOp::Mul => {
                    let mut corners = Vec::with_capacity(4);
                    for (x, y) in [(false, false), (false, true), (true, false), (true, true)] {
                        let x = self.bound(a.clone(), 0, x, budget)?.as_const()?;
                        let y = self.bound(b.clone(), 0, y, budget)?.as_const()?;
                        corners.push(x.checked_mul(y)?);
                    }
                    Affine::constant(if rising {
                        *corners.iter().max()?
                    } else {
                        *corners.iter().min()?
                    })
                }
                // Opaque only because they overflow.
                ExprOp::Add | ExprOp::Sub => return None,
            };
            affine = rest.add(&replacement.scale(coefficient)?)?;
        }
    }

    /// The innermost loop whose variable occurs; nothing at all if a variable of no loop occurs.
    fn innermost(&self, affine: &Affine) -> Option<Option<usize>> {
        let mut innermost = None;
        let mut known = true;
        for (term, _) in affine.terms() {
            term.for_each_var(&mut |var| match self.position(var) {
                Some(position) => innermost = innermost.max(Some(position)),
                None => known = false,
            });
        }
        known.then_some(innermost)
    }
}

/// Quotients and remainders of one division as what was divided: `d * (a / d) + a % d` is `a`.
fn joined(mut affine: Affine) -> Option<Affine> {
    let remainders: Vec<Expr> = affine
        .terms()
        .filter(|(term, _)| matches!(term, Expr::Bin(ExprOp::Mod, ..)))
        .map(|(term, _)| term.clone())
        .collect();
    for remainder in remainders {
        let Expr::Bin(_, a, b) = &remainder else {
            continue;
        };
        let quotient = Expr::bin(ExprOp::FloorDiv, (**a).clone(), (**b).clone());
        // Joining another one may have changed how often it is there.
        let (rest, coefficient) = affine.without(&remainder);
        let whole = b.as_const().and_then(|d| coefficient.checked_mul(d));
        let (rest, found) = rest.without(&quotient);
        if whole == Some(found) {
            affine = rest.add(&a.as_affine().scale(coefficient)?)?;
        }
    }
    Some(affine)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::var;

    #[test]
    fn partial_tiles_end_where_the_whole_ends() {
        let mut nest = LoopNest::new();
        nest.push("yo".into(), 4.into());
        nest.push(
            "yi".into(),
            Expr::from(8).min(Expr::from(28) - var("yo") * 8),
        );
        let y = var("yo") * 8 + var("yi");
        assert_eq!((nest.lower(&y), nest.upper(&y)), (Some(0), Some(27)));
        let extent = nest.greatest(&var("yi").as_affine(), 1).unwrap();
        assert_eq!(extent.to_expr().to_string(), "min(8, 28 - 8 * yo) - 1");
    }

    #[test]
    fn a_single_iteration_is_exact_inside_a_quotient() {
        let mut nest = LoopNest::new();
        nest.push("co".into(), 4.into());
        nest.push("ci".into(), 1.into());
        let group = ((var("co") + var("ci")) / 3 * 3).as_affine();
        let bounds = [nest.least(&group, 1), nest.greatest(&group, 1)];
        assert_eq!(
            bounds.map(|b| b.unwrap().to_expr().to_string()),
            ["3 * (co / 3)"; 2]
        );
    }

    #[test]
    fn a_variable_of_no_loop_has_no_bound() {
        assert_eq!(LoopNest::new().upper(&var("y")), None);
    }
}
