/* Writes down, in one order for all threads and processes, what reaches the disk and the sockets,
 * and lets chosen calls fail. Loaded by LD_PRELOAD; tests/crash/recording.py reads the log,
 * tests/crash/faults.py writes the orders.
 *
 *   YIZHAN_RECORD          the log; beside it stands LOG.turn, the lock and the counter
 *   YIZHAN_RECORD_FOLDERS  folders, separated by colons: only what lies below them is recorded
 *   YIZHAN_FAULTS          a file of orders, read again whenever it has been replaced; a line each:
 *                              CALL ERRNO AFTER COUNT PATH   the AFTER+1st to AFTER+COUNTth such
 *                                                            call on a path that holds PATH fails
 *                              space OCTETS 0 0 PATH         what statvfs says is free there
 *                              clock SECONDS 0 0 -           how far the clock of the day is off
 *                          CALL: write, fsync, read, open, accept, fork
 *
 * A change of a file and its record are made under one lock, so their order is the true one. Of an
 * fsync, which is long, beginning and end are recorded: what was written in between may be left out
 * by it. A socket's record is written before the octets go, so what stands before it in the log had
 * happened when the peer heard.
 *
 * Only system calls are used below: a wrapper that called the library could meet itself.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum {
    CREATE = 1, WRITE, TRUNCATE, RENAME, LINK, UNLINK, MKDIR, RMDIR, FSYNC_BEGIN, FSYNC_END,
    SEND, MMAP, SYMLINK, ALLOCATE, UNKNOWN
};

struct record {
    uint32_t size; /* with this head */
    uint32_t kind;
    uint64_t number, inode;
    int64_t offset, length; /* FSYNC_END: number of the beginning; SEND: the peer's port */
    uint32_t pid, path_size, other_size, data_size;
};

struct turn {
    volatile int state; /* 0 nobody was here, 1 being made, 2 ready */
    volatile uint64_t number;
    pthread_mutex_t lock;
};

static struct turn *turn;
static int ready;
static char log_path[PATH_MAX], folders[8192], faults_path[PATH_MAX];

/* ---- the log ------------------------------------------------------------------------------- */

static int raw_open(const char *path, int flags, mode_t mode) {
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, mode);
}

__attribute__((constructor)) static void begin(void) {
    const char *named = getenv("YIZHAN_RECORD"), *below = getenv("YIZHAN_RECORD_FOLDERS");
    const char *orders = getenv("YIZHAN_FAULTS");
    if (orders) snprintf(faults_path, sizeof faults_path, "%s", orders);
    if (below) snprintf(folders, sizeof folders, "%s", below);
    if (named && below) {
        char path[PATH_MAX + 8];
        snprintf(log_path, sizeof log_path, "%s", named);
        snprintf(path, sizeof path, "%s.turn", named);
        int file = raw_open(path, O_RDWR | O_CREAT, 0666);
        if (file < 0 || syscall(SYS_ftruncate, file, sizeof *turn)) abort();
        turn = (void *)syscall(SYS_mmap, NULL, sizeof *turn, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        if (turn == MAP_FAILED) abort();
        syscall(SYS_close, file);
        if (__sync_bool_compare_and_swap(&turn->state, 0, 1)) {
            pthread_mutexattr_t kind;
            pthread_mutexattr_init(&kind);
            pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED);
            pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
            pthread_mutex_init(&turn->lock, &kind);
            __sync_synchronize();
            turn->state = 2;
        }
        while (turn->state != 2) sched_yield();
    }
    ready = 1;
}

static void take(void) {
    if (turn && pthread_mutex_lock(&turn->lock) == EOWNERDEAD) pthread_mutex_consistent(&turn->lock);
}

static void give(void) {
    if (turn) pthread_mutex_unlock(&turn->lock);
}

/* Append one record; the caller has the turn. Returns its number. */
static uint64_t note(int kind, uint64_t inode, int64_t offset, int64_t length, const char *path,
                     const char *other, const struct iovec *data, int pieces, size_t octets) {
    struct iovec parts[3 + 64];
    struct record head = {.kind = (uint32_t)kind, .inode = inode, .offset = offset, .length = length};
    head.number = ++turn->number;
    head.pid = (uint32_t)syscall(SYS_getpid);
    head.path_size = path ? (uint32_t)strlen(path) : 0;
    head.other_size = other ? (uint32_t)strlen(other) : 0;
    head.data_size = (uint32_t)octets;
    head.size = (uint32_t)(sizeof head + head.path_size + head.other_size + octets);
    int count = 0;
    parts[count++] = (struct iovec){&head, sizeof head};
    parts[count++] = (struct iovec){(void *)path, head.path_size};
    parts[count++] = (struct iovec){(void *)other, head.other_size};
    for (int i = 0; i < pieces && octets; i++) {
        size_t some = data[i].iov_len < octets ? data[i].iov_len : octets;
        if (count == 67) abort(); /* more pieces than anybody writes at once */
        parts[count++] = (struct iovec){data[i].iov_base, some};
        octets -= some;
    }
    int file = raw_open(log_path, O_WRONLY | O_CREAT | O_APPEND, 0666);
    if (file < 0) {
        /* Out of descriptors in a test of just that: then nothing is promised of the log. */
        return head.number;
    }
    if (syscall(SYS_writev, file, parts, count) != (long)head.size) abort();
    syscall(SYS_close, file);
    return head.number;
}

static int is_ours(const char *path) {
    for (const char *one = folders; *one;) {
        size_t length = strcspn(one, ":");
        if (length && !strncmp(path, one, length) && (path[length] == '/' || !path[length])) return 1;
        one += length + (one[length] == ':');
    }
    return 0;
}

/* The path behind a descriptor; 0 if it is not below our folders. A file without a name says so. */
static int path_of(int file, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    long size = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_MAX - 1);
    if (size < 0) return 0;
    path[size] = 0;
    return path[0] == '/' && is_ours(path);
}

/* Folder made plain, last name kept: the name itself may be a link or not exist. */
static int absolute(int at, const char *path, char *whole) {
    char folder[PATH_MAX], before[PATH_MAX];
    const char *name = strrchr(path, '/');
    name = name ? name + 1 : path;
    size_t length = (size_t)(name - path);
    memcpy(before, path, length);
    before[length] = 0;
    int file = (int)syscall(SYS_openat, at, length ? before : ".", O_PATH | O_CLOEXEC | O_DIRECTORY);
    if (file < 0) return 0;
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    long size = syscall(SYS_readlinkat, AT_FDCWD, link, folder, sizeof folder - 1);
    syscall(SYS_close, file);
    if (size < 0) return 0;
    folder[size] = 0;
    if (snprintf(whole, PATH_MAX, "%s/%s", folder, name) >= PATH_MAX) return 0;
    return is_ours(whole);
}

static uint64_t inode_of(int file) {
    struct stat found;
    return fstat(file, &found) ? 0 : found.st_ino;
}

static uint64_t inode_at(const char *path) {
    struct stat found;
    return fstatat(AT_FDCWD, path, &found, AT_SYMLINK_NOFOLLOW) ? 0 : found.st_ino;
}

/* ---- orders to fail ------------------------------------------------------------------------ */

struct order {
    char call[12], path[200];
    long long number, after, count;
};

static struct order orders[32];
static int order_count;
static struct timespec orders_of;
static uint64_t orders_inode;
static pthread_mutex_t orders_lock = PTHREAD_MUTEX_INITIALIZER;
static __thread int reading_orders;

static void read_orders(void) {
    struct stat found;
    if (fstatat(AT_FDCWD, faults_path, &found, 0)) {
        order_count = 0;
        orders_inode = 0;
        return;
    }
    if (found.st_ino == orders_inode && !memcmp(&found.st_mtim, &orders_of, sizeof orders_of)) return;
    char text[8192];
    int file = raw_open(faults_path, O_RDONLY, 0);
    if (file < 0) return; /* out of descriptors: the last orders stand */
    long size = syscall(SYS_read, file, text, sizeof text - 1);
    syscall(SYS_close, file);
    text[size > 0 ? size : 0] = 0;
    orders_inode = found.st_ino;
    orders_of = found.st_mtim;
    order_count = 0;
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n")) && order_count < 32;) {
        struct order *one = &orders[order_count];
        if (sscanf(line, "%11s %lld %lld %lld %199s", one->call, &one->number, &one->after,
                   &one->count, one->path) == 5)
            order_count++;
    }
}

/* The error that this call shall give; 0: none. */
static int ordered(const char *call, const char *path) {
    if (!ready || !faults_path[0] || reading_orders) return 0;
    reading_orders = 1;
    pthread_mutex_lock(&orders_lock);
    read_orders();
    int result = 0;
    for (int i = 0; i < order_count && !result; i++) {
        struct order *one = &orders[i];
        if (strcmp(one->call, call) || (strcmp(one->path, "-") && !strstr(path, one->path))) continue;
        if (one->after > 0) { one->after--; continue; }
        if (one->count == 0) continue;
        if (one->count > 0) one->count--;
        result = (int)one->number;
    }
    pthread_mutex_unlock(&orders_lock);
    reading_orders = 0;
    return result;
}

static long long ordered_number(const char *call, const char *path, long long otherwise) {
    if (!ready || !faults_path[0] || reading_orders) return otherwise;
    reading_orders = 1;
    pthread_mutex_lock(&orders_lock);
    read_orders();
    long long result = otherwise;
    for (int i = 0; i < order_count; i++)
        if (!strcmp(orders[i].call, call) && (!strcmp(orders[i].path, "-") || strstr(path, orders[i].path)))
            result = orders[i].number;
    pthread_mutex_unlock(&orders_lock);
    reading_orders = 0;
    return result;
}

static int fails(const char *call, int file) {
    char path[PATH_MAX];
    if (!ready || !faults_path[0]) return 0;
    if (!path_of(file, path)) return 0;
    int error = ordered(call, path);
    if (error) errno = error;
    return error;
}

/* ---- opening ------------------------------------------------------------------------------- */

static int do_open(int at, const char *path, int flags, mode_t mode) {
    char whole[PATH_MAX];
    int unnamed = (flags & O_TMPFILE) == O_TMPFILE;
    if (!ready || !absolute(at, path, whole))
        return (int)syscall(SYS_openat, at, path, flags, mode);
    int error = ordered("open", whole);
    if (error) { errno = error; return -1; }
    if (!turn || unnamed || !(flags & (O_CREAT | O_TRUNC)))
        return (int)syscall(SYS_openat, at, path, flags, mode);
    take();
    int existed = inode_at(whole) != 0;
    int file = (int)syscall(SYS_openat, at, path, flags, mode);
    int kept = errno;
    if (file >= 0) {
        if (!existed) note(CREATE, inode_of(file), 0, 0, whole, NULL, NULL, 0, 0);
        else if (flags & O_TRUNC) note(TRUNCATE, inode_of(file), 0, 0, whole, NULL, NULL, 0, 0);
    }
    give();
    errno = kept;
    return file;
}

#define MODE_OF(flags, mode) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | O_TMPFILE)) { \
        va_list list; va_start(list, flags); mode = (mode_t)va_arg(list, int); va_end(list); \
    }

int open(const char *path, int flags, ...) { MODE_OF(flags, mode) return do_open(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE_OF(flags, mode) return do_open(AT_FDCWD, path, flags, mode); }
int openat(int at, const char *path, int flags, ...) { MODE_OF(flags, mode) return do_open(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE_OF(flags, mode) return do_open(at, path, flags, mode); }
int __open_2(const char *path, int flags) { return do_open(AT_FDCWD, path, flags, 0); }
int __open64_2(const char *path, int flags) { return do_open(AT_FDCWD, path, flags, 0); }
int __openat_2(int at, const char *path, int flags) { return do_open(at, path, flags, 0); }
int __openat64_2(int at, const char *path, int flags) { return do_open(at, path, flags, 0); }
int creat(const char *path, mode_t mode) { return do_open(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return do_open(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }

/* stdio writes by calls of its own that nobody can see: what it has made is read at its end. */
static FILE *do_fopen(const char *name, const char *path, const char *mode) {
    FILE *(*real)(const char *, const char *) = dlsym(RTLD_NEXT, name);
    char whole[PATH_MAX];
    if (!ready || !turn || mode[0] == 'r' || !absolute(AT_FDCWD, path, whole)) return real(path, mode);
    int flags = O_WRONLY | O_CREAT | (mode[0] == 'w' ? O_TRUNC : 0);
    int file = do_open(AT_FDCWD, path, flags | O_CLOEXEC, 0666);
    if (file < 0) return NULL;
    syscall(SYS_close, file);
    return real(path, mode);
}

FILE *fopen(const char *path, const char *mode) { return do_fopen("fopen", path, mode); }
FILE *fopen64(const char *path, const char *mode) { return do_fopen("fopen64", path, mode); }

int fclose(FILE *stream) {
    int (*real)(FILE *) = dlsym(RTLD_NEXT, "fclose");
    char path[PATH_MAX];
    int file = fileno(stream), flags = 0;
    if (file >= 0) flags = (int)syscall(SYS_fcntl, file, F_GETFL);
    if (!ready || !turn || file < 0 || (flags & O_ACCMODE) == O_RDONLY || !path_of(file, path))
        return real(stream);
    fflush(stream);
    take();
    int again = raw_open(path, O_RDONLY, 0);
    if (again >= 0) {
        static char octets[1 << 20];
        long size;
        int64_t offset = 0;
        while ((size = syscall(SYS_pread64, again, octets, sizeof octets, offset)) > 0) {
            struct iovec data = {octets, (size_t)size};
            note(WRITE, inode_of(again), offset, size, path, NULL, &data, 1, (size_t)size);
            offset += size;
        }
        syscall(SYS_close, again);
    }
    give();
    return real(stream);
}

/* ---- writing ------------------------------------------------------------------------------- */

static int peer_of(int file) {
    struct sockaddr_storage name;
    socklen_t size = sizeof name;
    if (syscall(SYS_getpeername, file, &name, &size)) return 0;
    if (name.ss_family == AF_INET) return ntohs(((struct sockaddr_in *)&name)->sin_port);
    if (name.ss_family == AF_INET6) return ntohs(((struct sockaddr_in6 *)&name)->sin6_port);
    return 0;
}

static void note_send(int file, size_t octets) {
    int kept = errno, port = turn ? peer_of(file) : 0;
    if (port) {
        take();
        note(SEND, 0, port, (int64_t)octets, NULL, NULL, NULL, 0, 0);
        give();
    }
    errno = kept;
}

static size_t total(const struct iovec *data, int pieces) {
    size_t sum = 0;
    for (int i = 0; i < pieces; i++) sum += data[i].iov_len;
    return sum;
}

/* offset -1: at the file's own place. */
static ssize_t do_write(int file, const struct iovec *data, int pieces, int64_t offset) {
    char path[PATH_MAX];
    if (!ready || !path_of(file, path)) {
        if (ready && offset < 0) note_send(file, total(data, pieces));
        if (offset < 0) return syscall(SYS_writev, file, data, pieces);
        return syscall(SYS_pwritev, file, data, pieces, (long)offset, (long)0);
    }
    int error = ordered("write", path);
    if (error) { errno = error; return -1; }
    if (!turn) {
        if (offset < 0) return syscall(SYS_writev, file, data, pieces);
        return syscall(SYS_pwritev, file, data, pieces, (long)offset, (long)0);
    }
    take();
    ssize_t done = offset < 0 ? syscall(SYS_writev, file, data, pieces)
                              : syscall(SYS_pwritev, file, data, pieces, (long)offset, (long)0);
    int kept = errno;
    if (done > 0) {
        if (offset < 0) offset = syscall(SYS_lseek, file, 0, SEEK_CUR) - done;
        note(WRITE, inode_of(file), offset, done, path, NULL, data, pieces, (size_t)done);
    }
    give();
    errno = kept;
    return done;
}

ssize_t write(int file, const void *octets, size_t size) {
    struct iovec data = {(void *)octets, size};
    if (!ready) return syscall(SYS_write, file, octets, size);
    return do_write(file, &data, 1, -1);
}
ssize_t pwrite(int file, const void *octets, size_t size, off_t offset) {
    struct iovec data = {(void *)octets, size};
    return do_write(file, &data, 1, offset);
}
ssize_t pwrite64(int file, const void *octets, size_t size, off64_t offset) {
    struct iovec data = {(void *)octets, size};
    return do_write(file, &data, 1, offset);
}
ssize_t writev(int file, const struct iovec *data, int pieces) { return do_write(file, data, pieces, -1); }
ssize_t pwritev(int file, const struct iovec *data, int pieces, off_t offset) { return do_write(file, data, pieces, offset); }
ssize_t pwritev64(int file, const struct iovec *data, int pieces, off64_t offset) { return do_write(file, data, pieces, offset); }

/* Copies inside the kernel would hide the octets: who asks is told to copy by hand. */
ssize_t sendfile(int to, int from, off_t *offset, size_t size) {
    char path[PATH_MAX];
    if (ready && turn && path_of(to, path)) { errno = EINVAL; return -1; }
    return syscall(SYS_sendfile, to, from, offset, size);
}
ssize_t sendfile64(int to, int from, off64_t *offset, size_t size) { return sendfile(to, from, offset, size); }
ssize_t copy_file_range(int from, off64_t *at, int to, off64_t *offset, size_t size, unsigned flags) {
    char path[PATH_MAX];
    if (ready && turn && path_of(to, path)) { errno = EXDEV; return -1; }
    return syscall(SYS_copy_file_range, from, at, to, offset, size, flags);
}
ssize_t splice(int from, off64_t *at, int to, off64_t *offset, size_t size, unsigned flags) {
    char path[PATH_MAX];
    if (ready && turn && path_of(to, path)) { errno = EINVAL; return -1; }
    return syscall(SYS_splice, from, at, to, offset, size, flags);
}

ssize_t send(int file, const void *octets, size_t size, int flags) {
    if (ready) note_send(file, size);
    return syscall(SYS_sendto, file, octets, size, flags, NULL, 0);
}
ssize_t sendmsg(int file, const struct msghdr *message, int flags) {
    if (ready) note_send(file, total(message->msg_iov, (int)message->msg_iovlen));
    return syscall(SYS_sendmsg, file, message, flags);
}

static int do_truncate(int file, int64_t length) {
    char path[PATH_MAX];
    if (!ready || !path_of(file, path)) return (int)syscall(SYS_ftruncate, file, (long)length);
    int error = ordered("write", path);
    if (error) { errno = error; return -1; }
    if (!turn) return (int)syscall(SYS_ftruncate, file, (long)length);
    take();
    int result = (int)syscall(SYS_ftruncate, file, (long)length);
    int kept = errno;
    if (!result) note(TRUNCATE, inode_of(file), 0, length, path, NULL, NULL, 0, 0);
    give();
    errno = kept;
    return result;
}
int ftruncate(int file, off_t length) { return do_truncate(file, length); }
int ftruncate64(int file, off64_t length) { return do_truncate(file, length); }

static int truncate_at(const char *path, int64_t length) {
    int file = raw_open(path, O_WRONLY, 0);
    if (file < 0) return -1;
    int result = do_truncate(file, length), kept = errno;
    syscall(SYS_close, file);
    errno = kept;
    return result;
}
int truncate(const char *path, off_t length) { return truncate_at(path, length); }
int truncate64(const char *path, off64_t length) { return truncate_at(path, length); }

static int do_allocate(int file, int mode, int64_t offset, int64_t length) {
    char path[PATH_MAX];
    if (!ready || !path_of(file, path)) return (int)syscall(SYS_fallocate, file, mode, (long)offset, (long)length);
    int error = ordered("write", path);
    if (error) { errno = error; return -1; }
    if (!turn) return (int)syscall(SYS_fallocate, file, mode, (long)offset, (long)length);
    take();
    int result = (int)syscall(SYS_fallocate, file, mode, (long)offset, (long)length);
    int kept = errno;
    if (!result) note(mode ? UNKNOWN : ALLOCATE, inode_of(file), offset, length, path, NULL, NULL, 0, 0);
    give();
    errno = kept;
    return result;
}
int fallocate(int file, int mode, off_t offset, off_t length) { return do_allocate(file, mode, offset, length); }
int fallocate64(int file, int mode, off64_t offset, off64_t length) { return do_allocate(file, mode, offset, length); }
int posix_fallocate(int file, off_t offset, off_t length) { return do_allocate(file, 0, offset, length) ? errno : 0; }
int posix_fallocate64(int file, off64_t offset, off64_t length) { return do_allocate(file, 0, offset, length) ? errno : 0; }

void *mmap(void *where, size_t size, int rights, int flags, int file, off_t offset) {
    char path[PATH_MAX];
    if (ready && turn && file >= 0 && (flags & MAP_SHARED) && (rights & PROT_WRITE) && path_of(file, path)) {
        take();
        note(MMAP, inode_of(file), offset, (int64_t)size, path, NULL, NULL, 0, 0);
        give();
    }
    return (void *)syscall(SYS_mmap, where, size, rights, flags, file, offset);
}
void *mmap64(void *where, size_t size, int rights, int flags, int file, off64_t offset) {
    return mmap(where, size, rights, flags, file, offset);
}

/* ---- making it last ------------------------------------------------------------------------ */

static int do_sync(long number, int file) {
    char path[PATH_MAX];
    if (!ready || !path_of(file, path)) return (int)syscall(number, file);
    int error = ordered("fsync", path);
    if (error) { errno = error; return -1; }
    if (!turn) return (int)syscall(number, file);
    uint64_t inode = inode_of(file);
    take();
    uint64_t began = note(FSYNC_BEGIN, inode, 0, 0, path, NULL, NULL, 0, 0);
    give();
    int result = (int)syscall(number, file), kept = errno;
    if (!result) {
        take();
        note(FSYNC_END, inode, (int64_t)began, 0, path, NULL, NULL, 0, 0);
        give();
    }
    errno = kept;
    return result;
}
int fsync(int file) { return do_sync(SYS_fsync, file); }
int fdatasync(int file) { return do_sync(SYS_fdatasync, file); }
/* Promises nothing of sizes and names, so it is not recorded; nor are sync and syncfs, on which
 * nothing here relies. */

/* ---- names --------------------------------------------------------------------------------- */

static int do_rename(int from_at, const char *from, int to_at, const char *to, unsigned flags) {
    char before[PATH_MAX], after[PATH_MAX];
    int ours = ready && absolute(to_at, to, after);
    ours = (ready && absolute(from_at, from, before)) || ours;
    if (!ours || !turn) return (int)syscall(SYS_renameat2, from_at, from, to_at, to, flags);
    take();
    uint64_t inode = inode_at(before);
    int result = (int)syscall(SYS_renameat2, from_at, from, to_at, to, flags);
    int kept = errno;
    if (!result) note(flags > 1 ? UNKNOWN : RENAME, inode, 0, 0, before, after, NULL, 0, 0);
    give();
    errno = kept;
    return result;
}
int rename(const char *from, const char *to) { return do_rename(AT_FDCWD, from, AT_FDCWD, to, 0); }
int renameat(int from_at, const char *from, int to_at, const char *to) { return do_rename(from_at, from, to_at, to, 0); }
int renameat2(int from_at, const char *from, int to_at, const char *to, unsigned flags) { return do_rename(from_at, from, to_at, to, flags); }

int linkat(int from_at, const char *from, int to_at, const char *to, int flags) {
    char before[PATH_MAX], after[PATH_MAX];
    int ours = ready && turn && absolute(to_at, to, after);
    if (!ours) return (int)syscall(SYS_linkat, from_at, from, to_at, to, flags);
    if (!absolute(from_at, from, before)) before[0] = 0;
    take();
    int result = (int)syscall(SYS_linkat, from_at, from, to_at, to, flags), kept = errno;
    if (!result) note(LINK, inode_at(after), 0, 0, before, after, NULL, 0, 0);
    give();
    errno = kept;
    return result;
}
int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }
int symlinkat(const char *target, int at, const char *path) {
    char whole[PATH_MAX];
    if (!ready || !turn || !absolute(at, path, whole)) return (int)syscall(SYS_symlinkat, target, at, path);
    take();
    int result = (int)syscall(SYS_symlinkat, target, at, path), kept = errno;
    if (!result) note(SYMLINK, inode_at(whole), 0, 0, whole, target, NULL, 0, 0);
    give();
    errno = kept;
    return result;
}
int symlink(const char *target, const char *path) { return symlinkat(target, AT_FDCWD, path); }

static int do_unlink(int at, const char *path, int flags) {
    char whole[PATH_MAX];
    if (!ready || !turn || !absolute(at, path, whole)) return (int)syscall(SYS_unlinkat, at, path, flags);
    take();
    uint64_t inode = inode_at(whole);
    int result = (int)syscall(SYS_unlinkat, at, path, flags), kept = errno;
    if (!result) note(flags & AT_REMOVEDIR ? RMDIR : UNLINK, inode, 0, 0, whole, NULL, NULL, 0, 0);
    give();
    errno = kept;
    return result;
}
int unlink(const char *path) { return do_unlink(AT_FDCWD, path, 0); }
int unlinkat(int at, const char *path, int flags) { return do_unlink(at, path, flags); }
int rmdir(const char *path) { return do_unlink(AT_FDCWD, path, AT_REMOVEDIR); }
int remove(const char *path) {
    int result = do_unlink(AT_FDCWD, path, 0);
    return result && errno == EISDIR ? do_unlink(AT_FDCWD, path, AT_REMOVEDIR) : result;
}
int mkdirat(int at, const char *path, mode_t mode) {
    char whole[PATH_MAX], plain[PATH_MAX];
    size_t length = strlen(path);
    snprintf(plain, sizeof plain, "%s", path);
    while (length > 1 && plain[length - 1] == '/') plain[--length] = 0;
    if (!ready || !turn || !absolute(at, plain, whole)) return (int)syscall(SYS_mkdirat, at, path, mode);
    take();
    int result = (int)syscall(SYS_mkdirat, at, path, mode), kept = errno;
    if (!result) note(MKDIR, inode_at(whole), 0, 0, whole, NULL, NULL, 0, 0);
    give();
    errno = kept;
    return result;
}
int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

/* ---- only to fail -------------------------------------------------------------------------- */

ssize_t read(int file, void *octets, size_t size) {
    if (fails("read", file)) return -1;
    return syscall(SYS_read, file, octets, size);
}
ssize_t pread(int file, void *octets, size_t size, off_t offset) {
    if (fails("read", file)) return -1;
    return syscall(SYS_pread64, file, octets, size, (long)offset);
}
ssize_t pread64(int file, void *octets, size_t size, off64_t offset) {
    if (fails("read", file)) return -1;
    return syscall(SYS_pread64, file, octets, size, (long)offset);
}
int accept4(int file, struct sockaddr *address, socklen_t *size, int flags) {
    int error = ordered("accept", "");
    if (error) { errno = error; return -1; }
    return (int)syscall(SYS_accept4, file, address, size, flags);
}
int accept(int file, struct sockaddr *address, socklen_t *size) { return accept4(file, address, size, 0); }
pid_t fork(void) {
    static pid_t (*real)(void);
    int error = ordered("fork", "");
    if (error) { errno = error; return -1; }
    if (!real) real = dlsym(RTLD_NEXT, "fork");
    return real();
}
/* A wrapper cannot return twice into its caller's frame; a fork serves as well. */
pid_t vfork(void) { return fork(); }

static int say_free(const char *path, struct statvfs *found) {
    int (*real)(const char *, struct statvfs *) = dlsym(RTLD_NEXT, "statvfs");
    int result = real(path, found);
    if (result) return result;
    long long octets = ordered_number("space", path, -1);
    if (octets >= 0) found->f_bavail = found->f_bfree = (fsblkcnt_t)(octets / (long long)found->f_frsize);
    return 0;
}
int statvfs(const char *path, struct statvfs *found) { return say_free(path, found); }
int statvfs64(const char *path, struct statvfs64 *found) { return say_free(path, (struct statvfs *)found); }

int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = (int)syscall(SYS_clock_gettime, clock, now);
    if (!result && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += ordered_number("clock", "-", 0);
    return result;
}
int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec exact;
    if (clock_gettime(CLOCK_REALTIME, &exact)) return -1;
    *now = (struct timeval){exact.tv_sec, exact.tv_nsec / 1000};
    (void)zone;
    return 0;
}
time_t time(time_t *kept) {
    struct timespec exact;
    if (clock_gettime(CLOCK_REALTIME, &exact)) return (time_t)-1;
    if (kept) *kept = exact.tv_sec;
    return exact.tv_sec;
}
