//! The processes of a server by `/proc`: which there are, the time they took, the memory that is theirs alone.

use crate::Outcome;
use std::collections::{BTreeSet, HashMap};
use std::fs;

/// A process and all that descend from it.
pub fn tree(root: i32) -> BTreeSet<i32> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    let numbers = fs::read_dir("/proc").into_iter().flatten().flatten();
    for pid in numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok()) {
        if let Some(parent) = stat(pid).and_then(|fields| fields.get(1)?.parse().ok()) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = BTreeSet::new();
    let mut pending = vec![root];
    while let Some(pid) = pending.pop() {
        if found.insert(pid) {
            pending.extend(children.get(&pid).into_iter().flatten());
        }
    }
    found
}

/// The fields of `stat` behind the name: state, parent, ... None when the process has ended.
fn stat(pid: i32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(text.rsplit_once(") ")?.1.split_whitespace().map(str::to_owned).collect())
}

/// Processor seconds that these have taken since they began.
pub fn processor_seconds(pids: &BTreeSet<i32>) -> f64 {
    /// Hundredths of a second: USER_HZ is 100 on every Linux that we know.
    const TICK: f64 = 0.01;
    let ticks: u64 = pids
        .iter()
        .filter_map(|pid| stat(*pid))
        .map(|fields| [11, 12].iter().filter_map(|at| fields.get(*at)?.parse::<u64>().ok()).sum::<u64>())
        .sum();
    ticks as f64 * TICK
}

/// Memory that these share with nobody, in octets: pages that they have written.
pub fn private_dirty(pids: &BTreeSet<i32>) -> Outcome<f64> {
    sum(pids, "smaps_rollup", "Private_Dirty:")
}

/// The most that each of these ever had in memory, shared pages included, in octets.
pub fn peak(pids: &BTreeSet<i32>) -> Outcome<f64> {
    sum(pids, "status", "VmHWM:")
}

fn sum(pids: &BTreeSet<i32>, file: &str, field: &str) -> Outcome<f64> {
    let mut octets = 0;
    for pid in pids {
        let text = fs::read_to_string(format!("/proc/{pid}/{file}"))?;
        let line = text.lines().find_map(|line| line.strip_prefix(field)).ok_or("no such field")?;
        octets += line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024;
    }
    Ok(octets as f64)
}
