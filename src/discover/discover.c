#include "discover/discover.h"

#include "base/check.h"
#include "base/log.h"
#include "base/memory.h"
#include "discover/scan.h"
#include "io/watch.h"

#include <stdlib.h>

/* The last good content of one file. */
struct file_source {
	char *path;
	uint64_t hash;
	bool was_good; /* 'hash' is of something. */
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

/* A scan on its way through the pool. */
struct look {
	struct scan scan;
	struct loop *loop;
	struct discovery *discovery; /* The loop's: NULL once that has stopped. */
};

struct discovery {
	struct loop *loop;
	struct pool *pool; /* NULL: there is none. */
	struct config *config;
	const struct config_scrape *job;
	discovery_fn *changed;
	void *context;
	struct metric *read_errors; /* NULL without a registry. */
	struct file_source *files;
	size_t file_count;
	struct file_pattern *patterns;
	size_t pattern_count;
	const struct config_targets **groups; /* Static ones, then those of the files. */
	size_t group_count;
	struct look *look; /* Under way. */
	bool looks_again;  /* Something changed since it began. */
};

static char *text_copy(struct str s) {
	char *copy = strndup(s.ptr, s.len);
	CHECK(copy);
	return copy;
}

static void file_deinit(struct file_source *file) {
	arena_deinit(&file->arena);
	free(file->path);
}

static void flatten(struct discovery *discovery) {
	size_t count = discovery->job->static_count;
	for (size_t i = 0; i < discovery->file_count; i++) {
		count += discovery->files[i].count;
	}
	free(discovery->groups);
	discovery->groups = MEMORY_NEW(const struct config_targets *, count + 1);
	size_t at = 0;
	for (size_t i = 0; i < discovery->job->static_count; i++) {
		discovery->groups[at++] = &discovery->job->static_configs[i];
	}
	for (size_t i = 0; i < discovery->file_count; i++) {
		for (size_t j = 0; j < discovery->files[i].count; j++) {
			discovery->groups[at++] = &discovery->files[i].groups[j];
		}
	}
	discovery->group_count = count;
}

/* What to look at, and what is known of it. */
static void plan_scan(const struct discovery *discovery, struct scan *scan) {
	scan_init(scan, discovery->pattern_count);
	for (size_t i = 0; i < discovery->pattern_count; i++) {
		const struct file_pattern *pattern = &discovery->patterns[i];
		scan->patterns[i].folder = arena_copy(&scan->arena, str_of(pattern->folder)).ptr;
		scan->patterns[i].name = arena_copy(&scan->arena, str_of(pattern->name)).ptr;
	}
	for (size_t i = 0; i < discovery->file_count; i++) {
		const struct file_source *file = &discovery->files[i];
		scan_add_known(scan, file->path, file->was_good, file->hash);
	}
}

static void tell_failure(struct discovery *discovery, const struct scan_file *file) {
	log_warn("cannot read targets, keeping the last good ones", KV("file", file->path),
		KV_STR("job", discovery->job->job_name), KV_ERR(file->failure));
	if (discovery->read_errors) {
		metric_inc(discovery->read_errors);
	}
}

/* Takes new content over from the scan. */
static void take_content(struct file_source *to, struct scan_file *from) {
	arena_deinit(&to->arena);
	to->arena = from->arena;
	to->groups = from->groups;
	to->count = from->count;
	to->hash = from->hash;
	to->was_good = true;
	from->arena = (struct arena){ 0 };
}

/* Puts in force what a scan found. Returns whether the groups changed. */
static bool take_scan(struct discovery *discovery, struct scan *scan) {
	struct file_source *files = MEMORY_NEW(struct file_source, scan->file_count + 1);
	bool has_changed = false;
	size_t count = 0;

	for (size_t i = 0; i < scan->file_count; i++) {
		struct scan_file *found = &scan->files[i];
		struct file_source file = { 0 };
		if (i < discovery->file_count) {
			file = discovery->files[i];
		} else {
			file.path = text_copy(str_of(found->path));
		}
		if (!found->is_seen) {
			has_changed |= file.count > 0;
			file_deinit(&file);
			continue;
		}
		if (found->failure) {
			tell_failure(discovery, found);
		} else if (found->groups) {
			take_content(&file, found);
			has_changed = true;
		}
		files[count++] = file;
	}
	free(discovery->files);
	discovery->files = files;
	discovery->file_count = count;
	if (scan->crowded) {
		log_warn("more files than are read, the rest is left out",
			KV("folder", scan->crowded), KV_INT("limit", DISCOVER_FILES_MAX));
	}
	if (has_changed) {
		flatten(discovery);
	}
	return has_changed;
}

static void look_free(struct look *look) {
	scan_deinit(&look->scan);
	free(look);
}

static void look_around(struct discovery *discovery);

static void on_looked(void *context) {
	struct look *look = context;
	struct discovery *discovery = look->discovery;
	bool has_changed = discovery && take_scan(discovery, &look->scan);

	look_free(look);
	if (!discovery) {
		return;
	}
	discovery->look = NULL;
	if (discovery->looks_again) {
		look_around(discovery);
	}
	if (has_changed) {
		discovery->changed(discovery->context);
	}
}

/* In the pool. */
static void run_look(void *context) {
	struct look *look = context;
	scan_run(&look->scan);
	CHECK(loop_post(look->loop, on_looked, look));
}

/* Scans in the pool, or at once when that is full or absent. */
static void look_around(struct discovery *discovery) {
	discovery->looks_again = discovery->look != NULL;
	if (discovery->look) {
		return;
	}
	struct look *look = MEMORY_NEW(struct look, 1);
	*look = (struct look){ .loop = discovery->loop, .discovery = discovery };
	plan_scan(discovery, &look->scan);
	discovery->look = look;
	if (!discovery->pool || !pool_submit(discovery->pool, run_look, look)) {
		scan_run(&look->scan);
		on_looked(look);
	}
}

static void on_watch(void *context) {
	look_around(context);
}

static void look_first(struct discovery *discovery) {
	struct scan scan = { 0 };
	plan_scan(discovery, &scan);
	scan_run(&scan);
	(void)take_scan(discovery, &scan);
	scan_deinit(&scan);
	flatten(discovery);
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

static void add_patterns(struct discovery *discovery) {
	size_t total = 0;
	for (size_t i = 0; i < discovery->job->file_sd_count; i++) {
		total += discovery->job->file_sd_configs[i].files.count;
	}
	discovery->patterns = MEMORY_NEW(struct file_pattern, total + 1);
	for (size_t i = 0; i < discovery->job->file_sd_count; i++) {
		const struct config_file_sd *sd = &discovery->job->file_sd_configs[i];
		for (size_t j = 0; j < sd->files.count; j++) {
			add_pattern(discovery, sd->files.items[j]);
			struct file_pattern *last =
				&discovery->patterns[discovery->pattern_count - 1];
			last->watch = watch_start(discovery->loop, last->folder,
				sd->refresh_interval_ms, on_watch, discovery);
		}
	}
}

struct discovery *discovery_start(struct loop *loop, struct pool *pool, struct config *config,
	const struct config_scrape *job, struct metric_registry *metrics, discovery_fn *changed,
	void *context) {
	struct discovery *discovery = MEMORY_NEW(struct discovery, 1);
	*discovery = (struct discovery){ .loop = loop,
		.pool = pool,
		.config = config_ref(config),
		.job = job,
		.changed = changed,
		.context = context };
	if (metrics) {
		discovery->read_errors = metric_single(metric_declare(metrics, METRIC_COUNTER,
			"prometheus_sd_file_read_errors_total",
			"Target files that could not be read or parsed.", NULL));
	}
	add_patterns(discovery);
	look_first(discovery);
	return discovery;
}

void discovery_stop(struct discovery *discovery) {
	for (size_t i = 0; i < discovery->pattern_count; i++) {
		watch_stop(discovery->patterns[i].watch);
		free(discovery->patterns[i].folder);
		free(discovery->patterns[i].name);
	}
	free(discovery->patterns);
	if (discovery->look) {
		discovery->look->discovery = NULL;
	}
	for (size_t i = 0; i < discovery->file_count; i++) {
		file_deinit(&discovery->files[i]);
	}
	free(discovery->files);
	free(discovery->groups);
	config_unref(discovery->config);
	free(discovery);
}

size_t discovery_groups(
	const struct discovery *discovery, const struct config_targets *const **groups) {
	*groups = discovery->groups;
	return discovery->group_count;
}
