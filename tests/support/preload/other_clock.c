/* A clock that differs from the machine's by the whole seconds that the file OTHER_CLOCK holds, as a number of eight
   bytes; it may be changed at any time. Only the time of day is touched: what waits for a while is not disturbed. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *shift_s;
static int (*real)(clockid_t, struct timespec *);

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("OTHER_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *seen = file < 0 ? MAP_FAILED : mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);

    real = (int (*)(clockid_t, struct timespec *)) dlsym(RTLD_NEXT, "clock_gettime");
    if (file >= 0)
        close(file);
    if (seen != MAP_FAILED)
        shift_s = seen;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int answer = real(clock, now);

    if (answer == 0 && clock == CLOCK_REALTIME && shift_s)
        now->tv_sec += *shift_s;
    return answer;
}
