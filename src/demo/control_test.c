#include "demo/control.h"

#include "base/test.h"
#include "base/thread.h"
#include "demo/test_folder.h"

#include <stdatomic.h>
#include <sys/stat.h>

/* A demo that answers commands, on its own thread. */
struct server {
	char folder[64];
	struct loop *loop;
	struct control *control;
	int commands;
	pthread_t thread;
};

static void answer(void *context, struct control_call *call, struct str line) {
	struct server *server = context;
	struct err err = { 0 };
	server->commands++;
	if (str_equal(line, STR("status"))) {
		control_say(call, STR("first line\nsecond line\n"));
		control_say(call, STR_EMPTY);
		control_end(call, NULL);
		return;
	}
	(void)err_set(&err, ERR_INVAL, "no command \"%.*s\"", STR_ARG(line));
	control_end(call, &err);
}

static void serve(void *context) {
	struct server *server = context;
	loop_run(server->loop);
}

static void server_open(struct server *server) {
	struct err err = { 0 };
	*server = (struct server){ .loop = loop_new(clock_system()) };
	test_folder_make(server->folder);
	assert_ok(
		control_open(server->loop, server->folder, answer, server, &server->control, &err),
		err);
	server->thread = thread_start(THREAD_LOOP, "server", serve, server);
}

static void server_close(struct server *server) {
	loop_stop(server->loop);
	thread_join(server->thread);
	control_close(server->control);
	loop_free(server->loop);
	test_folder_remove(server->folder);
}

static void a_command_is_answered(void **state) {
	(void)state;
	struct server server;
	struct err err = { 0 };
	server_open(&server);
	assert_ok(control_send(server.folder, STR("status"), &err), err);
	server_close(&server);
	assert_int_equal(server.commands, 1);
}

static void a_refusal_comes_back_in_words(void **state) {
	(void)state;
	struct server server;
	struct err err = { 0 };
	server_open(&server);
	assert_int_equal(control_send(server.folder, STR("fly"), &err), ERR_EXEC);
	assert_string_equal(err.text, "no command \"fly\"");
	server_close(&server);
}

static void only_the_owner_may_talk(void **state) {
	(void)state;
	struct server server;
	struct stat info;
	AUTO(buf_deinit) struct buf path = { 0 };
	server_open(&server);
	assert_int_equal(stat(test_folder_path(&path, server.folder, "control"), &info), 0);
	assert_int_equal(info.st_mode & 0777, 0600);
	server_close(&server);
}

static void says_that_no_demo_runs(void **state) {
	(void)state;
	struct err err = { 0 };
	assert_int_equal(control_send("/nonexistent", STR("status"), &err), ERR_CLOSED);
	assert_non_null(strstr(err.text, "no demo runs on /nonexistent"));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(a_command_is_answered),
		TEST(a_refusal_comes_back_in_words),
		TEST(only_the_owner_may_talk),
		TEST(says_that_no_demo_runs),
	};
	return TEST_RUN(tests);
}
