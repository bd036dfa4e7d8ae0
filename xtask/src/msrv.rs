//! The oldest compiler: every crate declares it, and what runs on a board keeps to it
//! with all its dependencies.

use std::collections::{HashMap, HashSet};

use cargo_metadata::{DependencyKind, Metadata, Package, PackageId};

/// What will be built on a board itself.
const ON_BOARD: &[&str] = &["vta-isa", "vta-sim", "vta-program", "vta-runtime"];

/// The (major, minor) version of the compiler on the boards.
const OLDEST: (u64, u64) = (1, 85);

/// Crates that do not declare the version, and dependencies of board crates that need a
/// later one.
pub(crate) fn check(metadata: &Metadata) -> Vec<String> {
    let (major, minor) = OLDEST;
    let declared = |package: &Package| {
        let version = package.rust_version.as_ref()?;
        Some((version.major, version.minor))
    };
    let mut problems = Vec::new();
    for package in metadata.workspace_packages() {
        if declared(package) != Some(OLDEST) {
            problems.push(format!(
                "{}: declare `rust-version.workspace = true` ({major}.{minor})",
                package.name
            ));
        }
    }
    let used = closure(metadata, ON_BOARD);
    for package in metadata.packages.iter().filter(|p| used.contains(&p.id)) {
        if declared(package) > Some(OLDEST) {
            problems.push(format!(
                "{} {} needs a later Rust than {major}.{minor}, and is built on boards: \
                 take an older release",
                package.name, package.version
            ));
        }
    }
    problems
}

/// All that is compiled into these workspace crates, themselves included; their tests'
/// dependencies are not.
fn closure<'a>(metadata: &'a Metadata, names: &[&str]) -> HashSet<&'a PackageId> {
    let nodes: HashMap<_, _> = metadata
        .resolve
        .iter()
        .flat_map(|resolve| &resolve.nodes)
        .map(|node| (&node.id, node))
        .collect();
    let members = metadata.workspace_packages();
    let mut open: Vec<&PackageId> = members
        .iter()
        .filter(|package| names.contains(&package.name.as_str()))
        .map(|package| &package.id)
        .collect();
    let mut seen = HashSet::new();
    while let Some(id) = open.pop() {
        if !seen.insert(id) {
            continue;
        }
        let dependencies = nodes.get(id).into_iter().flat_map(|node| &node.deps);
        open.extend(
            dependencies
                .filter(|dependency| {
                    let mut kinds = dependency.dep_kinds.iter();
                    kinds.any(|kind| kind.kind != DependencyKind::Development)
                })
                .map(|dependency| &dependency.pkg),
        );
    }
    seen
}
