#include "base/check.h"

#include <execinfo.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define BACKTRACE_MAX 64

void check_failed(const char *file, int line, const char *what) {
	char thread[16] = "?";
	void *frames[BACKTRACE_MAX];

	(void)pthread_getname_np(pthread_self(), thread, sizeof(thread));
	(void)fprintf(stderr, "%s:%d: check failed in thread %s: %s\n", file, line, thread, what);
	(void)fflush(stderr);
	backtrace_symbols_fd(frames, backtrace(frames, BACKTRACE_MAX), STDERR_FILENO);
	abort();
}
