/*
 * Files that are written again and again by a thread of their own, each time as a whole: a reader
 * sees the old or the new one. Of several texts for one file that come meanwhile the last counts.
 *
 * Owned by one loop.
 */
#ifndef MIRROR_WRITER_H
#define MIRROR_WRITER_H

#include "base/metric.h"
#include "base/str.h"
#include "io/loop.h"

#include <stdint.h>
#include <sys/types.h>

#define WRITER_FILES_MAX 4

struct writer_file {
	const char *name; /* In the directory. */
	mode_t mode;
};

struct writer;

/*
 * Files of one round are written in the order of 'files' ('count' at most WRITER_FILES_MAX;
 * static): what stands in a later one can rely on the earlier. 'errors' counts what could not be
 * written, by file.
 */
struct writer *writer_new(struct loop *loop, const char *directory, const struct writer_file *files,
	size_t count, struct metric_family *errors);
/* Writes what is still to be written, and frees. NULL is fine. */
void writer_free(struct writer *writer);
/* The text that a file should have; nothing is done if it has it already. */
void writer_put(struct writer *writer, size_t file, struct str text);
/* Begins to write what is to be written, and what failed before. */
void writer_run(struct writer *writer);

#endif
