/*
 * For tests: a folder of the test's own, gone at the end.
 */
#ifndef DEMO_TEST_FOLDER_H
#define DEMO_TEST_FOLDER_H

#include "base/buf.h"
#include "base/test.h"
#include "io/file.h"

#include <stdlib.h>

/* Makes a new folder and writes its path to 'out'. */
static inline void test_folder_make(char out[64]) {
	(void)snprintf(out, 64, "/tmp/atoll-test-XXXXXX");
	assert_non_null(mkdtemp(out));
}

/* Removes it and all in it. */
static inline void test_folder_remove(const char *path) {
	struct err err = { 0 };
	assert_ok(dir_remove_tree(path, &err), err);
}

/* The path of 'name' in 'folder', in 'out'. */
static inline const char *test_folder_path(struct buf *out, const char *folder, const char *name) {
	buf_reset(out);
	buf_printf(out, "%s/%s", folder, name);
	return buf_text(out);
}

#endif
