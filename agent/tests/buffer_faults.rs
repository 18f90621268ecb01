//! The buffer goes on and says what it lost, whatever happens to its files, its disk and its process.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "helpers of tests may fail the test"
)]

mod common;

use common::{ALL, append, everything, large_record, number, numbers, open, record, told};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use vmscope_agent::buffer::{Batch, Config};
use vmscope_model::{Cause, Position};

/// A store with 40 records, the first 10 acknowledged, and the epoch they have.
async fn filled(folder: &Path) -> u64 {
    let (buffer, _) = open(folder, &Config::default());
    let mut last = None;
    for number in 1..=40 {
        last = Some(buffer.append(large_record(number, 2_000)).await.unwrap());
    }
    let last = last.unwrap();
    buffer
        .acknowledge(Position { sequence: 10, ..last })
        .await
        .unwrap();
    buffer.close().await;
    last.epoch
}

fn store_files(folder: &Path) -> Vec<PathBuf> {
    let store = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let store = store
        .into_iter()
        .find(|path| path.to_string_lossy().contains("store-"))
        .unwrap();
    let files = fs::read_dir(store).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.is_file()).collect();
    files.sort();
    files
}

fn damage(path: &Path, random: &mut SmallRng) -> String {
    let length = fs::metadata(path).unwrap().len();
    let file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    if random.random_bool(0.3) {
        let kept = random.random_range(0..=length);
        file.set_len(kept).unwrap();
        return format!("{} cut from {length} to {kept}", path.display());
    }
    let flips = random.random_range(1..=64);
    for _ in 0..flips {
        // Most of the file is empty: aim at its beginning, where the records are.
        let reach = if random.random_bool(0.8) {
            length.min(128 << 10)
        } else {
            length
        };
        let (mut byte, offset) = ([0], random.random_range(0..reach.max(1)));
        if file.read_at(&mut byte, offset).unwrap() == 1 {
            byte[0] ^= 1 << random.random_range(0..8);
            file.write_at(&byte, offset).unwrap();
        }
    }
    format!("{} with {flips} bits flipped", path.display())
}

#[tokio::test]
async fn damage_is_never_silent_and_never_a_wrong_value() {
    let pristine = tempfile::tempdir().unwrap();
    let epoch = filled(pristine.path()).await;
    let mut harmless = 0;
    for seed in 0..60 {
        let mut random = SmallRng::seed_from_u64(seed);
        let folder = tempfile::tempdir().unwrap();
        let copied = Command::new("cp")
            .arg("-a")
            .arg(pristine.path())
            .arg(folder.path())
            .status()
            .unwrap();
        assert!(copied.success());
        let path = folder.path().join(pristine.path().file_name().unwrap());
        let files = store_files(&path);
        let what = damage(&files[random.random_range(0..files.len())], &mut random);

        let (buffer, _) = open(&path, &Config::default());
        // Reading finds what opening did not.
        everything(&buffer).await;
        buffer
            .append(record(1_000))
            .await
            .expect("goes on, damaged or not");
        let records = everything(&buffer).await;
        for (position, found) in records.iter().filter(|(position, _)| position.epoch == epoch) {
            assert_eq!(
                found,
                &large_record(position.sequence, 2_000),
                "seed {seed}: {what}"
            );
        }
        let old: Vec<u64> = records
            .iter()
            .map(|(_, record)| number(record))
            .filter(|&number| number < 1_000)
            .collect();
        let (_, last) = records.last().expect("the new record");
        assert_eq!(number(last), 1_000, "seed {seed}: {what}");
        if (11..=40).all(|number| old.contains(&number)) {
            harmless += 1;
        } else {
            let told = last.tick.gaps.iter().any(|gap| gap.cause == Cause::Corruption);
            assert!(told, "seed {seed}: {what}: lost without a word, left are {old:?}");
        }
    }
    assert!(harmless < 60, "some damage must have been done");
}

#[tokio::test]
async fn keeps_two_damaged_stores_for_a_person_to_look_at() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..4 {
        filled(folder.path()).await;
        let files = store_files(folder.path());
        let database = files.iter().find(|path| path.ends_with("db")).unwrap();
        let garbage = vec![0xA5; 4096];
        let file = fs::OpenOptions::new().write(true).open(database).unwrap();
        for block in 0..fs::metadata(database).unwrap().len() / 4096 {
            file.write_at(&garbage, block * 4096).unwrap();
        }
        let (buffer, _) = open(folder.path(), &Config::default());
        buffer.close().await;
    }
    let names = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let kept = names.filter(|name| name.starts_with("quarantine-")).count();
    assert!((1..=2).contains(&kept), "{kept}");
}

#[tokio::test]
async fn keeps_every_append_that_returned_through_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = SmallRng::seed_from_u64(9);
    let mut confirmed: Vec<Position> = Vec::new();
    for _ in 0..8 {
        let mut child = appender(folder.path());
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut taken = lines.map_while(Result::ok).filter_map(|line| position(&line));
        confirmed.extend(taken.by_ref().take(random.random_range(1..60)));
        child.kill().unwrap();
        child.wait().unwrap();
        // What it had said before it died counts too.
        confirmed.extend(taken);
    }
    assert!(confirmed.len() >= 8);
    let (buffer, recovery) = open(folder.path(), &Config::default());
    let found: Vec<Position> = everything(&buffer)
        .await
        .iter()
        .map(|(position, _)| *position)
        .collect();
    for position in &confirmed {
        assert!(found.contains(position), "{position:?} was confirmed and is gone");
    }
    assert!(
        found.len() - confirmed.len() <= 8,
        "at most one unconfirmed append a round"
    );
    assert_eq!(recovery.lost, 0);
}

/// Says where this test binary shall append, as a child that is going to be killed.
const APPEND_TO: &str = "VMSCOPE_TEST_APPEND_TO";

/// The child of the test above; without its variable it has nothing to do.
#[tokio::test]
async fn appends_until_killed_when_told_where() {
    let Some(folder) = std::env::var_os(APPEND_TO) else {
        return;
    };
    let (buffer, _) = open(Path::new(&folder), &Config::default());
    for number in 1.. {
        let position = buffer.append(record(number)).await.unwrap();
        // In one write, past the test harness, which may keep what is printed.
        let line = format!("took {} {}.\n", position.epoch, position.sequence);
        std::io::stdout().write_all(line.as_bytes()).unwrap();
    }
}

fn appender(folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "appends_until_killed_when_told_where", "--nocapture"])
        .env(APPEND_TO, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The position in a whole line of the child's.
fn position(line: &str) -> Option<Position> {
    let (epoch, sequence) = line.strip_prefix("took ")?.strip_suffix('.')?.split_once(' ')?;
    Some(Position {
        epoch: epoch.parse().ok()?,
        sequence: sequence.parse().ok()?,
    })
}

/// A small file system of its own, unmounted in the end.
struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    fn mount(size: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = format!("size={size}");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(folder.path())
            .status();
        assert!(
            mounted.unwrap().success(),
            "this test mounts a tmpfs and has to run as root"
        );
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes all room but about this many bytes.
    fn fill(&self, left: u64) {
        let disk = rustix::fs::statvfs(self.path()).unwrap();
        let free = disk.f_bavail * disk.f_frsize;
        let filler = fs::File::create(self.path().join("filler")).unwrap();
        rustix::fs::fallocate(&filler, rustix::fs::FallocateFlags::empty(), 0, free - left).unwrap();
    }

    fn free(&self) {
        fs::remove_file(self.path().join("filler")).unwrap();
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(self.0.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()));
    }
}

#[tokio::test]
async fn keeps_to_memory_while_the_disk_is_full_and_recovers() {
    let disk = Tmpfs::mount("32m");
    let config = Config {
        memory_ring_bytes: 64 << 10,
        ..Config::default()
    };
    let path = disk.path().join("buffer");
    let (buffer, _) = open(&path, &config);
    append(&buffer, 1..=5).await;
    disk.fill(1 << 20);
    append(&buffer, 6..=10).await;
    assert_eq!(buffer.status().borrow().in_memory, 5);
    let first = buffer
        .peek(
            None,
            Batch {
                records: 7,
                bytes: usize::MAX,
            },
        )
        .await
        .unwrap();
    let rest = buffer.peek(Some(first.last().unwrap().0), ALL).await.unwrap();
    let seen: Vec<u64> = first
        .iter()
        .chain(&rest)
        .map(|(_, record)| number(record))
        .collect();
    assert!(
        seen == [1, 2, 3, 4, 5] || seen == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
        "{seen:?}"
    );

    for number in 11..=60 {
        buffer.append(large_record(number, 4_000)).await.unwrap();
    }
    let lost = buffer.status().borrow().lost.buffer_full;
    assert!(lost > 0, "memory is bounded");
    disk.free();
    append(&buffer, 61..=62).await;
    assert_eq!(buffer.status().borrow().in_memory, 0, "on disk again");
    let records = everything(&buffer).await;
    assert!(records.is_sorted_by(|(a, _), (b, _)| a < b));
    assert_eq!(records.len() as u64 + lost, 62);
    assert_eq!(told(&records, Cause::BufferFull), lost);
    buffer.close().await;

    let (buffer, recovery) = open(&path, &config);
    assert_eq!(recovery.lost, 0, "what was told is not told again");
    assert_eq!(everything(&buffer).await, records);
    buffer.close().await;
}

#[tokio::test]
async fn starts_on_a_full_disk_and_moves_in_later() {
    let disk = Tmpfs::mount("16m");
    disk.fill(0);
    let path = disk.path().join("buffer");
    let (buffer, recovery) = open(&path, &Config::default());
    assert!(!recovery.on_disk);
    append(&buffer, 1..=3).await;
    assert_eq!(numbers(&buffer).await, [1, 2, 3]);
    disk.free();
    buffer.close().await;
    let (buffer, _) = open(&path, &Config::default());
    assert_eq!(numbers(&buffer).await, [1, 2, 3]);
    buffer.close().await;
}
