#include "discover/discover.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/log.h"
#include "io/file.h"
#include "io/watch.h"

#include <fnmatch.h>
#include <stdlib.h>

/* The last good content of one file. */
struct file_source {
	struct file_source *next;
	char *path;
	uint64_t hash;
	bool was_read; /* 'hash' is of something. */
	bool is_seen;  /* Matched in the scan under way. */
	struct arena arena;
	const struct config_targets *groups;
	size_t count;
};

/* One pattern of a file_sd_config: a folder and what to match in it. */
struct file_pattern {
	char *folder;
	char *name;
	struct watch *watch;
};

struct discovery {
	struct config *config;
	const struct config_scrape *job;
	discovery_fn *changed;
	void *context;
	struct metric *read_errors; /* NULL without a registry. */
	struct file_source *files;
	struct file_pattern *patterns;
	size_t pattern_count;
	const struct config_targets **groups; /* Static ones, then those of the files. */
	size_t group_count;
};

static char *text_copy(struct str s) {
	char *copy = strndup(s.ptr, s.len);
	CHECK(copy);
	return copy;
}

static struct file_source *find_file(struct discovery *discovery, const char *path) {
	for (struct file_source *file = discovery->files; file; file = file->next) {
		if (strcmp(file->path, path) == 0) {
			return file;
		}
	}
	struct file_source *file = calloc(1, sizeof(*file));
	CHECK(file);
	file->path = text_copy(str_of(path));
	file->next = discovery->files;
	discovery->files = file;
	return file;
}

static void file_free(struct file_source *file) {
	arena_deinit(&file->arena);
	free(file->path);
	free(file);
}

/* Parses new content; the old stays when the new is bad. Returns 1 if the groups changed, 0, or <
 * 0. */
static int take_content(struct file_source *file, struct str text, struct err *err) {
	uint64_t hash = hash_str(text, 0);
	if (file->was_read && file->hash == hash) {
		return 0;
	}
	struct arena arena = { 0 };
	const struct config_targets *groups = NULL;
	size_t count = 0;
	int rc = config_parse_targets(&arena, text, file->path, &groups, &count, err);
	if (rc < 0) {
		arena_deinit(&arena);
		return rc;
	}
	arena_deinit(&file->arena);
	file->arena = arena;
	file->groups = groups;
	file->count = count;
	file->hash = hash;
	file->was_read = true;
	return 1;
}

static bool read_one(struct discovery *discovery, const char *path) {
	AUTO(buf_deinit) struct buf text = { 0 };
	struct err err = { 0 };
	struct file_source *file = find_file(discovery, path);
	file->is_seen = true;
	int rc = file_read(path, DISCOVER_FILE_BYTES_MAX, &text, &err);
	if (rc >= 0) {
		rc = take_content(file, buf_str(&text), &err);
	}
	if (rc < 0) {
		log_warn("cannot read targets, keeping the last good ones", KV("file", path),
			KV_STR("job", discovery->job->job_name), KV_ERR(&err));
		if (discovery->read_errors) {
			metric_inc(discovery->read_errors);
		}
	}
	return rc > 0;
}

static bool scan_pattern(struct discovery *discovery, const struct file_pattern *pattern) {
	struct dir_list list = { 0 };
	struct err err = { 0 };
	bool has_changed = false;
	if (dir_list(pattern->folder, &list, &err) < 0) {
		return false; /* A folder that is not there yet has no files; the watch waits for
				 it. */
	}
	size_t matched = 0;
	for (size_t i = 0; i < list.count && matched < DISCOVER_FILES_MAX; i++) {
		if (fnmatch(pattern->name, list.names[i], FNM_PERIOD) != 0) {
			continue;
		}
		AUTO(buf_deinit) struct buf path = { 0 };
		buf_printf(&path, "%s/%s", pattern->folder, list.names[i]);
		has_changed |= read_one(discovery, buf_text(&path));
		matched++;
	}
	if (matched == DISCOVER_FILES_MAX) {
		log_warn("more files than are read, the rest is left out",
			KV("folder", pattern->folder), KV_INT("limit", DISCOVER_FILES_MAX));
	}
	dir_list_free(&list);
	return has_changed;
}

static bool drop_unseen(struct discovery *discovery) {
	bool has_changed = false;
	struct file_source **at = &discovery->files;
	while (*at) {
		struct file_source *file = *at;
		if (file->is_seen) {
			at = &file->next;
			continue;
		}
		*at = file->next;
		has_changed |= file->count > 0;
		file_free(file);
	}
	return has_changed;
}

static void flatten(struct discovery *discovery) {
	size_t count = discovery->job->static_count;
	for (const struct file_source *file = discovery->files; file; file = file->next) {
		count += file->count;
	}
	free(discovery->groups);
	discovery->groups = calloc(count + 1, sizeof(discovery->groups[0]));
	CHECK(discovery->groups);
	size_t at = 0;
	for (size_t i = 0; i < discovery->job->static_count; i++) {
		discovery->groups[at++] = &discovery->job->static_configs[i];
	}
	for (const struct file_source *file = discovery->files; file; file = file->next) {
		for (size_t i = 0; i < file->count; i++) {
			discovery->groups[at++] = &file->groups[i];
		}
	}
	discovery->group_count = count;
}

/* Looks at every pattern. Returns whether the groups changed. */
static bool scan(struct discovery *discovery) {
	bool has_changed = false;
	for (struct file_source *file = discovery->files; file; file = file->next) {
		file->is_seen = false;
	}
	for (size_t i = 0; i < discovery->pattern_count; i++) {
		has_changed |= scan_pattern(discovery, &discovery->patterns[i]);
	}
	has_changed |= drop_unseen(discovery);
	if (has_changed) {
		flatten(discovery);
	}
	return has_changed;
}

static void on_watch(void *context) {
	struct discovery *discovery = context;
	if (scan(discovery)) {
		discovery->changed(discovery->context);
	}
}

static void add_pattern(struct discovery *discovery, struct str pattern) {
	AUTO(buf_deinit) struct buf path = { 0 };
	if (!str_starts(pattern, STR("/"))) {
		buf_add_str(&path, discovery->config->folder);
		buf_add_byte(&path, '/');
	}
	buf_add_str(&path, pattern);
	const char *slash = strrchr(buf_text(&path), '/');
	size_t folder_len = (size_t)(slash - path.ptr);
	struct file_pattern *added = &discovery->patterns[discovery->pattern_count++];
	added->folder =
		text_copy(folder_len > 0 ? str_first(buf_str(&path), folder_len) : STR("/"));
	added->name = text_copy(str_of(slash + 1));
}

static void add_patterns(struct discovery *discovery, struct loop *loop) {
	size_t total = 0;
	for (size_t i = 0; i < discovery->job->file_sd_count; i++) {
		total += discovery->job->file_sd_configs[i].files.count;
	}
	discovery->patterns = calloc(total + 1, sizeof(discovery->patterns[0]));
	CHECK(discovery->patterns);
	for (size_t i = 0; i < discovery->job->file_sd_count; i++) {
		const struct config_file_sd *sd = &discovery->job->file_sd_configs[i];
		for (size_t j = 0; j < sd->files.count; j++) {
			add_pattern(discovery, sd->files.items[j]);
			struct file_pattern *last =
				&discovery->patterns[discovery->pattern_count - 1];
			last->watch = watch_start(
				loop, last->folder, sd->refresh_interval_ms, on_watch, discovery);
		}
	}
}

struct discovery *discovery_start(struct loop *loop, struct config *config,
	const struct config_scrape *job, struct metric_registry *metrics, discovery_fn *changed,
	void *context) {
	struct discovery *discovery = calloc(1, sizeof(*discovery));
	CHECK(discovery);
	*discovery = (struct discovery){
		.config = config_ref(config), .job = job, .changed = changed, .context = context
	};
	if (metrics) {
		discovery->read_errors = metric_single(metric_declare(metrics, METRIC_COUNTER,
			"prometheus_sd_file_read_errors_total",
			"Target files that could not be read or parsed.", NULL));
	}
	add_patterns(discovery, loop);
	(void)scan(discovery);
	flatten(discovery);
	return discovery;
}

void discovery_stop(struct discovery *discovery) {
	for (size_t i = 0; i < discovery->pattern_count; i++) {
		watch_stop(discovery->patterns[i].watch);
		free(discovery->patterns[i].folder);
		free(discovery->patterns[i].name);
	}
	free(discovery->patterns);
	while (discovery->files) {
		struct file_source *file = discovery->files;
		discovery->files = file->next;
		file_free(file);
	}
	free(discovery->groups);
	config_unref(discovery->config);
	free(discovery);
}

size_t discovery_groups(
	const struct discovery *discovery, const struct config_targets *const **groups) {
	*groups = discovery->groups;
	return discovery->group_count;
}
