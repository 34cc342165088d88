//! Every integration test, in one binary: twelve would take three times as long to build. They use
//! the real program through its public API, with real functions and real clients.

mod cli;
mod clients;
mod coverage;
mod crash;
mod embed;
mod examples;
mod functions;
mod harness;
mod hostile;
mod logs;
mod robustness;
mod storage;
mod tidy;
mod urls;
mod versions;
