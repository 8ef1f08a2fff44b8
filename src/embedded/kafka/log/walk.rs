//! From header to header through a segment's file, without reading what lies between.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::batch::{HEADER, Header};

/// Read at a time: what an index entry leaves to search, and a little more.
const CHUNK: u64 = 8 * 1_024;

/// The batches of a file: position and header of each. It ends at the end, and before anything that isn't a whole batch
/// by its header; checksums are not looked at.
pub struct Walk<'a> {
    file: &'a File,
    position: u64,
    end: u64,
    chunk: Vec<u8>,
    chunk_at: u64,
}

impl<'a> Walk<'a> {
    /// Walks `file` from the batch at `position` to `end`, both in bytes.
    pub fn new(file: &'a File, position: u64, end: u64) -> Self {
        Self { file, position, end, chunk: Vec::new(), chunk_at: position }
    }

    fn step(&mut self) -> io::Result<Option<(u64, Header)>> {
        let left = self.end.saturating_sub(self.position);
        if left < HEADER as u64 {
            return Ok(None);
        }
        let mut within = (self.position - self.chunk_at) as usize;
        if within + HEADER > self.chunk.len() {
            self.chunk.resize(CHUNK.min(left) as usize, 0);
            self.file.read_exact_at(&mut self.chunk, self.position)?;
            self.chunk_at = self.position;
            within = 0;
        }
        let Some(header) = Header::read(&self.chunk[within..]).filter(|header| header.size() as u64 <= left) else {
            return Ok(None);
        };
        let position = self.position;
        self.position += header.size() as u64;
        Ok(Some((position, header)))
    }
}

impl Iterator for Walk<'_> {
    type Item = io::Result<(u64, Header)>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step().transpose()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::super::tests::batch;
    use super::*;

    #[test]
    fn it_finds_every_batch_and_stops_where_there_is_none() {
        let long = "x".repeat(10_000);
        let batches = [batch(&[(1, "a")]), batch(&[(2, &long)]), batch(&[(3, "b"), (4, "c")])];
        let mut file = tempfile::tempfile().unwrap();
        batches.iter().for_each(|batch| file.write_all(batch).unwrap());
        file.write_all(&batches[0][..batches[0].len() - 1]).unwrap();
        let end = file.metadata().unwrap().len();
        let found: Vec<_> = Walk::new(&file, 0, end).map(|found| found.unwrap()).collect();
        let sizes = batches.each_ref().map(|batch| batch.len() as u64);
        assert_eq!(found.iter().map(|(position, _)| *position).collect::<Vec<_>>(), [0, sizes[0], sizes[0] + sizes[1]]);
        assert_eq!(found[2].1.count(), 2);
        assert_eq!(Walk::new(&file, sizes[0], sizes[0] + sizes[1]).count(), 1);
    }
}
