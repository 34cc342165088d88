//! Every integration test, in one binary: twelve would take three times as long to build. They use
//! the real program through its public API, with real functions and real clients.

mod authorization;
mod cli;
mod cli_dev;
mod cli_manners;
mod clients;
mod code_signing_configs;
mod constraints;
mod coverage;
mod crash;
mod embed;
mod event_invoke;
mod event_sources;
mod examples;
mod front;
mod functions;
mod goldens;
mod harness;
mod hostile;
mod layer_mounts;
mod layer_permissions;
mod layer_refusals;
mod layers;
mod logs;
mod moto;
mod permissions;
mod robustness;
mod s3;
mod s3_faults;
mod signed;
mod signing;
mod storage;
mod tags;
mod tidy;
mod urls;
mod versions;
