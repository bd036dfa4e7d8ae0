//! Libraries kept on disk by digest: which are there, whole, and for how long.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use std::{env, io};

use fd_lock::RwLock;
use sha2::{Digest, Sha256};

use crate::RtlError;

/// The library in the directory of its digest, and the file that its content must agree with.
const LIBRARY: &str = "model.so";
const SUM: &str = "model.sha256";
const LOCK: &str = "lock";
/// Libraries that are kept: twice the designs that a co-simulation of all of them has.
const KEPT: usize = 64;

/// A directory that holds a directory for each library.
pub(crate) struct Cache(PathBuf);

impl Cache {
    /// That of the user: in `$VTA_CACHE`, else `$XDG_CACHE_HOME/vta`, else `~/.cache/vta`.
    pub(crate) fn find() -> Result<Cache, RtlError> {
        let path = |name| {
            let value = env::var_os(name).filter(|value| !value.is_empty());
            value.map(PathBuf::from)
        };
        let user = || path("XDG_CACHE_HOME").or_else(|| Some(path("HOME")?.join(".cache")));
        let found = path("VTA_CACHE").or_else(|| Some(user()?.join("vta")));
        let directory = found.ok_or(RtlError::Missing {
            program: "directory",
            remedy: "set VTA_CACHE to one that can be written",
        })?;
        Ok(Cache(directory.join("rtl")))
    }

    /// The library of a digest. If it is not there whole, `make` builds it in an empty directory and says where.
    /// Of processes that want the same library one builds it, the others wait.
    pub(crate) fn library(
        &self,
        digest: &str,
        make: impl FnOnce(&Path) -> Result<PathBuf, RtlError>,
    ) -> Result<PathBuf, RtlError> {
        let directory = self.0.join(digest);
        let library = directory.join(LIBRARY);
        if is_whole(&directory) {
            note_use(&directory);
            return Ok(library);
        }
        fs::create_dir_all(&directory).map_err(RtlError::cache(&directory))?;
        let mut lock = lock(&directory).map_err(RtlError::cache(&directory))?;
        let _held = lock.write().map_err(RtlError::cache(&directory))?;
        if !is_whole(&directory) {
            clear(&directory).map_err(RtlError::cache(&directory))?;
            let work = tempfile::tempdir_in(&directory).map_err(RtlError::cache(&directory))?;
            let built = make(work.path())?;
            let content = fs::read(&built).map_err(RtlError::io(&built))?;
            let sum = directory.join(SUM);
            fs::write(&sum, Sha256::digest(content)).map_err(RtlError::cache(&sum))?;
            fs::rename(&built, &library).map_err(RtlError::cache(&library))?;
            self.prune();
        }
        Ok(library)
    }

    /// Removes the libraries that have not been used for longest. What cannot be removed stays, for the next time.
    fn prune(&self) {
        let entries = fs::read_dir(&self.0).into_iter().flatten().flatten();
        let mut directories: Vec<_> = entries
            .map(|entry| (last_use(&entry.path()), entry.path()))
            .collect();
        directories.sort();
        let excess = directories.len().saturating_sub(KEPT);
        for (_, directory) in &directories[..excess] {
            // One that is being built is locked.
            if let Ok(mut lock) = lock(directory) {
                if let Ok(_held) = lock.try_write() {
                    let _ = fs::remove_dir_all(directory);
                }
            }
        }
    }
}

/// Whether a directory holds a library with the content that it was built with. A process that loads another
/// dies of it.
fn is_whole(directory: &Path) -> bool {
    let (library, sum) = (directory.join(LIBRARY), directory.join(SUM));
    match (fs::read(library), fs::read(sum)) {
        (Ok(content), Ok(sum)) => Sha256::digest(content)[..] == sum[..],
        _ => false,
    }
}

/// Removes what a build left that was ended from outside.
fn clear(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

fn lock(directory: &Path) -> io::Result<RwLock<File>> {
    File::create(directory.join(LOCK)).map(RwLock::new)
}

/// The time of [`SUM`] is that of the last use; a cache that is only read does without.
fn note_use(directory: &Path) {
    let file = File::options().append(true).open(directory.join(SUM));
    let _ = file.and_then(|file| file.set_modified(SystemTime::now()));
}

fn last_use(directory: &Path) -> SystemTime {
    let data = fs::metadata(directory.join(SUM)).or_else(|_| fs::metadata(directory));
    let time = data.and_then(|data| data.modified());
    time.unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Builds a library of some text, or finds it; gives its text, and whether it was built.
    fn library(cache: &Cache, digest: &str, text: &str) -> (String, bool) {
        let mut built = false;
        let path = cache.library(digest, |directory| {
            built = true;
            let path = directory.join("any");
            fs::write(&path, text).unwrap();
            Ok(path)
        });
        (fs::read_to_string(path.unwrap()).unwrap(), built)
    }

    #[test]
    fn a_library_is_built_once_and_again_when_it_is_damaged() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache(directory.path().to_owned());
        assert_eq!(library(&cache, "a", "first"), ("first".into(), true));
        assert_eq!(library(&cache, "a", "second"), ("first".into(), false));
        for damage in ["fir", ""] {
            fs::write(directory.path().join("a").join(LIBRARY), damage).unwrap();
            fs::create_dir(directory.path().join("a/left over")).unwrap();
            assert_eq!(library(&cache, "a", "third"), ("third".into(), true));
        }
        let mut names: Vec<_> = fs::read_dir(directory.path().join("a"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, [LOCK, SUM, LIBRARY]);
    }

    #[test]
    fn those_used_last_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache(directory.path().to_owned());
        let old = SystemTime::UNIX_EPOCH;
        let age = |name: &str| {
            let sum = File::options()
                .append(true)
                .open(directory.path().join(name).join(SUM));
            sum.unwrap().set_modified(old).unwrap();
        };
        for name in ["used", "unused", "building"] {
            library(&cache, name, name);
            age(name);
        }
        library(&cache, "used", "");
        let mut building = lock(&directory.path().join("building")).unwrap();
        let _held = building.write().unwrap();
        for name in 1..KEPT {
            library(&cache, &name.to_string(), "");
        }
        let is_there = |name: &str| directory.path().join(name).exists();
        assert!(is_there("used") && is_there("building") && !is_there("unused"));
    }

    #[test]
    fn a_cache_that_cannot_be_written_names_the_remedy() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        let refused = Cache(file).library("a", |_| unreachable!("there is no place for it"));
        let message = refused.unwrap_err().to_string();
        assert!(message.contains("VTA_CACHE"), "{message}");
    }
}
