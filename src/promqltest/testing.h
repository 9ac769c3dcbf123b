/*
 * Finding and reading scripts, for tests.
 */
#ifndef PROMQLTEST_TESTING_H
#define PROMQLTEST_TESTING_H

#include "base/buf.h"
#include "base/check.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#define OWN_SCRIPTS "src/promqltest/testdata"

/* A filter for scandir. */
static inline int script_is(const struct dirent *entry) {
	return str_ends(str_of(entry->d_name), STR(".test"));
}

/* Appends a file. */
static inline void script_read(const char *path, struct buf *text) {
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char bytes[4096];
	ssize_t len;

	CHECK(fd >= 0);
	while ((len = read(fd, bytes, sizeof(bytes))) > 0) {
		buf_add_str(text, (struct str){ bytes, (size_t)len });
	}
	CHECK(len == 0);
	(void)close(fd);
}

#endif
