/*
 * The parent prepares everything (path, descriptors), so that between fork and exec the child makes
 * only calls that are safe there. A pipe that closes on exec brings back why exec failed. The end
 * of a child is heard through a pidfd, so no SIGCHLD handler is needed.
 */
#include "io/process.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/memory.h"
#include "io/poll.h"
#include "io/system.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the child says through the pipe before it gives up. */
struct failure {
	int system_errno;
	int step;
};

static const char *const steps[] = { "process group", "signals", "directory", "output", "exec" };
enum {
	STEP_GROUP,
	STEP_SIGNALS,
	STEP_DIRECTORY,
	STEP_OUTPUT,
	STEP_EXEC
};

struct process {
	struct loop *loop;
	pid_t pid;
	int pidfd;
	struct poll *poll;
	bool is_running;
	process_exit_fn *on_exit;
	void *context;
};

/* What the child needs; made before fork. */
struct launch {
	const char *path;
	const struct process_options *options;
	int log;
	int nothing; /* /dev/null */
	int report;
	pid_t parent;
};

NORETURN static void give_up(const struct launch *launch, int step) {
	struct failure failure = { errno, step };
	(void)!write(launch->report, &failure, sizeof(failure));
	_exit(127);
}

/* Signals as a new program expects them: handlers of ours and the ignored SIGPIPE are not. */
static void reset_signals(const struct launch *launch) {
	struct sigaction action = { .sa_handler = SIG_DFL };
	sigset_t none;
	for (int signal = 1; signal < NSIG; signal++) {
		(void)sigaction(signal, &action, NULL); /* Not for SIGKILL, SIGSTOP and libc's. */
	}
	// NOLINTNEXTLINE(concurrency-mt-unsafe): the child has this one thread
	if (sigemptyset(&none) != 0 || sigprocmask(SIG_SETMASK, &none, NULL) != 0) {
		give_up(launch, STEP_SIGNALS);
	}
}

NORETURN static void run_child(const struct launch *launch) {
	// NOLINTNEXTLINE(performance-no-int-to-ptr)
	char *const *argv = (char *const *)(uintptr_t)launch->options->argv; /* execv's type */
	if (setpgid(0, 0) != 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) {
		give_up(launch, STEP_GROUP);
	}
	if (getppid() != launch->parent) {
		_exit(127); /* The parent died before prctl could have told. */
	}
	reset_signals(launch);
	if (launch->options->directory && chdir(launch->options->directory) != 0) {
		give_up(launch, STEP_DIRECTORY);
	}
	if (dup2(launch->nothing, STDIN_FILENO) < 0 || dup2(launch->log, STDOUT_FILENO) < 0 ||
		dup2(launch->log, STDERR_FILENO) < 0) {
		give_up(launch, STEP_OUTPUT);
	}
	/* Ours close by themselves; these are what our own parent left open in us. */
	(void)close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
	(void)execv(launch->path, argv);
	give_up(launch, STEP_EXEC);
}

/* Forks with all signals blocked, so that no handler of ours runs in the child. */
static pid_t start_child(const struct launch *launch) {
	sigset_t all;
	sigset_t before;
	CHECK(sigfillset(&all) == 0);
	CHECK(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
	pid_t pid = fork();
	if (pid == 0) {
		run_child(launch);
	}
	int reason = errno;
	CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
	errno = reason;
	return pid;
}

/* Waits for exec (the pipe closes) or its failure. */
static int await_exec(int report, pid_t pid, const char *name, struct err *err) {
	struct failure failure = { 0 };
	ssize_t got;
	do {
		got = read(report, &failure, sizeof(failure));
	} while (got < 0 && errno == EINTR);
	if (got == 0) {
		return 0;
	}
	(void)waitpid(pid, NULL, 0);
	if (got != (ssize_t)sizeof(failure)) {
		return err_set(err, ERR_IO, "start %s: the child ended early", name);
	}
	return err_errno(err, failure.system_errno, "start %s: %s", name, steps[failure.step]);
}

static int to_result(const siginfo_t *info) {
	return info->si_code == CLD_EXITED ? info->si_status : -info->si_status;
}

/*
 * Takes the status of a child that ended. Before it is reaped its process id, and with it the
 * group's, cannot be anybody else's: the moment to end what it left behind.
 */
static bool reap(struct process *process, bool wait, int *status) {
	siginfo_t info = { 0 };
	int flags = WEXITED | WNOWAIT | (wait ? 0 : WNOHANG);
	int rc;
	do {
		rc = waitid(P_PID, (id_t)process->pid, &info, flags);
	} while (rc != 0 && errno == EINTR);
	if (rc != 0 || info.si_pid != process->pid) {
		return false;
	}
	(void)kill(-process->pid, SIGKILL);
	(void)waitpid(process->pid, NULL, 0);
	*status = to_result(&info);
	process->is_running = false;
	poll_free(process->poll);
	process->poll = NULL;
	(void)close(process->pidfd);
	process->pidfd = -1;
	return true;
}

static void on_ended(void *context, bool is_readable, bool is_writable) {
	(void)is_readable;
	(void)is_writable;
	struct process *process = context;
	int status = 0;
	if (reap(process, false, &status) && process->on_exit) {
		process->on_exit(process->context, status);
	}
}

static int watch_child(struct loop *loop, pid_t pid, const struct process_options *options,
	struct process **out, struct err *err) {
	int pidfd = pidfd_open(pid, 0); /* Always closes on exec. */
	struct poll *poll = NULL;
	struct process *process = MEMORY_NEW(struct process, 1);
	if (pidfd >= 0) {
		poll = poll_new(loop, pidfd, on_ended, process);
	}
	if (!poll) {
		int rc = err_errno(err, errno, "watch process %ld", (long)pid);
		(void)kill(-pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
		if (pidfd >= 0) {
			(void)close(pidfd);
		}
		free(process);
		return rc;
	}
	*process = (struct process){
		.loop = loop,
		.pid = pid,
		.pidfd = pidfd,
		.poll = poll,
		.is_running = true,
		.on_exit = options->on_exit,
		.context = options->context,
	};
	poll_set(poll, true, false);
	*out = process;
	return 0;
}

/* Opens the descriptors that a launch needs. Returns 0 or ERR_IO; close_launch in either case. */
static int open_launch(struct launch *launch, int *result, struct err *err) {
	const char *log_path = launch->options->log_path;
	int ends[2];
	launch->log = open(log_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (launch->log < 0) {
		return err_errno(err, errno, "open %s", log_path);
	}
	launch->nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (launch->nothing < 0 || pipe2(ends, O_CLOEXEC) != 0) {
		return err_errno(err, errno, "start %s", launch->path);
	}
	*result = ends[0];
	launch->report = ends[1];
	return 0;
}

static void close_fd(int *fd) {
	if (*fd >= 0) {
		(void)close(*fd);
		*fd = -1;
	}
}

int process_start(struct loop *loop, const struct process_options *options, struct process **out,
	struct err *err) {
	AUTO(buf_deinit) struct buf path = { 0 };
	const char *name = options->argv[0];
	struct launch launch = {
		.options = options, .log = -1, .nothing = -1, .report = -1, .parent = getpid()
	};
	int result = -1;
	pid_t pid = -1;

	if (!system_find_program(name, &path)) {
		return err_set(
			err, ERR_IO, "%s not found; install it or add its folder to PATH", name);
	}
	launch.path = buf_text(&path);
	int rc = open_launch(&launch, &result, err);
	if (rc == 0) {
		pid = start_child(&launch);
		rc = pid < 0 ? err_errno(err, errno, "fork for %s", name) : 0;
	}
	close_fd(&launch.log);
	close_fd(&launch.nothing);
	close_fd(&launch.report);
	if (rc == 0) {
		rc = await_exec(result, pid, name, err);
	}
	close_fd(&result);
	return rc == 0 ? watch_child(loop, pid, options, out, err) : rc;
}

pid_t process_pid(const struct process *process) {
	return process->pid;
}

bool process_running(const struct process *process) {
	return process->is_running;
}

void process_signal(struct process *process, int signal) {
	if (process->is_running) {
		(void)kill(-process->pid, signal); /* It may have ended and not been heard yet. */
	}
}

void process_free(struct process *process) {
	if (!process) {
		return;
	}
	int status = 0;
	process_signal(process, SIGKILL);
	if (process->is_running && !reap(process, true, &status)) {
		poll_free(process->poll);
		(void)close(process->pidfd);
	}
	free(process);
}
