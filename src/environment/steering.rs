//! Names with which a variable makes a program run something else: what an import may not bring by itself.
//!
//! Whoever can write into a folder of a store would otherwise run code wherever the folder is imported. The
//! lists are from documents, and stand in `docs/decisions/0019-shells.md`.

/// Names that start so: the loaders' (ld.so(8), dyld(1)), functions that bash takes from its environment, git's
/// configuration, and dsops's own.
const STARTS: &[&str] = &["BASH_FUNC_", "DSOPS_", "DYLD_", "GIT_CONFIG", "LD_", "LUA_INIT", "PERL5"];

/// Whole names, in order.
const NAMES: &[&str] = &[
    "BASHOPTS",
    "BASH_ENV",
    "BROWSER",
    "BUNDLE_GEMFILE",
    "CLASSPATH",
    "CORECLR_ENABLE_PROFILING",
    "CORECLR_PROFILER",
    "CORECLR_PROFILER_PATH",
    "DOTNET_ADDITIONAL_DEPS",
    "DOTNET_STARTUP_HOOKS",
    "EDITOR",
    "FPATH",
    "GCONV_PATH",
    "GEM_HOME",
    "GEM_PATH",
    "GIT_ASKPASS",
    "GIT_DIR",
    "GIT_EDITOR",
    "GIT_EXEC_PATH",
    "GIT_EXTERNAL_DIFF",
    "GIT_PAGER",
    "GIT_PROXY_COMMAND",
    "GIT_SEQUENCE_EDITOR",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_TEMPLATE_DIR",
    "GLIBC_TUNABLES",
    "GLOBIGNORE",
    "GOFLAGS",
    "HOME",
    "IFS",
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "LESSCLOSE",
    "LESSOPEN",
    "LOCPATH",
    "LUA_CPATH",
    "LUA_PATH",
    "MAKEFILES",
    "MAKEFLAGS",
    "MALLOC_TRACE",
    "MANPAGER",
    "NLSPATH",
    "NODE_OPTIONS",
    "NODE_PATH",
    "NODE_REPL_EXTERNAL_MODULE",
    "NPM_CONFIG_GLOBALCONFIG",
    "NPM_CONFIG_NODE_OPTIONS",
    "NPM_CONFIG_SCRIPT_SHELL",
    "NPM_CONFIG_USERCONFIG",
    "OPENSSL_CONF",
    "OPENSSL_ENGINES",
    "OPENSSL_MODULES",
    "PAGER",
    "PATH",
    "PERLLIB",
    "PHPRC",
    "PHP_INI_SCAN_DIR",
    "PROMPT_COMMAND",
    "PS4",
    "PYTHONBREAKPOINT",
    "PYTHONEXECUTABLE",
    "PYTHONHOME",
    "PYTHONINSPECT",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "PYTHONUSERBASE",
    "PYTHONWARNINGS",
    "RUBYLIB",
    "RUBYOPT",
    "RUBYSHELL",
    "RUSTC",
    "RUSTC_WRAPPER",
    "SHELL",
    "SHELLOPTS",
    "SSH_ASKPASS",
    "VISUAL",
    "XDG_CONFIG_DIRS",
    "XDG_CONFIG_HOME",
    "ZDOTDIR",
    "_JAVA_OPTIONS",
];

/// Says whether a variable of this name makes the loader, a shell, an interpreter, git or dsops itself run or
/// read something else.
#[must_use]
pub fn steers(name: &str) -> bool {
    // npm reads its options in either case (npm-config(7)).
    let is_of_npm = name.get(..11).is_some_and(|start| start.eq_ignore_ascii_case("npm_config_"));
    let upper = if is_of_npm { name.to_ascii_uppercase() } else { String::new() };
    let name = if is_of_npm { upper.as_str() } else { name };
    NAMES.binary_search(&name).is_ok() || STARTS.iter().any(|start| name.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_in_order_and_each_is_found() {
        assert!(NAMES.is_sorted_by(|one, other| one < other));
        for name in NAMES.iter().chain(STARTS) {
            assert!(steers(name), "{name}");
        }
    }

    #[test]
    fn loaders_shells_and_interpreters_are_steered_and_programs_own_names_are_not() {
        for name in
            ["LD_PRELOAD", "DYLD_INSERT_LIBRARIES", "BASH_FUNC_ls%%", "npm_config_script_shell", "PERL5OPT"]
        {
            assert!(steers(name), "{name}");
        }
        // Names that folders of real projects hold, and that decide where requests go at most.
        for name in [
            "ENV",
            "NODE_ENV",
            "DATABASE_URL",
            "HTTPS_PROXY",
            "PYTHONUNBUFFERED",
            "path",
            "MY_PATH",
            "OLD_PATH",
            "DEBUG",
            "TZ",
            "npm_config_registry",
        ] {
            assert!(!steers(name), "{name}");
        }
    }
}
