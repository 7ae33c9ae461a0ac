//! The program as a user runs it: one module per command, all on the real binary.

// `cfg(test)` tells clippy that the helpers below are test code as well, where a failed expectation may panic.
#[cfg(test)]
mod agents_config;
#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod builder;
#[cfg(test)]
mod canary;
#[cfg(test)]
mod ci;
#[cfg(test)]
mod completion;
#[cfg(test)]
mod config;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod credential_files;
#[cfg(test)]
mod doctor;
#[cfg(test)]
mod env;
#[cfg(test)]
mod environment_options;
#[cfg(test)]
mod exec;
#[cfg(test)]
mod exec_group;
#[cfg(test)]
mod exec_mask;
#[cfg(test)]
mod exec_options;
#[cfg(test)]
mod exec_process;
#[cfg(test)]
mod exec_provider_asker;
#[cfg(test)]
mod exec_provider_chain;
#[cfg(test)]
mod exec_provider_kill;
#[cfg(test)]
mod exec_provider_limits;
#[cfg(test)]
mod exec_provider_promises;
#[cfg(test)]
mod exec_provider_requests;
#[cfg(test)]
mod exec_provider_surroundings;
#[cfg(test)]
mod exec_provider_values;
#[cfg(test)]
mod file_variables;
#[cfg(test)]
mod files;
#[cfg(test)]
mod get;
#[cfg(test)]
mod helper_askpass;
#[cfg(test)]
mod helper_aws;
#[cfg(test)]
mod helper_docker;
#[cfg(test)]
mod helper_git;
#[cfg(test)]
mod helper_kube;
#[cfg(test)]
mod http;
#[cfg(test)]
mod infisical;
#[cfg(test)]
mod infisical_access;
#[cfg(test)]
mod infisical_discovery;
#[cfg(test)]
mod infisical_environment;
#[cfg(test)]
mod infisical_errors;
#[cfg(test)]
mod infisical_exact;
#[cfg(test)]
mod infisical_import;
#[cfg(test)]
mod infisical_logins;
#[cfg(test)]
mod infisical_references;
#[cfg(test)]
mod infisical_rows;
#[cfg(test)]
mod infisical_tls;
#[cfg(test)]
mod init;
#[cfg(test)]
mod init_infisical;
#[cfg(test)]
mod lab;
#[cfg(test)]
mod local;
#[cfg(test)]
mod man;
#[cfg(test)]
mod mask;
#[cfg(test)]
mod openclaw;
#[cfg(test)]
mod plan;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod resilience;
#[cfg(test)]
mod security;
#[cfg(test)]
mod shell;
#[cfg(test)]
#[path = "../support/mod.rs"]
mod support;
#[cfg(test)]
mod systemd;
#[cfg(test)]
mod token_cache;
#[cfg(test)]
mod trust;
#[cfg(test)]
mod ttl;
#[cfg(test)]
mod validate;
#[cfg(test)]
mod version;
#[cfg(test)]
mod watch;
