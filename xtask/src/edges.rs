//! Which crate of the workspace may use which: the direction that keeps the rooms apart.

use cargo_metadata::{DependencyKind, Metadata};

/// Every crate with all the workspace crates that it may depend on.
const ALLOWED: &[(&str, &[&str])] = &[
    ("vta-isa", &[]),
    ("vta-tir", &[]),
    ("vta-graph", &[]),
    ("vta-sim", &["vta-isa"]),
    ("vta-program", &["vta-isa"]),
    ("vta-onnx", &["vta-graph"]),
    ("vta-zoo", &["vta-graph", "vta-onnx"]),
    (
        "vta-compiler",
        &["vta-isa", "vta-tir", "vta-graph", "vta-program", "vta-sim"],
    ),
    (
        "vta-runtime",
        &["vta-isa", "vta-sim", "vta-program", "vta-graph"],
    ),
    ("vta-rtl", &["vta-isa", "vta-sim", "vta-runtime"]),
    (
        "vta",
        &[
            "vta-isa",
            "vta-tir",
            "vta-graph",
            "vta-sim",
            "vta-program",
            "vta-onnx",
            "vta-zoo",
            "vta-compiler",
            "vta-runtime",
            "vta-rtl",
        ],
    ),
    ("vta-py", &["vta", "vta-isa", "vta-graph", "vta-sim"]),
    (
        "vta-bench",
        &[
            "vta",
            "vta-isa",
            "vta-sim",
            "vta-program",
            "vta-graph",
            "vta-onnx",
            "vta-zoo",
            "vta-compiler",
            "vta-runtime",
            "vta-rtl",
        ],
    ),
    ("vta-filetest", &[]),
    ("xtask", &[]),
];

/// Every dependency between workspace crates that the table does not allow.
///
/// The tests of a crate may use more: every crate that may not (over any number of edges)
/// use the crate itself.
pub(crate) fn check(metadata: &Metadata) -> Vec<String> {
    let packages = metadata.workspace_packages();
    let is_member = |name: &str| packages.iter().any(|package| package.name.as_str() == name);
    let mut problems = Vec::new();
    for package in &packages {
        let name: &str = &package.name;
        let Some(allowed) = allowed(name) else {
            problems.push(format!(
                "{name} is not in the table of xtask/src/edges.rs; add it with what it may use"
            ));
            continue;
        };
        for dependency in &package.dependencies {
            let used = dependency.name.as_str();
            let in_tests = dependency.kind == DependencyKind::Development;
            let fine =
                !is_member(used) || allowed.contains(&used) || in_tests && !reaches(used, name);
            if !fine {
                problems.push(format!("{name} may not depend on {used}"));
            }
        }
    }
    problems
}

fn allowed(name: &str) -> Option<&'static [&'static str]> {
    ALLOWED
        .iter()
        .find(|(crate_name, _)| *crate_name == name)
        .map(|(_, uses)| *uses)
}

fn reaches(from: &str, to: &str) -> bool {
    allowed(from)
        .into_iter()
        .flatten()
        .any(|used| *used == to || reaches(used, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_no_cycle_and_names_only_itself() {
        for (name, uses) in ALLOWED {
            for used in *uses {
                let order = |x: &str| ALLOWED.iter().position(|(n, _)| *n == x);
                assert!(order(used) < order(name), "{name} uses {used}");
                assert!(order(used).is_some(), "{used}");
            }
        }
    }

    #[test]
    fn dependencies_reach_over_several_edges() {
        assert!(reaches("vta", "vta-isa"));
        assert!(reaches("vta-zoo", "vta-graph"));
        assert!(!reaches("vta-isa", "vta-sim"));
    }
}
