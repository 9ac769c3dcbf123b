#include "io/process.h"

#include "base/test.h"
#include "io/test_folder.h"
#include "io/test_pair.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct child {
	struct loop *loop;
	struct process *process;
	char folder[64];
	struct buf log;
	int exits;
	int status;
};

static void exited(void *context, int status) {
	struct child *child = context;
	child->exits++;
	child->status = status;
}

static void child_init(struct child *child) {
	*child = (struct child){ .loop = loop_new(clock_system()) };
	test_folder_make(child->folder);
	(void)test_folder_path(&child->log, child->folder, "log");
}

static int child_start(struct child *child, const char *const *argv, struct err *err) {
	struct process_options options = {
		.argv = argv,
		.log_path = buf_text(&child->log),
		.directory = child->folder,
		.on_exit = exited,
		.context = child,
	};
	return process_start(child->loop, &options, &child->process, err);
}

static void child_sh(struct child *child, const char *script) {
	const char *const argv[] = { "sh", "-c", script, NULL };
	struct err err = { 0 };
	assert_ok(child_start(child, argv, &err), err);
	assert_true(process_running(child->process));
	assert_true(process_pid(child->process) > 0);
}

static void child_deinit(struct child *child) {
	process_free(child->process);
	loop_free(child->loop);
	test_folder_remove(child->folder);
	buf_deinit(&child->log);
}

/* What the child wrote so far, in 'out'. */
static struct str output(const struct child *child, struct buf *out) {
	struct err err = { 0 };
	buf_reset(out);
	assert_ok(file_read(buf_text(&child->log), 65536, out, &err), err);
	return buf_str(out);
}

static void tells_the_exit_code_and_keeps_the_output(void **state) {
	(void)state;
	struct child child;
	AUTO(buf_deinit) struct buf text = { 0 };
	AUTO(buf_deinit) struct buf expected = { 0 };
	child_init(&child);

	child_sh(&child, "echo to stdout; echo to stderr >&2; pwd; cat; exit 7");
	TEST_RUN_UNTIL(child.loop, child.exits);
	assert_int_equal(child.status, 7);
	assert_false(process_running(child.process));
	process_signal(child.process, SIGKILL);
	buf_printf(&expected, "to stdout\nto stderr\n%s\n", child.folder);
	assert_str_equal(output(&child, &text), buf_str(&expected));
	child_deinit(&child);
}

static void tells_the_signal_that_ended_a_child(void **state) {
	(void)state;
	struct child child;
	child_init(&child);

	child_sh(&child, "sleep 1000");
	process_signal(child.process, SIGTERM);
	TEST_RUN_UNTIL(child.loop, child.exits);
	assert_int_equal(child.status, -SIGTERM);
	child_deinit(&child);
}

static void says_what_cannot_be_started(void **state) {
	(void)state;
	struct child child;
	struct err err = { 0 };
	AUTO(buf_deinit) struct buf path = { 0 };
	const char *const missing[] = { "no-such-program-anywhere", NULL };
	child_init(&child);

	assert_int_equal(child_start(&child, missing, &err), ERR_IO);
	assert_string_equal(err.text,
		"no-such-program-anywhere not found; install it or add its folder to PATH");
	(void)test_folder_path(&path, child.folder, "not-a-program");
	assert_ok(file_write_atomic(buf_text(&path), STR("\x7f"), 0700, &err), err);
	const char *const broken[] = { buf_text(&path), NULL };
	assert_int_equal(child_start(&child, broken, &err), ERR_IO);
	assert_non_null(strstr(err.text, "exec: Exec format error"));
	assert_int_equal(child.exits, 0);
	child_deinit(&child);
}

static void ends_what_a_child_leaves_behind(void **state) {
	(void)state;
	struct child child;
	AUTO(buf_deinit) struct buf text = { 0 };
	uint64_t pid = 0;
	child_init(&child);

	child_sh(&child, "sleep 1000 & echo $!");
	TEST_RUN_UNTIL(child.loop, child.exits);
	assert_int_equal(child.status, 0);
	assert_true(str_to_u64(str_trim(output(&child, &text)), &pid));
	/* It is nobody's child here; init, or whoever stands in for it, collects it. */
	int fd = pidfd_open((pid_t)pid, 0);
	if (fd >= 0) {
		struct pollfd wait = { .fd = fd, .events = POLLIN };
		assert_int_equal(poll(&wait, 1, 60000), 1);
		assert_int_equal(close(fd), 0);
	}
	child_deinit(&child);
}

static void starts_children_with_clean_signals_and_descriptors(void **state) {
	(void)state;
	struct child child;
	AUTO(buf_deinit) struct buf text = { 0 };
	int ends[2];
	child_init(&child);

	assert_int_equal(pipe(ends), 0); /* Not closed on exec: must not reach the child. */
	child_sh(&child, "grep -E '^Sig(Blk|Ign)' /proc/self/status; ls /proc/$$/fd");
	TEST_RUN_UNTIL(child.loop, child.exits);
	assert_non_null(strstr(output(&child, &text).ptr, "SigBlk:\t0000000000000000"));
	assert_non_null(strstr(buf_text(&text), "SigIgn:\t0000000000000000"));
	assert_non_null(strstr(buf_text(&text), "\n0\n1\n2\n"));
	assert_true(str_ends(buf_str(&text), STR("\n2\n")));
	assert_int_equal(close(ends[0]), 0);
	assert_int_equal(close(ends[1]), 0);
	child_deinit(&child);
}

static void frees_and_kills_a_child_that_runs(void **state) {
	(void)state;
	struct child child;
	child_init(&child);

	child_sh(&child, "trap '' TERM; sleep 1000");
	pid_t pid = process_pid(child.process);
	process_free(child.process);
	child.process = NULL;
	assert_int_equal(kill(pid, 0), -1);
	assert_int_equal(errno, ESRCH);
	assert_int_equal(child.exits, 0);
	child_deinit(&child);
}

/* Starts a child and says its id through 'report', then waits to be killed. */
static void be_a_parent(int report) {
	struct child child;
	child_init(&child);
	child_sh(&child, "sleep 1000");
	pid_t pid = process_pid(child.process);
	(void)!write(report, &pid, sizeof(pid));
	for (;;) {
		(void)pause();
	}
}

static void dies_with_a_parent_that_is_killed(void **state) {
	(void)state;
	int ends[2];
	pid_t pid = 0;
	assert_int_equal(pipe(ends), 0);
	pid_t parent = fork();
	if (parent == 0) {
		be_a_parent(ends[1]);
	}
	assert_int_equal(read(ends[0], &pid, sizeof(pid)), sizeof(pid));
	int fd = pidfd_open(pid, 0);
	assert_true(fd >= 0);
	assert_int_equal(kill(parent, SIGKILL), 0);
	assert_int_equal(waitpid(parent, NULL, 0), parent);
	struct pollfd wait = { .fd = fd, .events = POLLIN };
	assert_int_equal(poll(&wait, 1, 60000), 1);
	assert_int_equal(close(fd), 0);
	assert_int_equal(close(ends[0]), 0);
	assert_int_equal(close(ends[1]), 0);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(tells_the_exit_code_and_keeps_the_output),
		TEST(tells_the_signal_that_ended_a_child),
		TEST(says_what_cannot_be_started),
		TEST(ends_what_a_child_leaves_behind),
		TEST(starts_children_with_clean_signals_and_descriptors),
		TEST(frees_and_kills_a_child_that_runs),
		TEST(dies_with_a_parent_that_is_killed),
	};
	return TEST_RUN(tests);
}
