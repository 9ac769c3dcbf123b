/*
 * For tests of what must end the process: runs it in a child and reads its standard error.
 */
#ifndef BASE_DEATH_H
#define BASE_DEATH_H

#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* Whether 'run' aborted; what it wrote to standard error is in 'output'. */
static inline int death_of(void (*run)(void), char *output, size_t size) {
	int fds[2];
	if (pipe(fds) != 0) {
		return 0;
	}
	pid_t child = fork();
	if (child == 0) {
		(void)dup2(fds[1], STDERR_FILENO);
		(void)signal(SIGABRT, SIG_DFL);
		run();
		_exit(0);
	}
	(void)close(fds[1]);
	size_t len = 0;
	ssize_t got = 1;
	while (got > 0 && len < size - 1) {
		got = read(fds[0], output + len, size - 1 - len);
		len += got > 0 ? (size_t)got : 0;
	}
	output[len] = '\0';
	(void)close(fds[0]);
	int status = 0;
	(void)waitpid(child, &status, 0);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

#endif
