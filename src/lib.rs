//! dsops as a library: load → plan → resolve → sink. No command line and no terminal in here.

#![forbid(unsafe_code)]

pub mod agent;
pub mod cache;
pub mod ci;
pub mod config;
pub mod doctor;
pub mod environment;
pub mod exec;
pub mod exit;
pub mod helper;
pub mod mask;
pub mod openclaw;
pub mod plan;
pub mod policy;
pub mod reference;
pub mod render;
pub mod resolve;
pub mod statements;
pub mod suggest;
pub mod transform;
pub mod trust;
pub mod watch;
