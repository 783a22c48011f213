// Loaded before a server's own library: while the file that FLOWSTATE_DISK_FULL names is there, the
// server's tables cannot grow, as on a disk that is full. What is written where a file has room
// already goes on, and so do logs, as if they were on another disk.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static const char *flag;

__attribute__((constructor)) static void read_flag(void) {
    const char *name = getenv("FLOWSTATE_DISK_FULL");
    flag = name ? strdup(name) : NULL;
}

// Whether a file of tables would have to grow to this end, and may not.
static int is_full(int file, off_t end) {
    char link[64], path[4096];
    struct stat now;
    if (!flag || access(flag, F_OK) != 0) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    if (!strstr(path, "/base/") && !strstr(path, ".ibd")) return 0;
    return fstat(file, &now) == 0 && end > now.st_size;
}

static off_t total(const struct iovec *parts, int count) {
    off_t sum = 0;
    for (int at = 0; at < count; at++) sum += parts[at].iov_len;
    return sum;
}

// `name`, and the same with the name that programs with large files are linked to.
#define BOTH(result, name, parameters, arguments, end, refusal)                                   \
    result name parameters {                                                                       \
        static result(*next) parameters;                                                           \
        if (!next) next = (result(*) parameters)dlsym(RTLD_NEXT, #name);                           \
        if (is_full(file, end)) refusal;                                                           \
        return next arguments;                                                                     \
    }                                                                                              \
    result name##64 parameters __attribute__((alias(#name)));

BOTH(ssize_t, pwrite, (int file, const void *data, size_t size, off_t at), (file, data, size, at),
     at + (off_t)size, { errno = ENOSPC; return -1; })
BOTH(ssize_t, pwritev, (int file, const struct iovec *parts, int count, off_t at),
     (file, parts, count, at), at + total(parts, count), { errno = ENOSPC; return -1; })
BOTH(int, fallocate, (int file, int mode, off_t at, off_t size), (file, mode, at, size), at + size,
     { errno = ENOSPC; return -1; })
BOTH(int, posix_fallocate, (int file, off_t at, off_t size), (file, at, size), at + size,
     return ENOSPC)
BOTH(int, ftruncate, (int file, off_t size), (file, size), size, { errno = ENOSPC; return -1; })
