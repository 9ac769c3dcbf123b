/*
 * Child processes: started with their output in a log file, ended with their parent.
 *
 * Owned by one loop, whose thread must be one that lives as long as this process (main): the kernel
 * ties the child's death to the thread that started it. A child gets SIGKILL when we die, however
 * we die. It has its own process group, so that a terminal's Ctrl-C reaches only us; its standard
 * input is /dev/null; it inherits no other descriptor.
 */
#ifndef IO_PROCESS_H
#define IO_PROCESS_H

#include "base/err.h"
#include "io/loop.h"

#include <stdbool.h>
#include <sys/types.h>

struct process;
/*
 * Called on the loop when the child ended: its exit code, or -signal. What it started itself and
 * left in its group has been killed.
 */
typedef void process_exit_fn(void *context, int status);

struct process_options {
	const char *const *argv; /* NULL-terminated; argv[0] is looked up in PATH. */
	const char *log_path;    /* stdout and stderr are appended there (made with mode 0600). */
	const char *directory;   /* Where it runs; NULL: where we do. */
	process_exit_fn *on_exit;
	void *context;
};

/* Returns 0, or ERR_IO when the program cannot be started ("... not found; install package ...").
 */
MUST_USE int process_start(struct loop *loop, const struct process_options *options,
	struct process **out, struct err *err);
/* The child's id, also after it ended. */
pid_t process_pid(const struct process *process);
bool process_running(const struct process *process);
/* Signals the child's group; nothing happens when the child has ended. */
void process_signal(struct process *process, int signal);
/* Forgets the child; kills it if it still runs. No on_exit comes after. */
void process_free(struct process *process);

#endif
