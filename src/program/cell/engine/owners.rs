//! Whose output a child's streams hold.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::cell::front::{Front, Stream};

/// The owner of what is printed: the cell that runs, unless a mark says that the code of an earlier
/// one printed it. Both streams of a child share it, during its cells and between them.
#[derive(Clone, Default)]
pub(crate) struct Owners(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    fronts: BTreeMap<u64, Arc<dyn Front>>,
    /// The cell that runs, where its output is marked at all.
    running: Option<u64>,
    /// Whose output standard output and standard error hold right now.
    now: [u64; 2],
}

impl Owners {
    /// This many cells are remembered; what the threads of older ones print goes where all else does.
    const MOST: usize = 64;

    /// Lets `front` have what the threads of cell `number` print, also once the cell is over.
    pub(crate) fn add(&self, number: u64, front: Arc<dyn Front>) {
        let mut state = self.state();
        state.fronts.insert(number, front);
        if state.fronts.len() > Self::MOST {
            state.fronts.pop_first();
        }
    }

    /// The cell that runs from now on, if it has to be told from others.
    pub(crate) fn set_running(&self, cell: Option<u64>) {
        self.state().running = cell;
    }

    /// Tells that the code of cell `cell` printed what comes next on the stream.
    pub(crate) fn turn_to(&self, stream: Stream, cell: u64) {
        self.state().now[usize::from(stream == Stream::Stderr)] = cell;
    }

    /// The front end of another cell than the one that runs, if what comes now belongs there.
    pub(crate) fn of(&self, stream: Stream) -> Option<Arc<dyn Front>> {
        let state = self.state();
        let cell = state.now[usize::from(stream == Stream::Stderr)];
        state.fronts.get(&cell).filter(|_| state.running != Some(cell)).cloned()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
