//! Which loops two uses of a buffer tie together: by the places that they can share.

use std::collections::BTreeMap;

use crate::bounds::LoopNest;
use crate::expr::{Expr, Name};
use crate::value::Access;

/// Iterations of the loops of one dimension that are tried; with more, nothing is said of it.
const MOST: usize = 4096;

/// The variables of `nest`, beyond its `fixed` outermost, that have the same values in any two iterations of which one uses
/// `a` and the other `b` at the same place.
///
/// Found dimension by dimension, by trying all values of the loops that the dimension depends on: so a row `2 * y` is known to
/// be no other iteration's `max(0, 2 * y - 1)`.
pub(crate) fn tied<'a>(nest: &'a LoopNest, fixed: usize, a: &Access, b: &Access) -> Vec<&'a Name> {
    let mut known: Vec<&Name> = Vec::new();
    for (a, b) in a.idx.iter().zip(&b.idx) {
        let on = |e: &Expr| nest.vars().filter(|v| e.mentions(v)).collect::<Vec<_>>();
        let vars = on(a);
        if vars.is_empty() || vars != on(b) || nest.vars().take(fixed).any(|v| vars.contains(&v)) {
            continue;
        }
        let Some(points) = points(nest, &vars) else {
            continue;
        };
        let at = |e: &Expr, point: &[i64]| {
            let value = |name: &Name| vars.iter().position(|v| *v == name).map(|i| point[i]);
            e.eval(&value).ok()
        };
        // A variable of a loop further inside has no value here.
        let all = |e: &Expr| -> Option<Vec<i64>> { points.iter().map(|p| at(e, p)).collect() };
        let (Some(of_a), Some(of_b)) = (all(a), all(b)) else {
            continue;
        };
        let mut places: BTreeMap<i64, Vec<&[i64]>> = BTreeMap::new();
        for (place, point) in of_a.into_iter().zip(&points) {
            places.entry(place).or_default().push(point);
        }
        let alone = points.iter().zip(of_b).all(|(point, place)| {
            let sharing = places.get(&place);
            sharing.is_none_or(|others| others.iter().all(|other| other == point))
        });
        if alone {
            known.extend(vars);
        }
    }
    known
}

/// All values of `vars`, outermost first; nothing if they depend on other loops or are too many.
fn points(nest: &LoopNest, vars: &[&Name]) -> Option<Vec<Vec<i64>>> {
    let mut points = vec![Vec::new()];
    for (i, var) in vars.iter().enumerate() {
        let extent = nest.extent(var)?;
        let mut longer = Vec::new();
        for point in &points {
            let value = |name: &Name| vars[..i].iter().position(|v| *v == name).map(|i| point[i]);
            for x in 0..extent.eval(&value).ok()? {
                let mut point: Vec<i64> = Vec::clone(point);
                point.push(x);
                longer.push(point);
                if longer.len() > MOST {
                    return None;
                }
            }
        }
        points = longer;
    }
    Some(points)
}
