//! Loop-nest programs over memory scopes.
