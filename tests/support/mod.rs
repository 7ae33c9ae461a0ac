//! What the tests of the program share: a runner for the real binary and servers that answer like real stores.
#![allow(dead_code, unused_imports, reason = "each test target uses its own part of this module")]

pub(crate) mod clouds;
pub(crate) mod compiled;
pub(crate) mod dsops;
pub(crate) mod infisical;
pub(crate) mod jwt;
pub(crate) mod loopback;
pub(crate) mod output;
pub(crate) mod proxy;
pub(crate) mod terminal;
pub(crate) mod tls;

pub(crate) use dsops::{Dsops, Running};
pub(crate) use output::Output;
pub(crate) use terminal::Terminal;
