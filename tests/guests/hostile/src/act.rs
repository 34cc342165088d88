//! Actions of the hostile guest. Paths, sizes and texts come from the event, so that a test holds
//! both the action and the expectation.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use serde_json::{Value, json};

use wasip2::filesystem::preopens;

use crate::exports::lambda::function::handler::{Context, Failure};
use crate::{failure, network};

/// Bytes per write.
const CHUNK_BYTES: usize = 64 * 1024;
/// Bytes per call of the random source.
const DRAWN_BYTES: u64 = 64 * 1024;

/// Calls since instantiation.
static COUNT: AtomicU64 = AtomicU64::new(0);

/// Data segment large enough for the host to map it copy-on-write.
static DATA: [AtomicU64; 6144] = [const { AtomicU64::new(1) }; 6144];

#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Act {
    // Actions that end the environment.
    Loop,
    Allocate,
    Recurse,
    Trap,
    Panic {
        message: String,
    },
    Exit {
        code: i32,
    },

    // Actions that the host must refuse or bound.
    NotJson,
    Return {
        bytes: usize,
    },
    Log {
        bytes: usize,
        line_bytes: usize,
    },
    Fail(Failed),
    Hold {
        bytes: usize,
    },
    Reserve {
        bytes: usize,
    },
    Deep {
        levels: u64,
        ms: u64,
    },
    Handles,
    Connect {
        address: String,
    },
    Lookup {
        name: String,
    },
    Lookups {
        count: usize,
    },
    Sockets,
    Files {
        path: String,
    },
    Stat {
        path: String,
        ms: u64,
    },
    Draw {
        ms: u64,
    },
    Write {
        path: String,
        bytes: usize,
    },
    Fill {
        path: String,
    },
    Sparse {
        path: String,
        bytes: u64,
    },
    Names {
        dir: String,
    },
    Link {
        from: String,
        to: String,
    },
    Orphan {
        path: String,
        bytes: u64,
    },
    Symlink {
        target: String,
        path: String,
    },
    Rename {
        from: String,
        to: String,
    },

    // Actions that inspect the sandbox.
    Echo,
    Sleep {
        ms: u64,
    },
    Read {
        path: String,
    },
    Remove {
        path: String,
    },
    /// Appends a line so many times, each with an open and a write of its own.
    Append {
        path: String,
        line: String,
        times: u64,
    },
    MakeDirectory {
        path: String,
    },
    Count,
    Data,
    List {
        path: String,
    },
    Stdin,
    Env,
    Variable {
        name: String,
    },
    Args,
    Random,
    Clock,
    Context,
    Print {
        stdout: String,
        stderr: String,
    },
    Report {
        address: String,
        line: String,
        #[serde(default)]
        fail: bool,
        /// Time after which the end is reported too.
        #[serde(default)]
        ms: Option<u64>,
    },
}

#[derive(Deserialize)]
pub struct Failed {
    #[serde(rename = "type")]
    error_type: String,
    message: String,
    #[serde(default)]
    stack: Vec<String>,
}

pub fn perform(act: Act, event: &str, context: &Context) -> Result<String, Failure> {
    let answer = match act {
        Act::Loop => spin(),
        Act::Allocate => allocate(),
        Act::Recurse => Ok(json!(recurse(0))),
        Act::Deep { levels, ms } => Ok(json!(deep(levels, ms))),
        Act::Trap => trap(),
        Act::Panic { message } => panic!("{message}"),
        Act::Exit { code } => std::process::exit(code),

        Act::NotJson => return Ok("{\"this is\": not JSON".to_owned()),
        Act::Return { bytes } => return Ok(json_of(bytes)),
        Act::Log { bytes, line_bytes } => log(bytes, line_bytes),
        Act::Fail(wish) => return Err(wish.into()),
        Act::Hold { bytes } => Ok(hold(bytes)),
        Act::Reserve { bytes } => Ok(json!(Vec::<u8>::new().try_reserve_exact(bytes).is_ok())),
        Act::Handles => Ok(handles()),
        Act::Connect { address } => TcpStream::connect(address).map(|_| json!("connected")),
        Act::Lookup { name } => (name, 80)
            .to_socket_addrs()
            .map(|found| json!(found.count())),
        Act::Lookups { count } => Ok(network::lookups(count)),
        Act::Sockets => Ok(network::sockets()),
        Act::Files { path } => Ok(files(&path)),
        Act::Stat { path, ms } => Ok(repeat(ms, || fs::metadata(&path).is_ok())),
        Act::Draw { ms } => Ok(repeat(ms, || {
            !wasip2::random::random::get_random_bytes(DRAWN_BYTES).is_empty()
        })),
        Act::Write { path, bytes } => write(&path, bytes),
        Act::Fill { path } => fill(&path),
        Act::Sparse { path, bytes } => sparse(&path, bytes).map(|_| Value::Null),
        Act::Names { dir } => Ok(names(&dir)),
        Act::Link { from, to } => fs::hard_link(from, to).map(|()| Value::Null),
        Act::Orphan { path, bytes } => orphan(&path, bytes),
        Act::Symlink { target, path } => symlink(&target, &path),
        Act::Rename { from, to } => fs::rename(from, to).map(|()| Value::Null),

        Act::Echo => return Ok(event.to_owned()),
        Act::Sleep { ms } => Ok(json!(sleep(ms))),
        Act::Remove { path } => fs::remove_file(path).map(|()| Value::Null),
        Act::Append { path, line, times } => append(&path, &line, times),
        Act::MakeDirectory { path } => fs::create_dir(path).map(|()| Value::Null),
        Act::Count => Ok(json!(COUNT.fetch_add(1, Ordering::Relaxed) + 1)),
        Act::Data => Ok(json!(
            DATA.iter()
                .map(|it| it.fetch_add(1, Ordering::Relaxed))
                .sum::<u64>()
        )),
        Act::Read { path } => fs::read_to_string(path).map(Value::from),
        Act::List { path } => list(&path),
        Act::Stdin => io::read_to_string(io::stdin()).map(Value::from),
        Act::Variable { name } => Ok(json!(std::env::var(name).ok())),
        Act::Env => Ok(json!(std::env::vars().collect::<BTreeMap<_, _>>())),
        Act::Args => Ok(json!(std::env::args().collect::<Vec<_>>())),
        Act::Random => Ok(json!(RandomState::new().hash_one(0).to_string())),
        Act::Clock => Ok(json!(since_epoch().as_millis() as u64)),
        Act::Context => Ok(json_of_context(context)),
        Act::Print { stdout, stderr } => print(&stdout, &stderr),
        Act::Report {
            address,
            line,
            fail,
            ms,
        } => report(&address, &line).and_then(|()| {
            if let Some(ms) = ms {
                sleep(ms);
                report(&address, &format!("{line} ended"))?;
            }
            match fail {
                true => Err(io::Error::other("the event asked for it")),
                false => Ok(Value::Null),
            }
        }),
    };
    match answer {
        Ok(value) => Ok(value.to_string()),
        Err(error) => Err(failure(&format!("{:?}", error.kind()), &error.to_string())),
    }
}

pub fn spin() -> ! {
    loop {
        std::hint::spin_loop();
    }
}

pub fn trap() -> ! {
    core::arch::wasm32::unreachable()
}

pub fn sleep(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

fn allocate() -> ! {
    loop {
        std::mem::forget(vec![1_u8; CHUNK_BYTES]);
    }
}

/// Neither a tail call nor convertible to a loop.
#[inline(never)]
fn recurse(depth: u64) -> u64 {
    if depth == u64::MAX {
        return 0;
    }
    recurse(depth + 1).rotate_left(7).wrapping_mul(3) ^ depth
}

/// Sleeps at the end of a recursion.
#[inline(never)]
fn deep(levels: u64, ms: u64) -> u64 {
    if levels == 0 {
        sleep(ms);
        return 0;
    }
    deep(levels - 1, ms).rotate_left(7).wrapping_mul(3) ^ levels
}

/// JSON string of exactly this length, quotes included.
fn json_of(bytes: usize) -> String {
    format!("\"{}\"", "x".repeat(bytes.saturating_sub(2)))
}

fn log(bytes: usize, line_bytes: usize) -> io::Result<Value> {
    let mut line = vec![b'x'; line_bytes.saturating_sub(1)];
    line.push(b'\n');
    let mut stdout = io::stdout();
    let mut left = bytes;
    while left > 0 {
        let written = stdout.write(&line[..left.min(line.len())])?;
        left -= written;
    }
    stdout.flush()?;
    Ok(json!(bytes))
}

/// Leaks the memory, to keep it until the environment ends.
fn hold(bytes: usize) -> Value {
    std::mem::forget(vec![1_u8; bytes]);
    json!(core::arch::wasm32::memory_size(0) * 64 * 1024)
}

/// Opens one file repeatedly until the host refuses.
fn handles() -> Value {
    let mut opened = 0_u64;
    loop {
        match File::create("/tmp/handle") {
            Ok(file) => std::mem::forget(file),
            Err(error) => return json!({"opened": opened, "error": error.to_string()}),
        }
        opened += 1;
    }
}

/// Repeats an action for a time; returns the count.
fn repeat(ms: u64, act: impl Fn() -> bool) -> Value {
    let begun = since_epoch();
    let mut count = 0_u64;
    while act() && since_epoch() - begun < Duration::from_millis(ms) {
        count += 1;
    }
    json!(count)
}

/// Opens one file for reading repeatedly until the host refuses.
fn files(path: &str) -> Value {
    let mut opened = 0_u64;
    loop {
        match File::open(path) {
            Ok(file) => std::mem::forget(file),
            Err(error) => return json!({"opened": opened, "error": error.to_string()}),
        }
        opened += 1;
    }
}

fn write(path: &str, bytes: usize) -> io::Result<Value> {
    let mut file = File::create(path)?;
    let chunk = vec![b'x'; CHUNK_BYTES];
    let mut left = bytes;
    while left > 0 {
        left -= file.write(&chunk[..left.min(CHUNK_BYTES)])?;
    }
    Ok(json!(bytes))
}

/// Writes until the host refuses; returns the size and the error.
fn fill(path: &str) -> io::Result<Value> {
    let mut file = File::create(path)?;
    let chunk = vec![b'x'; CHUNK_BYTES];
    while file.write_all(&chunk).is_ok() {}
    // wasi-libc reports any stream failure as EIO; a write through the file descriptor gets the
    // real error.
    let error = File::options().append(true).open(path)?.write_all(b"x");
    let error = error.map_err(|error| format!("{:?}", error.kind())).err();
    Ok(json!({"bytes": fs::metadata(path)?.len(), "error": error}))
}

fn sparse(path: &str, bytes: u64) -> io::Result<File> {
    let file = File::create(path)?;
    file.set_len(bytes)?;
    Ok(file)
}

/// Creates files until the host refuses.
fn names(dir: &str) -> Value {
    let mut made = 0_u64;
    loop {
        if let Err(error) = File::create(format!("{dir}/{made}")) {
            return json!({"made": made, "error": format!("{:?}", error.kind())});
        }
        made += 1;
    }
}

/// Unlinked file that stays open until the environment ends.
fn orphan(path: &str, bytes: u64) -> io::Result<Value> {
    std::mem::forget(sparse(path, bytes)?);
    fs::remove_file(path)?;
    Ok(json!(bytes))
}

fn append(path: &str, line: &str, times: u64) -> io::Result<Value> {
    for _ in 0..times {
        let mut file = File::options().create(true).append(true).open(path)?;
        file.write_all(format!("{line}\n").as_bytes())?;
    }
    Ok(json!(times))
}

fn symlink(target: &str, path: &str) -> io::Result<Value> {
    let (descriptors, name) = (preopens::get_directories(), path);
    let of = |(_, prefix): &&(_, String)| name.starts_with(prefix.as_str());
    let (directory, prefix) = descriptors.iter().find(of).ok_or(io::ErrorKind::NotFound)?;
    let name = name[prefix.len()..].trim_start_matches('/');
    let made = directory.symlink_at(target, name);
    made.map(|()| Value::Null)
        .map_err(|code| io::Error::other(format!("{code:?}")))
}

fn list(path: &str) -> io::Result<Value> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(json!(names))
}

fn print(stdout: &str, stderr: &str) -> io::Result<Value> {
    io::stdout().write_all(stdout.as_bytes())?;
    io::stdout().flush()?;
    io::stderr().write_all(stderr.as_bytes())?;
    Ok(Value::Null)
}

fn since_epoch() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

fn json_of_context(context: &Context) -> Value {
    json!({
        "awsRequestId": context.aws_request_id,
        "deadlineMs": context.deadline_ms,
        "invokedFunctionArn": context.invoked_function_arn,
        "functionName": context.function_name,
        "functionVersion": context.function_version,
        "memoryLimitMib": context.memory_limit_mib,
        "logGroupName": context.log_group_name,
        "logStreamName": context.log_stream_name,
        "clientContext": context.client_context,
        "identity": context.identity.as_ref().map(|identity| json!({
            "identityId": identity.identity_id,
            "identityPoolId": identity.identity_pool_id,
        })),
        "traceId": context.trace_id,
        "tenantId": context.tenant_id,
    })
}

impl From<Failed> for Failure {
    fn from(wish: Failed) -> Self {
        Failure {
            error_type: wish.error_type,
            error_message: wish.message,
            stack_trace: wish.stack,
        }
    }
}

/// Sends a line to a collector, and waits until it has it.
pub fn report(address: &str, line: &str) -> io::Result<()> {
    let mut collector = TcpStream::connect(address)?;
    writeln!(collector, "{line}")?;
    collector.read_exact(&mut [0])
}
