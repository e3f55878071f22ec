/* Loaded before the C library: counts the calls by which a server looks at files or changes them and, told so, ends the process at one of them,
 * lets it fail, or writes all of them down. The file that the environment names by CRASH_CONTROL is mapped here and written to by the test. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* Kinds of calls, in the order of `Kind` in shim.rs. */
enum { CREATE, OPEN, OPEN_WRITE, WRITE, NAME, UNLINK, SYNC, ATTRIBUTE, TRUNCATE, LIST, STAT, STAT_OPEN, READ, CLOSE, TELL, MAP, LOCK };
enum { COUNT, KILL_BEFORE, KILL_AFTER, KILL_HALFWAY, FAIL_ONCE, FAIL_ON };

#define REMEMBERED 8192
struct control {
    uint32_t armed, mode, at, error, counted, count, hit, failing, no_sync, trace;
    uint32_t reserved[6];
    uint8_t kinds[REMEMBERED];
};

static struct control idle, *control = &idle;
static int trace = -1;

/* Other libraries call us before our own start. */
static long (*system_call(void))(long, ...) {
    static long (*real)(long, ...);
    if (!real) real = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    return real;
}
#define raw (system_call())

__attribute__((constructor)) static void start(void) {
    const char *path = getenv("CRASH_CONTROL");
    if (!path) return;
    int file = raw(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
    if (file < 0) _exit(99);
    void *map = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    raw(SYS_close, file);
    if (map == MAP_FAILED) _exit(99);
    control = map;
    path = getenv("CRASH_TRACE");
    if (path) trace = raw(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void die(void) {
    raw(SYS_kill, raw(SYS_getpid), SIGKILL);
    for (;;) pause();
}

static int is_socket(int fd) {
    int type;
    socklen_t size = sizeof type;
    int kept = errno, socket = getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0;
    errno = kept;
    return socket;
}

/* Files that have no disk: one that is full has room for them. Nor has the log, which is to say what happened. */
static char in_memory[4096] = {[STDERR_FILENO] = 1};

static int has_disk(int fd) { return fd < 0 || fd >= (int)sizeof in_memory || !in_memory[fd]; }

/* What is to become of this call. */
enum { GO, AFTER, HALFWAY, FAIL };

static int enter(int kind) {
    if (!control->armed || !(control->counted >> kind & 1)) return GO;
    uint32_t number = ++control->count;
    if (number <= REMEMBERED) control->kinds[number - 1] = kind;
    if (control->mode == FAIL_ON && number >= control->at && (control->failing >> kind & 1)) {
        control->hit++;
        errno = control->error;
        return FAIL;
    }
    if (number != control->at) return GO;
    switch (control->mode) {
    case KILL_BEFORE:
        control->hit = 1;
        die();
        break;
    case KILL_AFTER:
        control->hit = 1;
        return AFTER;
    case KILL_HALFWAY:
        if (kind != WRITE && kind != TELL) return GO;
        control->hit = 1;
        return HALFWAY;
    case FAIL_ONCE:
        control->hit = 1;
        errno = control->error;
        return FAIL;
    }
    return GO;
}

static void leave(int what) {
    if (what == AFTER || what == HALFWAY) die();
}

/* Path of what a descriptor stands for, with a name below it. */
static const char *shown(char *out, int fd, const char *name) {
    char link[64];
    size_t length = 0;
    if (name && name[0] == '/') return name;
    if (fd == AT_FDCWD) snprintf(link, sizeof link, "/proc/self/cwd");
    else snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    long got = raw(SYS_readlinkat, AT_FDCWD, link, out, PATH_MAX - 1);
    if (got > 0) length = got;
    out[length] = 0;
    if (name && name[0]) snprintf(out + length, PATH_MAX - length, "/%s", name);
    return out;
}

/* One line: call, result, path, second path. */
static void note(const char *call, long result, int fd, const char *name, int other, const char *second) {
    if (trace < 0 || !control->armed || !control->trace) return;
    static char first[2 * PATH_MAX], last[2 * PATH_MAX], line[5 * PATH_MAX];
    int kept = errno;
    const char *a = shown(first, fd, name), *b = second ? shown(last, other, second) : "";
    int length = snprintf(line, sizeof line, "%s\t%ld\t%s\t%s\n", call, result, a, b);
    raw(SYS_write, trace, line, (size_t)length);
    errno = kept;
}

static void note_told(const char *octets, size_t size) {
    if (trace < 0 || !control->armed || !control->trace) return;
    static char line[PATH_MAX];
    int length = snprintf(line, sizeof line, "tell\t%zu\t", size);
    for (size_t at = 0; at < size && length < (int)sizeof line - 3; at++)
        line[length++] = octets[at] == '\n' ? '|' : octets[at] < ' ' ? ' ' : octets[at];
    line[length++] = '\t';
    line[length++] = '\n';
    raw(SYS_write, trace, line, (size_t)length);
}

static int opened(int at, const char *path, int flags, mode_t mode) {
    if (!strncmp(path, "/proc/", 6) && strstr(path, "/fd/")) {
        int memory = raw(SYS_openat, at, path, flags, mode);
        if (memory >= 0 && memory < (int)sizeof in_memory) in_memory[memory] = 1;
        return memory;
    }
    int what = enter(flags & O_CREAT ? CREATE : (flags & O_ACCMODE) == O_RDONLY ? OPEN : OPEN_WRITE);
    if (what == FAIL) return -1;
    int fd = raw(SYS_openat, at, path, flags, mode);
    if (flags & O_CREAT) note(flags & O_TRUNC ? "truncate" : "create", fd, at, path, 0, NULL);
    leave(what);
    return fd;
}

#define MODE(flags, mode)                     \
    mode_t mode = 0;                          \
    if (flags & (O_CREAT | O_TMPFILE)) {      \
        va_list list;                         \
        va_start(list, flags);                \
        mode = va_arg(list, mode_t);          \
        va_end(list);                         \
    }
int open(const char *path, int flags, ...) { MODE(flags, mode) return opened(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags, mode) return opened(AT_FDCWD, path, flags, mode); }
int openat(int at, const char *path, int flags, ...) { MODE(flags, mode) return opened(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE(flags, mode) return opened(at, path, flags, mode); }

static ssize_t wrote(int fd, const struct iovec *parts, int count, const off_t *where) {
    int socket = is_socket(fd), what = has_disk(fd) ? enter(socket ? TELL : WRITE) : GO;
    if (what == FAIL) return -1;
    struct iovec half[count > 0 ? count : 1];
    if (what == HALFWAY) {
        size_t size = 0, left;
        for (int at = 0; at < count; at++) size += parts[at].iov_len;
        left = size / 2;
        for (int at = 0; at < count; at++) {
            half[at] = parts[at];
            if (half[at].iov_len > left) half[at].iov_len = left;
            left -= half[at].iov_len;
        }
        parts = half;
    }
    /* Before it is: whoever hears it may look at once. */
    if (socket && count > 0) note_told(parts[0].iov_base, parts[0].iov_len);
    ssize_t done = where ? raw(SYS_pwritev, fd, parts, count, *where, 0L) : raw(SYS_writev, fd, parts, count);
    if (!socket) note("write", done, fd, NULL, 0, NULL);
    leave(what);
    return done;
}

ssize_t write(int fd, const void *octets, size_t size) {
    struct iovec part = {(void *)octets, size};
    return wrote(fd, &part, 1, NULL);
}
ssize_t writev(int fd, const struct iovec *parts, int count) { return wrote(fd, parts, count, NULL); }
ssize_t pwrite(int fd, const void *octets, size_t size, off_t where) {
    struct iovec part = {(void *)octets, size};
    return wrote(fd, &part, 1, &where);
}
ssize_t pwrite64(int fd, const void *octets, size_t size, off_t where) { return pwrite(fd, octets, size, where); }
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t where) { return wrote(fd, parts, count, &where); }
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t where) { return wrote(fd, parts, count, &where); }

ssize_t sendto(int fd, const void *octets, size_t size, int flags, const struct sockaddr *to, socklen_t length) {
    int what = enter(TELL);
    if (what == HALFWAY) size /= 2;
    note_told(octets, size);
    ssize_t done = what == FAIL ? -1 : raw(SYS_sendto, fd, octets, size, flags, to, length);
    leave(what);
    return done;
}
ssize_t send(int fd, const void *octets, size_t size, int flags) { return sendto(fd, octets, size, flags, NULL, 0); }

ssize_t copy_file_range(int from, off_t *at, int to, off_t *where, size_t size, unsigned flags) {
    int what = enter(WRITE);
    if (what == HALFWAY) size /= 2;
    ssize_t done = what == FAIL ? -1 : raw(SYS_copy_file_range, from, at, to, where, size, flags);
    note("write", done, to, NULL, 0, NULL);
    leave(what);
    return done;
}

static int renamed(int from, const char *old, int to, const char *new, unsigned flags) {
    int what = enter(NAME);
    if (what == FAIL) return -1;
    int done = raw(SYS_renameat2, from, old, to, new, flags);
    note("rename", done, from, old, to, new);
    leave(what);
    return done;
}
int renameat2(int from, const char *old, int to, const char *new, unsigned flags) { return renamed(from, old, to, new, flags); }
int renameat(int from, const char *old, int to, const char *new) { return renamed(from, old, to, new, 0); }
int rename(const char *old, const char *new) { return renamed(AT_FDCWD, old, AT_FDCWD, new, 0); }

int linkat(int from, const char *old, int to, const char *new, int flags) {
    int what = enter(NAME);
    if (what == FAIL) return -1;
    int done = raw(SYS_linkat, from, old, to, new, flags);
    note("link", done, from, old, to, new);
    leave(what);
    return done;
}
int link(const char *old, const char *new) { return linkat(AT_FDCWD, old, AT_FDCWD, new, 0); }

int mkdirat(int at, const char *path, mode_t mode) {
    int what = enter(NAME);
    if (what == FAIL) return -1;
    int done = raw(SYS_mkdirat, at, path, mode);
    note("mkdir", done, at, path, 0, NULL);
    leave(what);
    return done;
}
int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

int unlinkat(int at, const char *path, int flags) {
    int what = enter(UNLINK);
    if (what == FAIL) return -1;
    int done = raw(SYS_unlinkat, at, path, flags);
    note("unlink", done, at, path, 0, NULL);
    leave(what);
    return done;
}
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

static int synced(long call, int fd) {
    int what = has_disk(fd) ? enter(SYNC) : GO;
    if (what == FAIL) return -1;
    int done = control->no_sync ? 0 : raw(call, fd);
    note("sync", done, fd, NULL, 0, NULL);
    leave(what);
    return done;
}
int fsync(int fd) { return synced(SYS_fsync, fd); }
int fdatasync(int fd) { return synced(SYS_fdatasync, fd); }
int msync(void *start, size_t size, int flags) {
    int what = enter(SYNC);
    if (what == FAIL) return -1;
    int done = control->no_sync ? 0 : raw(SYS_msync, start, size, flags);
    leave(what);
    return done;
}

int ftruncate(int fd, off_t size) {
    int what = has_disk(fd) ? enter(TRUNCATE) : GO;
    if (what == FAIL) return -1;
    int done = raw(SYS_ftruncate, fd, size);
    note("truncate", done, fd, NULL, 0, NULL);
    leave(what);
    return done;
}
int ftruncate64(int fd, off_t size) { return ftruncate(fd, size); }

int fchmod(int fd, mode_t mode) {
    int what = enter(ATTRIBUTE);
    if (what == FAIL) return -1;
    int done = raw(SYS_fchmod, fd, mode);
    leave(what);
    return done;
}
int futimens(int fd, const struct timespec times[2]) {
    int what = enter(ATTRIBUTE);
    if (what == FAIL) return -1;
    int done = raw(SYS_utimensat, fd, NULL, times, 0);
    leave(what);
    return done;
}

#define READDIR(name, type)                                                                   \
    struct type *name(DIR *directory) {                                                       \
        static struct type *(*real)(DIR *);                                                   \
        if (!real) real = (struct type * (*)(DIR *)) dlsym(RTLD_NEXT, #name);                 \
        int what = enter(LIST);                                                               \
        struct type *entry = what == FAIL ? NULL : real(directory);                           \
        leave(what);                                                                          \
        return entry;                                                                         \
    }
READDIR(readdir, dirent)
READDIR(readdir64, dirent64)

#define LOOK(name, counted, parameters, arguments)                                                     \
    int name parameters {                                                                     \
        static int(*real) parameters;                                                         \
        if (!real) real = (int(*) parameters)dlsym(RTLD_NEXT, #name);                         \
        int what = counted, done = what == FAIL ? -1 : real arguments;                        \
        leave(what);                                                                          \
        return done;                                                                          \
    }
LOOK(fstat, has_disk(fd) ? enter(STAT_OPEN) : GO, (int fd, struct stat *to), (fd, to))
LOOK(fstat64, has_disk(fd) ? enter(STAT_OPEN) : GO, (int fd, struct stat64 *to), (fd, to))
LOOK(stat, enter(STAT), (const char *path, struct stat *to), (path, to))
LOOK(stat64, enter(STAT), (const char *path, struct stat64 *to), (path, to))
LOOK(fstatat, enter(STAT), (int at, const char *path, struct stat *to, int flags), (at, path, to, flags))
LOOK(fstatat64, enter(STAT), (int at, const char *path, struct stat64 *to, int flags), (at, path, to, flags))
LOOK(statx, enter(STAT), (int at, const char *path, int flags, unsigned mask, struct statx *to), (at, path, flags, mask, to))

static ssize_t got(long call, int fd, void *to, size_t size, off_t where) {
    int what = is_socket(fd) || !has_disk(fd) ? GO : enter(READ);
    if (what == FAIL) return -1;
    ssize_t done = call == SYS_read ? raw(SYS_read, fd, to, size) : raw(SYS_pread64, fd, to, size, where);
    leave(what);
    return done;
}
ssize_t read(int fd, void *to, size_t size) { return got(SYS_read, fd, to, size, 0); }
ssize_t pread(int fd, void *to, size_t size, off_t where) { return got(SYS_pread64, fd, to, size, where); }
ssize_t pread64(int fd, void *to, size_t size, off_t where) { return got(SYS_pread64, fd, to, size, where); }

/* A descriptor is closed even when that fails. */
int close(int fd) {
    int what = has_disk(fd) ? enter(CLOSE) : GO;
    if (!has_disk(fd)) in_memory[fd] = 0;
    int done = raw(SYS_close, fd);
    leave(what);
    return what == FAIL ? -1 : done;
}

/* Of a file, for the index. */
void *mmap(void *start, size_t size, int protection, int flags, int fd, off_t where) {
    int what = fd >= 0 && has_disk(fd) ? enter(MAP) : GO;
    if (what == FAIL) return MAP_FAILED;
    void *done = (void *)raw(SYS_mmap, start, size, protection, flags, fd, where);
    leave(what);
    return done;
}
void *mmap64(void *start, size_t size, int protection, int flags, int fd, off_t where) {
    return mmap(start, size, protection, flags, fd, where);
}

static int controlled(int fd, int command, void *argument) {
    int locks = command == F_SETLK || command == F_SETLKW || command == F_OFD_SETLK || command == F_OFD_SETLKW;
    int what = locks && has_disk(fd) ? enter(LOCK) : GO;
    if (what == FAIL) return -1;
    int done = raw(SYS_fcntl, fd, command, argument);
    leave(what);
    return done;
}

#define ARGUMENT(command)                                                                    \
    va_list list;                                                                            \
    va_start(list, command);                                                                 \
    void *argument = va_arg(list, void *);                                                   \
    va_end(list);
int fcntl(int fd, int command, ...) { ARGUMENT(command) return controlled(fd, command, argument); }
int fcntl64(int fd, int command, ...) { ARGUMENT(command) return controlled(fd, command, argument); }

/* Where a binding has no name for a call yet. */
long syscall(long number, ...) {
    long a[6];
    va_list list;
    va_start(list, number);
    for (int at = 0; at < 6; at++) a[at] = va_arg(list, long);
    va_end(list);
    if (number == SYS_renameat2)
        return renamed((int)a[0], (const char *)a[1], (int)a[2], (const char *)a[3], (unsigned)a[4]);
    return raw(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
