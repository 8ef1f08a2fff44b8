//! Opening a log: what is there, what of it is whole, and what its producers wrote last.

use std::collections::VecDeque;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::producers::Producers;
use super::segment::{LOG, OFFSET_INDEX, Segment, TIME_INDEX};
use super::sync::Syncer;
use super::walk::Walk;
use super::{Log, LogSettings, Opened, files};

impl Log {
    /// Opens the log in `dir`, which is created if need be. `clean`: the last process ended in order, so that nothing
    /// needs to be scanned but what indexes don't cover. Otherwise every batch that wasn't known to be on the disk is
    /// checked, and the log ends before the first one that isn't whole.
    ///
    /// # Errors
    /// When the directory or a file can't be created, read or written, or segments overlap.
    pub fn open(dir: PathBuf, settings: LogSettings, clean: bool) -> io::Result<Opened> {
        let dir: Arc<Path> = Arc::from(dir);
        fs::create_dir_all(&dir)?;
        let deleted_before = files::read_offset(&dir, files::START_OFFSET)?.unwrap_or(0).max(0);
        let mut point = files::read_offset(&dir, files::RECOVERY_POINT)?.unwrap_or(-1);
        let (mut segments, cut) = segments(&dir, if clean { i64::MAX } else { point })?;
        if segments.back().is_some_and(|last| last.next_offset() < deleted_before) {
            // Offsets never go back: what is left was deleted, and the next offset is at least where that ended.
            segments.drain(..).try_for_each(|segment| segment.remove())?;
        }
        let active = match segments.pop_back() {
            Some(mut last) => {
                last.activate()?;
                last
            }
            None => Segment::create(&dir, deleted_before)?,
        };
        let start_offset = segments.front().unwrap_or(&active).base_offset().max(deleted_before);
        let end_offset = active.next_offset();
        if point > end_offset {
            // The log was cut before the point, so nothing is known of what comes in its place.
            point = end_offset;
            files::write(&dir, files::RECOVERY_POINT, &point.to_be_bytes(), false)?;
        }
        let mut log = Self {
            dir,
            settings,
            sealed: segments,
            active,
            began_ms: None,
            start_offset,
            producers: Producers::default(),
            syncer: Syncer::new(point),
            synced: point,
            producers_saved: None,
        };
        log.began_ms = log.first_timestamp()?;
        log.load_producers()?;
        Ok(Opened { log, cut })
    }

    /// The timestamp of the first batch of the active segment: about when it began.
    fn first_timestamp(&self) -> io::Result<Option<i64>> {
        let file = self.active.file()?;
        let first = Walk::new(&file, 0, self.active.size()).next().transpose()?;
        Ok(first.map(|(_, header)| header.max_timestamp()).filter(|&timestamp| timestamp >= 0))
    }

    /// Reads the producers from their file, and what it doesn't cover from the log.
    fn load_producers(&mut self) -> io::Result<()> {
        let saved = files::read(&self.dir, files::PRODUCERS)?.and_then(|bytes| Producers::decode(&bytes));
        let mut covered = 0;
        match saved {
            Some((producers, offset)) if offset <= self.end_offset() => {
                self.producers = producers;
                self.producers_saved = Some(offset);
                covered = offset;
            }
            // It knows batches that were cut, and would be believed once there are others in their place.
            Some(_) => files::remove(&self.dir.join(files::PRODUCERS))?,
            None => {}
        }
        let mut producers = std::mem::take(&mut self.producers);
        for segment in self.segments().filter(|segment| segment.next_offset() > covered) {
            let file = segment.file()?;
            for batch in Walk::new(&file, segment.position_before(covered), segment.size()) {
                let (_, header) = batch?;
                if header.base_offset() >= covered {
                    producers.note(&header);
                }
            }
        }
        self.producers = producers;
        Ok(())
    }
}

/// The segments in `dir`, and how many bytes had to be cut. Those that end before `point` are known to be whole.
fn segments(dir: &Arc<Path>, point: i64) -> io::Result<(VecDeque<Segment>, u64)> {
    let base_offsets = base_offsets(dir)?;
    let (mut segments, mut cut) = (VecDeque::<Segment>::new(), 0);
    for (place, &base_offset) in base_offsets.iter().enumerate() {
        let next = base_offsets.get(place + 1).copied();
        let known = point == i64::MAX || next.is_some_and(|next| next <= point);
        let (mut segment, mut whole) = (None, false);
        if known {
            let (opened, is_whole) = Segment::open(dir, base_offset)?;
            (segment, whole) = (Some(opened), is_whole);
        }
        let segment = match segment {
            Some(segment) if whole => segment,
            _ => {
                let (segment, bytes) = Segment::recover(dir, base_offset)?;
                cut += bytes;
                segment
            }
        };
        let end = segment.next_offset();
        segments.push_back(segment);
        match next {
            Some(next) if end > next => return Err(overlap(dir, next)),
            Some(next) if end < next && whole => {
                tracing::warn!(dir = %dir.display(), from = end, to = next, "offsets are missing");
            }
            Some(next) if end < next => {
                // What follows the cut can't be kept: its offsets are given out again.
                cut += remove_from(dir, &base_offsets[place + 1..])?;
                break;
            }
            _ => {}
        }
    }
    Ok((segments, cut))
}

/// The base offsets of the segments in `dir`, sorted. Indexes without a segment are removed.
fn base_offsets(dir: &Path) -> io::Result<Vec<i64>> {
    let (mut base_offsets, mut indexes) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        let name = path.file_stem().and_then(|name| name.to_str());
        let name = name.filter(|name| name.len() == 20 && name.bytes().all(|byte| byte.is_ascii_digit()));
        let Some(base_offset) = name.and_then(|name| name.parse().ok()) else { continue };
        match extension {
            Some(LOG) => base_offsets.push(base_offset),
            Some(OFFSET_INDEX | TIME_INDEX) => indexes.push((base_offset, path)),
            _ => {}
        }
    }
    base_offsets.sort_unstable();
    for (base_offset, path) in indexes {
        if base_offsets.binary_search(&base_offset).is_err() {
            files::remove(&path)?;
        }
    }
    Ok(base_offsets)
}

/// Removes segments, and returns how many bytes of batches they had.
fn remove_from(dir: &Path, base_offsets: &[i64]) -> io::Result<u64> {
    let mut bytes = 0;
    for &base_offset in base_offsets {
        let log = Segment::path(dir, base_offset, LOG);
        bytes += fs::metadata(&log)?.len();
        for path in [log, Segment::path(dir, base_offset, OFFSET_INDEX), Segment::path(dir, base_offset, TIME_INDEX)] {
            files::remove(&path)?;
        }
    }
    Ok(bytes)
}

fn overlap(dir: &Path, base_offset: i64) -> io::Error {
    let log = Segment::path(dir, base_offset, LOG);
    io::Error::new(ErrorKind::InvalidData, format!("{} begins before the segment before it ends", log.display()))
}
