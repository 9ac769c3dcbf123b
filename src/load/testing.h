/*
 * An appendable for tests that writes down what it was given.
 */
#ifndef LOAD_TESTING_H
#define LOAD_TESTING_H

#include "base/buf.h"
#include "base/compiler.h"
#include "store/store.h"

#include <inttypes.h>

struct test_appendable {
	struct appendable appendable;
	struct appender appender;
	struct buf *out;    /* What was committed; NULL: not wanted. */
	struct buf pending; /* Since begin. */
	uint64_t refs;
	size_t commits;
};

static inline int test_append(struct appender *appender, struct series_ref *ref,
	const struct labels *set, int64_t time_ms, double value, struct err *err UNUSED) {
	struct test_appendable *to = CONTAINER_OF(appender, struct test_appendable, appender);

	if (ref->v == 0) {
		ref->v = ++to->refs;
		if (to->out) {
			buf_printf(&to->pending, "#%" PRIu64 " ", ref->v);
			labels_format(set, &to->pending);
			buf_add_byte(&to->pending, '\n');
		}
	}
	if (to->out) {
		buf_printf(&to->pending, "%" PRIu64 " %" PRId64 "=%g\n", ref->v, time_ms, value);
	}
	return APPEND_OK;
}

static inline int test_commit(struct appender *appender, struct err *err UNUSED) {
	struct test_appendable *to = CONTAINER_OF(appender, struct test_appendable, appender);

	if (to->out) {
		buf_add_str(to->out, buf_str(&to->pending));
	}
	to->commits++;
	buf_deinit(&to->pending);
	return 0;
}

static inline void test_rollback(struct appender *appender) {
	buf_deinit(&CONTAINER_OF(appender, struct test_appendable, appender)->pending);
}

static inline struct appender *test_begin(struct appendable *appendable) {
	static const struct appender_ops ops = { test_append, test_commit, test_rollback };
	struct test_appendable *to = CONTAINER_OF(appendable, struct test_appendable, appendable);

	to->appender.ops = &ops;
	return &to->appender;
}

#endif
