//! A progress bar that appears only when work takes more than two seconds, on standard error.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Work shorter than this shows nothing.
const PATIENCE: Duration = Duration::from_secs(2);

/// Counts steps of work; shared between threads.
pub struct Progress {
    bar: ProgressBar,
    begun: Instant,
    steps: AtomicU64,
}

impl Progress {
    /// A bar over `total` steps.
    pub fn new(total: u64, what: &'static str) -> Self {
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden());
        let style =
            ProgressStyle::with_template("{msg} [{wide_bar}] {pos}/{len}, {eta} left").unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style);
        bar.set_message(what);
        Progress { bar, begun: Instant::now(), steps: AtomicU64::new(0) }
    }

    /// One step is done.
    pub fn tick(&self) {
        self.add(1);
    }

    /// Some steps are done.
    pub fn add(&self, count: u64) {
        let steps = self.steps.fetch_add(count, Ordering::Relaxed) + count;
        if self.begun.elapsed() > PATIENCE {
            if self.bar.is_hidden() {
                self.bar.set_draw_target(ProgressDrawTarget::stderr());
            }
            self.bar.set_position(steps);
        }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
