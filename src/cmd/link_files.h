/*
 * The link files of a directory, for commands.
 */
#ifndef CMD_LINK_FILES_H
#define CMD_LINK_FILES_H

#include "base/arena.h"
#include "base/err.h"
#include "mesh/link_file.h"

struct link_files {
	struct link_config *configs; /* In the order of their names. */
	struct str *names;
	size_t count;
	struct str *complaints; /* Files that cannot be read, with why. */
	size_t complaint_count;
};

/* Reads all *.yaml of a directory that do not begin with a dot, into 'arena'. Returns 0 or ERR_IO.
 */
MUST_USE int link_files_read(
	struct arena *arena, const char *directory, struct link_files *out, struct err *err);

#endif
