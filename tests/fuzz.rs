//! The fuzz targets for a moment, on what they begin with and on what chance makes of it. For longer: `make fuzz`.

#[path = "../fuzz/src/lib.rs"]
#[allow(dead_code, reason = "the fuzz targets use the rest")]
mod targets;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, RngExt, SeedableRng};
use targets::{TARGETS, Target};

/// For each target; `make fuzz` takes all the time it is given.
const MOMENT: Duration = Duration::from_secs(2);

/// With `KBOARD_FUZZ_CORPUS`, a folder, it leaves there what the targets begin with, and does nothing else.
#[test]
fn no_target_finds_a_fault() {
    let corpus = std::env::var("KBOARD_FUZZ_CORPUS").ok();
    for target in TARGETS {
        match &corpus {
            Some(corpus) => leave(&Path::new(corpus).join(target.name), &(target.seeds)()),
            None => fuzz(&target),
        }
    }
}

fn leave(folder: &Path, seeds: &[Vec<u8>]) {
    fs::create_dir_all(folder).unwrap();
    for (number, seed) in seeds.iter().enumerate() {
        fs::write(folder.join(format!("seed-{number}")), seed).unwrap();
    }
}

fn fuzz(target: &Target) {
    let Target { name, run, seeds } = target;
    let seeds = seeds();
    let seed = rand::random_range(0..1_000_000);
    eprintln!("{name}: chance begins with {seed}");
    let mut chance = StdRng::seed_from_u64(seed);
    seeds.iter().for_each(|seed| run(seed));
    let (started, mut runs) = (Instant::now(), 0);
    while started.elapsed() < MOMENT {
        let mut input = seeds.choose(&mut chance).unwrap().clone();
        for _ in 0..chance.random_range(1..8) {
            mutate(&mut input, &mut chance);
        }
        run(&input);
        runs += 1;
    }
    eprintln!("{name}: {runs} runs");
}

fn mutate(input: &mut Vec<u8>, chance: &mut StdRng) {
    let place = chance.random_range(0..=input.len());
    match chance.random_range(0..4) {
        0 => input.truncate(place),
        1 => {
            let mut more = vec![0; chance.random_range(1..20)];
            chance.fill_bytes(&mut more);
            input.splice(place..place, more);
        }
        _ => {
            if let Some(byte) = input.get_mut(place) {
                *byte = chance.random();
            }
        }
    }
}
