/*
 * Child processes: started with their output in a log file, ended with their parent.
 *
 * Owned by one loop. A child gets SIGKILL when we die, however we die.
 */
#ifndef IO_PROCESS_H
#define IO_PROCESS_H

#include "base/err.h"
#include "io/loop.h"

#include <stdbool.h>
#include <sys/types.h>

struct process;
/* Called on the loop when the child ended: its exit code, or -signal. */
typedef void process_exit_fn(void *context, int status);

struct process_options {
	const char *const *argv;  /* NULL-terminated; argv[0] is looked up in PATH. */
	const char *log_path;     /* stdout and stderr are appended there. */
	process_exit_fn *on_exit;
	void *context;
};

/* Returns 0, or ERR_IO when the program cannot be started ("... not found; install package ..."). */
MUST_USE int process_start(struct loop *loop, const struct process_options *options,
	struct process **out, struct err *err);
pid_t process_pid(const struct process *process);
bool process_running(const struct process *process);
void process_signal(struct process *process, int signal);
/* Forgets the child; kills it if it still runs. No on_exit comes after. */
void process_free(struct process *process);

#endif
