// A program that shows what it was given and what happens to it, for the tests beside it.
//
//   probe catch              writes `ready PID`, then `got N` for each signal, once for each delivery; a second
//                            SIGUSR2 ends it with 7
//   probe plain N            leaves every signal at its default but SIGPWR, which is as SIGUSR2 above;
//                            at its default, too, where N is SIGPWR
//   probe send PID N         sends signal N
//   probe raise N            ends by signal N
//   probe show WHAT...       writes what it inherited: see `show` below
//   probe launch OPTION... -- COMMAND...   changes what a command inherits, and becomes it:
//       -T no controlling terminal   -i N ignore, -d N default, -b N block a signal   -c FD close
//       -u MASK umask   -n NICE   -l RESOURCE SOFT a limit   -a NAME argv[0] of COMMAND
//       -P no_new_privs   -o N oom_score_adj   -t SECONDS a real-time timer
//
// Nothing here is in the program that the user gets.

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <termios.h>
#include <unistd.h>

extern char **environ;

static void fail(const char *what) {
    perror(what);
    exit(99);
}

// ---- signals

static volatile sig_atomic_t counts[65];
static int last_signal;

// A line for each delivery, in one write, so that nothing is counted twice or lost in between.
static void got(int number) {
    char line[] = "got 00\n";
    int saved = errno;
    line[4] = (char)('0' + number / 10);
    line[5] = (char)('0' + number % 10);
    if (write(1, line, 7) < 0 && write(2, line, 7) < 0) _exit(98);
    if (++counts[number] == 2 && number == last_signal) _exit(7);
    errno = saved;
}

static void handle(int number) {
    struct sigaction action = {.sa_handler = got};
    sigfillset(&action.sa_mask);
    sigaction(number, &action, NULL);
}

static void wait_for_signals(void) {
    // Not stdio: a handler may write between two halves of a line.
    char line[32];
    int length = snprintf(line, sizeof line, "ready %d\n", (int)getpid());
    if (write(1, line, (size_t)length) < 0) _exit(98);
    for (;;) pause();
}

static void catch_all(void) {
    last_signal = SIGUSR2;
    for (int number = 1; number <= 64; number++) handle(number);
    wait_for_signals();
}

static void leave_at_default(int number) {
    last_signal = SIGPWR;
    if (number != SIGPWR) handle(SIGPWR);
    wait_for_signals();
}

static void end_by(int number) {
    sigset_t set;
    signal(number, SIG_DFL);
    sigemptyset(&set);
    sigaddset(&set, number);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    raise(number);
    exit(97);
}

// ---- what was inherited

static void show_status(const char *name) {
    char line[256];
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status))
        if (!strncmp(line, name, strlen(name))) printf("%s", line);
    if (status) fclose(status);
}

// 32 and 33 are the C library's own: its posix_spawn(3) lets every program ignore them.
static void show_signals(void) {
    char line[256], name[32];
    unsigned long long set;
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status))
        if (sscanf(line, "%31[A-Za-z]: %llx", name, &set) == 2 && (!strncmp(name, "Sig", 3) || !strcmp(name, "ShdPnd")) && strcmp(name, "SigQ"))
            printf("%s %016llx\n", name, set & ~(3ULL << 31));
    if (status) fclose(status);
}

static int by_number(const void *left, const void *right) {
    return *(const int *)left - *(const int *)right;
}

// Descriptors, and what kind of thing each is: pipes and terminals have numbers, which differ between runs.
static void show_descriptors(void) {
    int found[1024], count = 0;
    DIR *directory = opendir("/proc/self/fd");
    for (struct dirent *entry; directory && (entry = readdir(directory));)
        if (entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(directory) && count < 1024)
            found[count++] = atoi(entry->d_name);
    qsort(found, (size_t)count, sizeof found[0], by_number);
    for (int i = 0; i < count; i++) {
        char link[64], target[256] = "";
        snprintf(link, sizeof link, "/proc/self/fd/%d", found[i]);
        ssize_t length = readlink(link, target, sizeof target - 1);
        target[length < 0 ? 0 : length] = 0;
        if (strchr(target, ':')) *strchr(target, ':') = 0;
        if (!strncmp(target, "/dev/pts/", 9)) strcpy(target, "terminal");
        printf("%d=%s,%s%s%s ", found[i], target,
               (fcntl(found[i], F_GETFL) & O_ACCMODE) == O_RDONLY   ? "r"
               : (fcntl(found[i], F_GETFL) & O_ACCMODE) == O_WRONLY ? "w"
                                                                   : "rw",
               fcntl(found[i], F_GETFL) & O_NONBLOCK ? ",nonblocking" : "",
               fcntl(found[i], F_GETFD) & FD_CLOEXEC ? ",cloexec" : "");
    }
    printf("\n");
    if (directory) closedir(directory);
}

static void show_limits(void) {
    for (int resource = 0; resource < RLIM_NLIMITS; resource++) {
        struct rlimit limit;
        if (getrlimit(resource, &limit) == 0)
            printf("%d=%lld/%lld ", resource, (long long)limit.rlim_cur, (long long)limit.rlim_max);
    }
    printf("\n");
}

static void show_timers(void) {
    struct itimerval timer;
    for (int which = ITIMER_REAL; which <= ITIMER_PROF; which++) {
        getitimer(which, &timer);
        printf("%s ", timer.it_value.tv_sec || timer.it_value.tv_usec ? "runs" : "none");
    }
    printf("\n");
}

static void show_file(const char *path) {
    char text[4096];
    FILE *file = fopen(path, "r");
    size_t length = file ? fread(text, 1, sizeof text - 1, file) : 0;
    text[length] = 0;
    printf("%s%s", text, length && text[length - 1] == '\n' ? "" : "\n");
    if (file) fclose(file);
}

static int pdeathsig(void) {
    int number = 0;
    prctl(PR_GET_PDEATHSIG, &number);
    return number;
}

static void show(const char *what, const char *name) {
    char path[4096];
    if (!strcmp(what, "signals")) show_signals();
    else if (!strcmp(what, "descriptors")) show_descriptors();

    else if (!strcmp(what, "limits")) show_limits();
    else if (!strcmp(what, "timers")) show_timers();
    else if (!strcmp(what, "name")) printf("%s\n", name);
    else if (!strcmp(what, "directory")) printf("%s\n", getcwd(path, sizeof path) ? strrchr(path, '/') : "none");
    else if (!strcmp(what, "umask")) printf("%04o\n", (unsigned)umask(0));
    else if (!strcmp(what, "nice")) printf("%d\n", getpriority(PRIO_PROCESS, 0));
    else if (!strcmp(what, "scheduler")) printf("%d\n", sched_getscheduler(0));
    else if (!strcmp(what, "oom")) show_file("/proc/self/oom_score_adj");
    else if (!strcmp(what, "dumpable")) printf("%d\n", prctl(PR_GET_DUMPABLE));
    else if (!strcmp(what, "coredump")) show_file("/proc/self/coredump_filter");
    else if (!strcmp(what, "timerslack")) printf("%d\n", prctl(PR_GET_TIMERSLACK));
    else if (!strcmp(what, "subreaper")) {
        int is = 0;
        prctl(PR_GET_CHILD_SUBREAPER, &is);
        printf("%d\n", is);
    } else if (!strcmp(what, "privileges")) {
        show_status("Uid:");
        show_status("Gid:");
        show_status("Groups:");
        show_status("Cap");
        show_status("NoNewPrivs:");
        show_status("Seccomp:");
        printf("%d %d\n", prctl(PR_GET_SECUREBITS), prctl(PR_GET_KEEPCAPS));
    } else if (!strcmp(what, "threads")) show_status("Threads:");
    else if (!strcmp(what, "pdeathsig")) printf("%d\n", pdeathsig());
    else if (!strcmp(what, "pid")) printf("%d\n", (int)getpid());
    else if (!strcmp(what, "cgroup")) show_file("/proc/self/cgroup");
    else if (!strcmp(what, "children")) show_file("/proc/thread-self/children");
    else if (!strcmp(what, "group"))
        printf("%s of its group\n", getpgrp() == getpid() ? "leader" : "member");
    else if (!strcmp(what, "session")) {
        printf("%s of its session, ", getsid(0) == getpid() ? "leader" : "member");
        printf("%s's session\n", getsid(0) == getsid(getppid()) ? "its parent" : "not its parent");
    } else if (!strcmp(what, "foreground")) {
        int tty = open("/dev/tty", O_RDWR | O_NOCTTY);
        printf("%s\n", tty < 0 ? "no terminal" : tcgetpgrp(tty) == getpgrp() ? "foreground" : "background");
    } else if (!strcmp(what, "size")) {
        struct winsize size = {0};
        ioctl(1, TIOCGWINSZ, &size);
        printf("%d %d\n", size.ws_row, size.ws_col);
    } else if (!strcmp(what, "terminals"))
        printf("%d%d%d\n", isatty(0), isatty(1), isatty(2));
    else if (!strcmp(what, "environment"))
        for (char **variable = environ; *variable; variable++) printf("%s\n", *variable);
    else exit(96);
}

// ---- what a command is to inherit

static void leave_terminal(void) {
    int tty = open("/dev/tty", O_RDWR);
    if (tty < 0) return;
    if (ioctl(tty, TIOCNOTTY) < 0) fail("TIOCNOTTY");
    close(tty);
}

static void block(int number) {
    sigset_t set;
    sigemptyset(&set);
    // sigaddset(3) refuses nothing that a program may block.
    if (sigaddset(&set, number) < 0 || sigprocmask(SIG_BLOCK, &set, NULL) < 0) fail("block");
}

static void limit(int resource, rlim_t soft) {
    struct rlimit now;
    if (getrlimit(resource, &now) < 0) fail("getrlimit");
    now.rlim_cur = soft < now.rlim_max ? soft : now.rlim_max;
    if (setrlimit(resource, &now) < 0) fail("setrlimit");
}

static void score(const char *text) {
    FILE *file = fopen("/proc/self/oom_score_adj", "w");
    if (!file || fputs(text, file) < 0 || fclose(file) != 0) fail("oom_score_adj");
}

static int launch(char **words) {
    char *name = NULL;
    for (; *words && strcmp(*words, "--"); words++) {
        switch ((*words)[1]) {
        case 'T': leave_terminal(); break;
        case 'i': signal(atoi(*++words), SIG_IGN); break;
        case 'd': signal(atoi(*++words), SIG_DFL); break;
        case 'b': block(atoi(*++words)); break;
        case 'c': close(atoi(*++words)); break;
        case 'u': umask((mode_t)strtol(*++words, NULL, 8)); break;
        case 'n': if (setpriority(PRIO_PROCESS, 0, atoi(*++words)) < 0) fail("nice"); break;
        case 'l': limit(atoi(words[1]), (rlim_t)atoll(words[2])); words += 2; break;
        case 'a': name = *++words; break;
        case 'P': if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) fail("no_new_privs"); break;
        case 'o': score(*++words); break;
        case 't': {
            struct itimerval timer = {.it_value = {.tv_sec = atoi(*++words)}};
            setitimer(ITIMER_REAL, &timer, NULL);
            break;
        }
        default: return 96;
        }
    }
    if (!*words || !words[1]) return 96;
    char *file = words[1];
    if (name) words[1] = name;
    execvp(file, words + 1);
    fail(file);
    return 127;
}

int main(int count, char **words) {
    const char *what = count > 1 ? words[1] : "";
    if (!strcmp(what, "catch")) catch_all();
    if (!strcmp(what, "plain")) leave_at_default(atoi(words[2]));
    if (!strcmp(what, "raise")) end_by(atoi(words[2]));
    if (!strcmp(what, "send")) return kill(atoi(words[2]), atoi(words[3])) < 0;
    if (!strcmp(what, "launch")) return launch(words + 2);
    if (strcmp(what, "show")) return 96;
    // What is closed is part of what is shown.
    if (fcntl(1, F_GETFD) < 0) stdout = stderr;
    for (int i = 2; i < count; i++) show(words[i], words[0]);
    fflush(stdout);
    return 0;
}
