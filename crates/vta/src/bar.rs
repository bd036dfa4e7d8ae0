//! Progress bars: on the standard error, and only where a person looks.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use vta::Progress;

/// A bar for each stage; the last one goes when this does.
#[derive(Default)]
pub(crate) struct Bar(Mutex<Option<ProgressBar>>);

impl Bar {
    fn replace(&self, next: Option<ProgressBar>) {
        let mut bar = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = std::mem::replace(&mut *bar, next) {
            last.finish_and_clear();
        }
    }
}

impl Progress for Bar {
    fn stage(&self, what: &str, steps: usize) {
        let (bar, template) = match steps {
            0 => (ProgressBar::new_spinner(), "{spinner} {msg} {elapsed}"),
            steps => (
                ProgressBar::new(steps as u64),
                "{msg} {bar:40} {pos}/{len}, {eta} left",
            ),
        };
        let style = ProgressStyle::with_template(template);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(what.to_owned());
        bar.enable_steady_tick(Duration::from_millis(200));
        self.replace(Some(bar));
    }

    fn step(&self) {
        let bar = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bar) = &*bar {
            bar.inc(1);
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.replace(None);
    }
}
