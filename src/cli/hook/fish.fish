# Loads the environment of the nearest dsops.yaml that is trusted; see `dsops trust`.
function _dsops_run
    set -l program dsops
    test -x @PROGRAM@; and set program @PROGRAM@
    DSOPS_HOOK_STATE="$_dsops_state" command $program $argv @OPTIONS@
end
# Keeps the value that a global variable has, in one that is not exported.
function _dsops_save
    set -e -g _dsops_old_$argv[1]
    if set -qgx $argv[1]
        set -g _dsops_old_$argv[1] e $$argv[1]
    else if set -qg $argv[1]
        set -g _dsops_old_$argv[1] p $$argv[1]
    end
end
function _dsops_restore
    set -e -g $argv[1]
    set -l old _dsops_old_$argv[1]
    if set -q $old
        set -l values $$old
        set -l exported -u
        test $values[1] = e; and set exported -x
        set -e values[1]
        set -g $exported $argv[1] $values
        set -e -g $old
    end
end
function _dsops_load
    _dsops_run hook-env fish --load | source
end
function _dsops_hook --on-event fish_prompt --on-variable PWD
    status is-command-substitution; and return
    _dsops_run hook-env fish | source
end
