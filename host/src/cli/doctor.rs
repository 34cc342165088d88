//! `lamina doctor`: checks the machine and the configuration for what stops or slows a host.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use rustix::fs::statvfs;
use rustix::process::{Resource, getrlimit};

use super::speaker::Speaker;
use super::start::Start;
use super::{Ended, data_dir, descriptors, output};
use crate::clock::Clock;
use crate::config::{Config, HostLog};
use crate::disk;
use crate::host::preflight;
use crate::store::sqlite::Sqlite;

/// Writes with fsync that are measured.
const SYNCS: usize = 16;
/// Slower fsyncs make each change of a function and each event slow.
const SYNC_SLOW: Duration = Duration::from_millis(20);
/// Free disk space below which deployments may fail soon.
const FREE_BYTES_MIN: u64 = 2 << 30;
/// Memory maps of a host with many functions.
const MAPS_MIN: u64 = 65_530;
/// Address space that the pool of linear memories reserves.
const ADDRESS_SPACE_BYTES_MIN: u64 = 1 << 46;
/// A clock before this time was never set: 2026-01-01.
const SET_SECONDS: i64 = 1_767_225_600;

/// Check this machine and the configuration of a host.
#[derive(Args, Clone, Debug)]
pub(super) struct Doctor {
    #[command(flatten)]
    start: Start,
}

/// Outcome of a check.
enum Finding {
    Good(String),
    /// The host runs, with this disadvantage.
    Poor(String),
    /// The host does not start.
    Bad(String),
}

use Finding::{Bad, Good, Poor};

impl Doctor {
    pub(super) fn run(self) -> anyhow::Result<Ended> {
        // Warnings about the configuration, such as secrets that others can read.
        Speaker::start(&HostLog {
            filter: Some("warn".to_owned()),
            ..HostLog::default()
        })?;
        let config = match self.start.config_in(Path::new(".")) {
            Ok(config) => {
                print("configuration", &Good(summary(&config)));
                config
            }
            Err(error) => {
                print("configuration", &Bad(output::chain(&error)));
                anyhow::bail!("the host would not start");
            }
        };
        let holder = Sqlite::holder(&config.data_dir);
        let mut checks = vec![(
            "address",
            address(&config, config.listen, holder.as_deref()),
        )];
        if let Some(tls) = &config.tls {
            checks.push((
                "TLS address",
                address(&config, tls.listen, holder.as_deref()),
            ));
        }
        let failed = preflight(&config).into_iter();
        checks.extend(failed.map(|(section, error)| (section, Bad(output::chain(&error.into())))));
        checks.extend([
            (
                "data directory",
                data_dir(&config.data_dir, holder.as_deref()),
            ),
            ("disk space", disk_space(&config.data_dir)),
            ("disk sync", disk_sync(&config.data_dir)),
            ("open files", open_files(&config)),
            ("address space", address_space()),
            ("memory maps", memory_maps()),
            ("clock", clock()),
        ]);
        checks
            .iter()
            .for_each(|(name, finding)| print(name, finding));
        if checks.iter().any(|(_, finding)| matches!(finding, Bad(_))) {
            anyhow::bail!("the host would not start");
        }
        Ok(Ended::Well)
    }
}

fn print(name: &str, finding: &Finding) {
    let (mark, text) = match finding {
        Good(text) => ("ok  ", text),
        Poor(text) => ("warn", text),
        Bad(text) => ("FAIL", text),
    };
    output::line(&format!("{mark}  {name}: {text}"));
}

fn summary(config: &Config) -> String {
    let keys = config.keys.len();
    let tls = config
        .tls
        .as_ref()
        .map_or_else(|| "none".to_owned(), |tls| tls.listen.to_string());
    format!("listen {}, TLS {tls}, {keys} access keys", config.listen)
}

/// Check of an address. The host's own, while it runs, is no other program's.
fn address(config: &Config, listen: SocketAddr, holder: Option<&str>) -> Finding {
    let is_tls = config.tls.as_ref().is_some_and(|it| it.listen == listen);
    let is_open = !listen.ip().is_loopback() && !is_tls && config.trusted_proxies.is_empty();
    match (TcpListener::bind(listen), holder) {
        (Err(error), Some(process)) if error.kind() == ErrorKind::AddrInUse => Good(format!(
            "{listen} is in use, and the host runs (process {process})"
        )),
        (Err(error), _) => Bad(format!("{listen} cannot be listened on: {error}")),
        (Ok(_), _) if is_open => Poor(format!("{listen} is reached from elsewhere, without TLS")),
        (Ok(_), _) => Good(format!("{listen} is free")),
    }
}

/// The directory, or its nearest parent that exists.
fn existing(dir: &Path) -> PathBuf {
    let absolute = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    let found = absolute.ancestors().find(|it| it.is_dir());
    found.map_or_else(|| "/".into(), Path::to_owned)
}

fn data_dir(dir: &Path, holder: Option<&str>) -> Finding {
    if let Some(process) = holder {
        return Good(format!("{} is in use by process {process}", dir.display()));
    }
    if let Err(error) = data_dir::require_own(dir) {
        return Bad(output::chain(&error));
    }
    let place = existing(dir);
    match probe(&place).map(fs::remove_file) {
        Ok(_) if dir.is_dir() => Good(format!("{} can be written", dir.display())),
        Ok(_) => Good(format!("{} will be created", dir.display())),
        Err(error) => Bad(format!("{} cannot be written: {error:#}", place.display())),
    }
}

/// Creates a file in a directory.
fn probe(dir: &Path) -> anyhow::Result<PathBuf> {
    let path = dir.join(format!(".lamina-doctor-{}", std::process::id()));
    disk::create_new(&path).with_context(|| path.display().to_string())?;
    Ok(path)
}

fn disk_space(dir: &Path) -> Finding {
    let Ok(found) = statvfs(existing(dir)) else {
        return Poor("it is not known".into());
    };
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let text = format!("{} MB are free", free / 1_000_000);
    match free < FREE_BYTES_MIN {
        true => Poor(format!(
            "{text}: functions, their /tmp and logs may fill the disk"
        )),
        false => Good(text),
    }
}

fn disk_sync(dir: &Path) -> Finding {
    match sync_time(&existing(dir)) {
        Err(error) => Poor(format!("it was not measured: {error:#}")),
        Ok(time) => {
            let text = format!(
                "{:.1} ms for each durable write",
                time.as_secs_f64() * 1_000.0
            );
            match time > SYNC_SLOW {
                true => Poor(format!("{text}: changes and events wait for it")),
                false => Good(text),
            }
        }
    }
}

/// Median time of a small write with fsync.
fn sync_time(dir: &Path) -> anyhow::Result<Duration> {
    let path = probe(dir)?;
    let clock = Clock::system();
    let measure = |mut file: File| {
        let mut times = Vec::new();
        for _ in 0..SYNCS {
            let begun = clock.instant();
            file.write_all(&[0; 4_096])?;
            file.sync_data()?;
            times.push(clock.instant() - begun);
        }
        times.sort();
        anyhow::Ok(times[SYNCS / 2])
    };
    let measured = File::options().append(true).open(&path);
    let measured = measured.map_err(Into::into).and_then(measure);
    fs::remove_file(&path)?;
    measured
}

fn open_files(config: &Config) -> Finding {
    let needed = descriptors::needed_by(config.limits.environments);
    match getrlimit(Resource::Nofile).maximum {
        Some(maximum) if maximum < needed => Poor(format!(
            "{maximum} at most, {needed} are needed for {} environments: raise LimitNOFILE= or ulimit -Hn",
            config.limits.environments
        )),
        Some(maximum) => Good(format!("{maximum} at most, {needed} are needed")),
        None => Good("no limit".into()),
    }
}

fn address_space() -> Finding {
    match getrlimit(Resource::As).current {
        Some(limit) if limit < ADDRESS_SPACE_BYTES_MIN => Bad(format!(
            "limited to {limit} bytes, but memories of functions are reserved ahead: ulimit -v unlimited"
        )),
        _ => Good("no limit".into()),
    }
}

fn memory_maps() -> Finding {
    let read = fs::read_to_string("/proc/sys/vm/max_map_count");
    match read.ok().and_then(|text| text.trim().parse::<u64>().ok()) {
        Some(maps) if maps < MAPS_MIN => {
            Poor(format!("{maps}: raise vm.max_map_count for many functions"))
        }
        Some(maps) => Good(format!("{maps} at most")),
        None => Poor("vm.max_map_count is not known".into()),
    }
}

/// Signatures of clients are valid for 15 minutes by this clock.
fn clock() -> Finding {
    let now = Clock::system().now().utc();
    let is_synchronized = [
        "/run/systemd/timesync/synchronized",
        "/run/chrony/chronyd.pid",
    ];
    let is_synchronized = is_synchronized.iter().any(|it| Path::new(it).exists());
    if now.as_second() < SET_SECONDS {
        return Poor(format!(
            "{now:.0} is in the past: clients' signatures will be refused"
        ));
    }
    match is_synchronized {
        true => Good(format!("{now:.0}, synchronized")),
        false => Good(format!(
            "{now:.0}; no time service was found here. It must be right to 5 minutes"
        )),
    }
}
