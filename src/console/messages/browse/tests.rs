use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// Partitions of offsets and timestamps; offsets may have gaps. A read gives at most `piece` entries.
#[derive(Debug)]
struct Model {
    parts: Vec<Vec<(i64, i64)>>,
    piece: usize,
}

impl Source for Model {
    type Shown = ();

    async fn read(&self, partition: i32, from: i64, to: i64) -> Result<Piece<()>, KafkaError> {
        let all = &self.parts[partition as usize];
        let found = all.iter().filter(|(offset, _)| (from..to).contains(offset)).take(self.piece);
        let entry = |&(offset, timestamp): &(i64, i64)| Entry {
            partition,
            offset,
            last: offset,
            timestamp,
            weight: 10,
            shown: (),
        };
        let entries: Vec<_> = found.map(entry).collect();
        let next = if entries.len() == self.piece { entries[self.piece - 1].offset + 1 } else { to };
        Ok(Piece { entries, next })
    }
}

impl Model {
    /// Each partition with its bounds; a log may end in gaps.
    fn bounds(&self) -> Vec<Part> {
        let bound = |(partition, records): (usize, &Vec<(i64, i64)>)| {
            let end = records.last().map_or(3, |(offset, _)| offset + 3);
            Part { partition: partition as i32, start: 0, end }
        };
        self.parts.iter().enumerate().map(bound).collect()
    }

    fn all(&self) -> BTreeSet<(i32, i64)> {
        let each = |(partition, records): (usize, &Vec<(i64, i64)>)| -> Vec<(i32, i64)> {
            records.iter().map(|(offset, _)| (partition as i32, *offset)).collect()
        };
        self.parts.iter().enumerate().flat_map(each).collect()
    }

    fn page(&self, way: &Way, size: Size) -> Page<()> {
        futures::executor::block_on(page(self, &self.bounds(), way, size)).unwrap()
    }
}

fn places(page: &Page<()>) -> Vec<(i32, i64)> {
    page.entries.iter().map(|entry| (entry.partition, entry.offset)).collect()
}

/// Logs with gaps; timestamps run on in each partition, or wildly.
fn logs(orderly: bool) -> impl Strategy<Value = Model> {
    let record = (prop_oneof![9 => 1_i64..3, 1 => 100_i64..5000], if orderly { 0_i64..50 } else { -500..500 });
    let part = prop::collection::vec(record, 0..60).prop_map(|steps| {
        let (mut offset, mut timestamp) = (-1, 1000);
        let place = |(gap, step)| {
            offset += gap;
            timestamp += step;
            (offset, timestamp)
        };
        steps.into_iter().map(place).collect()
    });
    (prop::collection::vec(part, 1..5), 1_usize..40).prop_map(|(parts, piece)| Model { parts, piece })
}

fn size(entries: usize) -> Size {
    Size { entries, weight: usize::MAX }
}

/// Pages from the newest to the oldest, then from the oldest back.
fn there_and_back(model: &Model, size: Size) -> (Vec<Page<()>>, Vec<Page<()>>) {
    let (mut there, mut back) = (Vec::new(), Vec::new());
    let mut way = Way::Before(Cut(model.bounds().iter().map(|part| part.end).collect()));
    loop {
        let page = model.page(&way, size);
        let more = page.has_older;
        way = Way::Before(page.lower.clone());
        there.push(page);
        if !more {
            break;
        }
    }
    let mut way = Way::After(Cut(model.bounds().iter().map(|part| part.start).collect()));
    loop {
        let page = model.page(&way, size);
        let more = page.has_newer;
        way = Way::After(page.upper.clone());
        back.push(page);
        if !more {
            break;
        }
    }
    (there, back)
}

fn each_once(model: &Model, pages: &[Page<()>]) {
    let seen: Vec<_> = pages.iter().flat_map(places).collect();
    let set: BTreeSet<_> = seen.iter().copied().collect();
    assert_eq!(seen.len(), set.len(), "something was shown twice");
    assert_eq!(set, model.all(), "something was not shown");
}

proptest! {
    #[test]
    fn each_record_is_shown_once_each_way(model in logs(false), entries in 1_usize..20) {
        let (there, back) = there_and_back(&model, size(entries));
        each_once(&model, &there);
        each_once(&model, &back);
        for page in there.iter().chain(&back) {
            prop_assert!(page.entries.len() <= entries);
        }
    }

    #[test]
    fn within_a_partition_the_log_s_order_holds(model in logs(false), entries in 1_usize..20) {
        for page in there_and_back(&model, size(entries)).0 {
            for partition in 0..model.parts.len() as i32 {
                let offsets: Vec<_> = page.entries.iter().filter(|entry| entry.partition == partition).map(|entry| entry.offset).collect();
                prop_assert!(offsets.is_sorted_by(|newer, older| newer > older));
            }
        }
    }

    #[test]
    fn orderly_times_give_one_order_and_the_same_pages_back(model in logs(true), entries in 1_usize..20) {
        let bounds = model.bounds();
        let mut way = Way::Before(Cut(bounds.iter().map(|part| part.end).collect()));
        let mut pages = Vec::new();
        loop {
            let page = model.page(&way, size(entries));
            way = Way::Before(page.lower.clone());
            let more = page.has_older;
            pages.push(page);
            if !more { break; }
        }
        let times: Vec<_> = pages.iter().flat_map(|page| &page.entries).map(|entry| entry.timestamp).collect();
        prop_assert!(times.is_sorted_by(|newer, older| newer >= older), "{:?}", times);
        for pair in pages.windows(2) {
            let back = model.page(&Way::After(pair[1].upper.clone()), size(entries));
            prop_assert_eq!(places(&back), places(&pair[0]));
        }
    }

    #[test]
    fn heavy_records_make_short_pages_and_are_not_lost(model in logs(true), weight in 1_usize..60) {
        let (there, back) = there_and_back(&model, Size { entries: 10, weight });
        each_once(&model, &there);
        each_once(&model, &back);
        for page in there.iter().chain(&back) {
            prop_assert!(page.entries.len() <= (weight / 10).max(1));
        }
    }
}

#[test]
fn a_page_stays_while_the_topic_grows() {
    let mut model =
        Model { parts: vec![(0..50).map(|n| (n, n * 10)).collect(), (0..30).map(|n| (n, n * 15)).collect()], piece: 7 };
    let first = model.page(&Way::Before(Cut(vec![50, 30])), size(10));
    let second = model.page(&Way::Before(first.lower.clone()), size(10));
    model.parts[0].extend((50..60).map(|n| (n, n * 10)));
    let again = model.page(&Way::Before(first.lower.clone()), size(10));
    assert_eq!(places(&again), places(&second));
    assert!(second.has_newer && second.has_older && !places(&second).is_empty());
}
