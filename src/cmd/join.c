#include "cmd/join.h"

#include <signal.h>

/* A join under way. */
struct joining {
	struct loop *loop;
	bool keeps;
	int rc;
	struct err *err;
};

static void stop(void *loop) {
	loop_stop(loop);
}

static void on_joined(void *context, const struct err *failure) {
	struct joining *joining = context;
	if (failure) {
		*joining->err = *failure;
		joining->rc = failure->code;
	}
	if (failure || !joining->keeps) {
		loop_stop(joining->loop);
	}
}

int join_run(const struct joiner_options *options, struct err *err) {
	struct joiner *joiner = NULL;
	struct loop *loop = loop_new(clock_system());
	struct joining joining = { .loop = loop, .keeps = options->keeps, .err = err };
	struct joiner_options own = *options;
	own.on_done = on_joined;
	own.context = &joining;
	int rc = joiner_start(loop, &own, &joiner, err);
	if (rc == 0) {
		loop_on_signal(loop, SIGINT, stop, loop);
		loop_on_signal(loop, SIGTERM, stop, loop);
		loop_run(loop);
		rc = joining.rc;
	}
	joiner_stop(joiner);
	loop_free(loop);
	return rc;
}
