/*
 * A folder in memory for fuzz targets that need files, gone when the target ends as it should.
 */
#ifndef TSDB_FUZZ_DIR_H
#define TSDB_FUZZ_DIR_H

#include "base/check.h"
#include "io/file.h"

#include <stdio.h>
#include <stdlib.h>

static char fuzz_dir_path[64];

static inline void fuzz_dir_remove(void) {
	(void)dir_remove_tree(fuzz_dir_path, NULL);
}

/* Makes the folder; one for the process. */
static inline const char *fuzz_dir_make(void) {
	const char *under = path_exists("/dev/shm") ? "/dev/shm" : "/tmp";

	(void)snprintf(fuzz_dir_path, sizeof(fuzz_dir_path), "%s/atoll-fuzz-XXXXXX", under);
	CHECK(mkdtemp(fuzz_dir_path));
	CHECK(atexit(fuzz_dir_remove) == 0);
	return fuzz_dir_path;
}

/* Makes 'dir'/'name' hold just these bytes; folders on the way are made, too. */
static inline void fuzz_file_write(const char *dir, const char *name, struct str bytes) {
	char path[128];
	int fd = -1;

	CHECK(dir_make(dir, 0700, NULL) == 0);
	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	CHECK(file_open_append(path, 0600, &fd, NULL) == 0);
	CHECK(file_truncate(fd, 0, NULL) == 0);
	CHECK(file_write_all(fd, bytes, NULL) == 0);
	file_close(fd);
}

#endif
