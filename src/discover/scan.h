/*
 * One look at the files that patterns name: listing, reading and parsing, which block, and so on
 * whatever thread may. What the files say is put in force by whoever owns the discovery.
 */
#ifndef DISCOVER_SCAN_H
#define DISCOVER_SCAN_H

#include "base/map.h"
#include "config/config.h"

/* A folder and what to match in it. */
struct scan_pattern {
	const char *folder;
	const char *name;
};

struct scan_file {
	const char *path;
	uint64_t hash; /* Of the content that was last good. */
	bool was_good; /* 'hash' is of something. */
	bool is_seen;  /* It matches a pattern. */
	/* Not NULL: new content, in 'arena'. The scan's until they are taken. */
	const struct config_targets *groups;
	size_t count;
	struct arena arena;
	const struct err *failure; /* It could not be read or parsed; NULL: it could. */
};

struct scan {
	struct arena arena; /* Of paths, patterns and failures. */
	struct scan_pattern *patterns;
	size_t pattern_count;
	struct scan_file *files; /* Those known before, in their order, then others. */
	size_t file_count;
	size_t file_capacity;
	struct map index;    /* By path, to the file's number. */
	const char *crowded; /* A folder with more files than are read; NULL: none. */
};

/* Room for that many patterns, all still to be filled in; 'scan' is { 0 }. */
void scan_init(struct scan *scan, size_t pattern_count);
void scan_deinit(struct scan *scan);
/* Adds a file known before. 'hash' is of its last good content, if there was any. */
void scan_add_known(struct scan *scan, const char *path, bool was_good, uint64_t hash);
/* Looks at every pattern. Blocks. */
void scan_run(struct scan *scan);

#endif
