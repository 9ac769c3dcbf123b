#include "discover/scan.h"

#include "base/hash.h"
#include "base/memory.h"
#include "discover/discover.h"
#include "io/file.h"

#include <fnmatch.h>
#include <stdlib.h>

void scan_init(struct scan *scan, size_t pattern_count) {
	scan->patterns = ARENA_NEW(&scan->arena, struct scan_pattern, pattern_count + 1);
	scan->pattern_count = pattern_count;
}

void scan_deinit(struct scan *scan) {
	for (size_t i = 0; i < scan->file_count; i++) {
		arena_deinit(&scan->files[i].arena);
	}
	free(scan->files);
	map_deinit(&scan->index);
	arena_deinit(&scan->arena);
	*scan = (struct scan){ 0 };
}

static struct scan_file *add_file(struct scan *scan, const char *path, uint64_t path_hash) {
	if (scan->file_count == scan->file_capacity) {
		scan->file_capacity = scan->file_capacity * 2 + 8;
		scan->files =
			memory_resize(scan->files, scan->file_capacity, sizeof(struct scan_file));
	}
	map_add(&scan->index, path_hash, scan->file_count);
	struct scan_file *file = &scan->files[scan->file_count++];
	*file = (struct scan_file){ .path = arena_copy(&scan->arena, str_of(path)).ptr };
	return file;
}

void scan_add_known(struct scan *scan, const char *path, bool was_good, uint64_t hash) {
	struct scan_file *file = add_file(scan, path, hash_str(str_of(path), 0));
	file->was_good = was_good;
	file->hash = hash;
}

struct wanted {
	const struct scan *scan;
	const char *path;
};

static bool is_wanted(uint64_t value, const void *key) {
	const struct wanted *wanted = key;
	return strcmp(wanted->scan->files[value].path, wanted->path) == 0;
}

static struct scan_file *find_file(struct scan *scan, const char *path) {
	struct wanted wanted = { scan, path };
	uint64_t path_hash = hash_str(str_of(path), 0);
	uint64_t at = 0;
	return map_find(&scan->index, path_hash, is_wanted, &wanted, &at)
		       ? &scan->files[at]
		       : add_file(scan, path, path_hash);
}

static int read_content(struct scan_file *file, struct err *err) {
	AUTO(buf_deinit) struct buf text = { 0 };
	int rc = file_read(file->path, DISCOVER_FILE_BYTES_MAX, &text, err);
	uint64_t hash = hash_str(buf_str(&text), 0);
	if (rc < 0 || (file->was_good && file->hash == hash)) {
		return rc;
	}
	rc = config_parse_targets(
		&file->arena, buf_str(&text), file->path, &file->groups, &file->count, err);
	if (rc == 0) {
		file->hash = hash;
		file->was_good = true;
	}
	return rc;
}

static void read_file(struct scan *scan, const char *path) {
	struct scan_file *file = find_file(scan, path);
	struct err err = { 0 };
	if (file->is_seen) {
		return; /* By another pattern. */
	}
	file->is_seen = true;
	if (read_content(file, &err) < 0) {
		struct err *failure = ARENA_NEW(&scan->arena, struct err, 1);
		*failure = err;
		file->failure = failure;
	}
}

static void scan_pattern(struct scan *scan, const struct scan_pattern *pattern) {
	struct dir_list list = { 0 };
	size_t matched = 0;
	if (dir_list(pattern->folder, &list, NULL) < 0) {
		return; /* A folder that is not there yet has no files; a watch waits for it. */
	}
	for (size_t i = 0; i < list.count; i++) {
		if (fnmatch(pattern->name, list.names[i], FNM_PERIOD) != 0) {
			continue;
		}
		if (matched++ == DISCOVER_FILES_MAX) {
			scan->crowded = pattern->folder;
			break;
		}
		AUTO(buf_deinit) struct buf path = { 0 };
		buf_printf(&path, "%s/%s", pattern->folder, list.names[i]);
		read_file(scan, buf_text(&path));
	}
	dir_list_free(&list);
}

void scan_run(struct scan *scan) {
	for (size_t i = 0; i < scan->pattern_count; i++) {
		scan_pattern(scan, &scan->patterns[i]);
	}
}
