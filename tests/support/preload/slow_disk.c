/* A disk that takes long to make a file durable: each fdatasync sleeps SLOW_DISK_MS first. PostgreSQL syncs its log by
   fdatasync, and its tables by fsync, which stays as fast as it is. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

int fdatasync(int file)
{
    static int (*real)(int);
    const char *ms = getenv("SLOW_DISK_MS");

    if (!real)
        real = (int (*)(int)) dlsym(RTLD_NEXT, "fdatasync");
    usleep(1000 * (ms ? atoi(ms) : 0));
    return real(file);
}
