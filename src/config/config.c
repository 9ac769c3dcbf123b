#include "config/config.h"

#include "base/check.h"
#include "base/hash.h"
#include "config/blocks.h"
#include "promql/duration.h"

#include <stdlib.h>

/* Prometheus' default timeout; a shorter interval shortens it. */
#define TIMEOUT_DEFAULT_MS 10000

static const struct str default_protocols[] = { { "OpenMetricsText1.0.0", 20 },
	{ "OpenMetricsText0.0.1", 20 }, { "PrometheusText1.0.0", 19 },
	{ "PrometheusText0.0.4", 19 } };

static int finish_global(struct reader *reader, const struct yaml_node *node, struct err *err) {
	struct config_global *global = &reader->config->global;
	if (global->scrape_interval_ms == 0) {
		global->scrape_interval_ms = 60000;
	}
	if (global->evaluation_interval_ms == 0) {
		global->evaluation_interval_ms = 60000;
	}
	if (global->scrape_timeout_ms > global->scrape_interval_ms) {
		return reader_fail(
			reader, node, err, "global scrape timeout greater than scrape interval");
	}
	if (global->scrape_timeout_ms == 0) {
		global->scrape_timeout_ms = TIMEOUT_DEFAULT_MS < global->scrape_interval_ms
						    ? TIMEOUT_DEFAULT_MS
						    : global->scrape_interval_ms;
	}
	if (global->limits.scrape_protocols.count == 0) {
		global->limits.scrape_protocols =
			(struct config_list){ default_protocols, ARRAY_COUNT(default_protocols) };
	}
	return 0;
}

int global_read(
	struct reader *reader, const struct yaml_node *node, void *member, struct err *err) {
	struct config *config = member;
	config->global = (struct config_global){ 0 };
	int rc = settings_read(reader, &settings_global, node, &config->global, err);
	return rc < 0 ? rc : finish_global(reader, node, err);
}

void global_print(const char *key, const void *member, int indent, struct buf *out) {
	const struct config *config = member;
	buf_printf(out, "%*s%s:\n", indent, "", key);
	settings_print(&settings_global, &config->global, indent + 2, out);
}

int scrapes_read(
	struct reader *reader, const struct yaml_node *node, void *member, struct err *err) {
	(void)member;
	if (node->kind != YAML_SEQUENCE && !yaml_is_null(node)) {
		return reader_fail(reader, node, err, "scrape_configs: expected a list of jobs");
	}
	reader->scrapes = node;
	return 0;
}

void scrapes_print(const char *key, const void *member, int indent, struct buf *out) {
	const struct config *config = member;
	if (config->scrape_count == 0) {
		return;
	}
	buf_printf(out, "%*s%s:\n", indent, "", key);
	for (size_t i = 0; i < config->scrape_count; i++) {
		size_t start = out->len;
		settings_print(&settings_scrape, &config->scrapes[i], indent + 2, out);
		out->ptr[start + (size_t)indent] = '-';
	}
}

static int check_tokens(struct reader *reader, const struct yaml_node *node,
	const struct config_http *http, struct err *err) {
	bool has_basic = http->user.len > 0 || http->user_file.len > 0 || http->password.len > 0 ||
			 http->password_file.len > 0;
	bool has_authorization = http->credentials.len > 0 || http->credentials_file.len > 0;
	bool has_bearer = http->bearer_token.len > 0 || http->bearer_token_file.len > 0;

	if (http->bearer_token.len > 0 && http->bearer_token_file.len > 0) {
		return reader_fail(reader, node, err,
			"at most one of bearer_token & bearer_token_file must be configured");
	}
	if (has_basic && has_bearer) {
		return reader_fail(reader, node, err,
			"at most one of basic_auth, oauth2, bearer_token & bearer_token_file must "
			"be configured");
	}
	if (has_authorization && has_bearer) {
		return reader_fail(reader, node, err,
			"authorization is not compatible with bearer_token & bearer_token_file");
	}
	if (has_basic && has_authorization) {
		return reader_fail(reader, node, err,
			"at most one of basic_auth, oauth2 & authorization must be configured");
	}
	return 0;
}

static int check_http(struct reader *reader, const struct yaml_node *node,
	const struct config_http *http, struct err *err) {
	if (http->user.len > 0 && http->user_file.len > 0) {
		return reader_fail(reader, node, err,
			"at most one of basic_auth username & username_file must be configured");
	}
	if (http->password.len > 0 && http->password_file.len > 0) {
		return reader_fail(reader, node, err,
			"at most one of basic_auth password & password_file must be configured");
	}
	if (http->credentials.len > 0 && http->credentials_file.len > 0) {
		return reader_fail(reader, node, err,
			"at most one of authorization credentials & credentials_file must be "
			"configured");
	}
	if (str_equal_nocase(http->authorization_type, STR("basic"))) {
		return reader_fail(reader, node, err,
			"authorization type cannot be set to \"basic\", use \"basic_auth\" "
			"instead");
	}
	if ((http->cert_file.len > 0) != (http->key_file.len > 0)) {
		return reader_fail(
			reader, node, err, "tls_config: cert_file and key_file belong together");
	}
	return check_tokens(reader, node, http, err);
}

/* The old spelling becomes the new one, as Prometheus prints it. */
static void take_bearer_token(struct config_http *http) {
	if (http->bearer_token.len > 0 || http->bearer_token_file.len > 0) {
		http->authorization_type = STR("Bearer");
		http->credentials = http->bearer_token;
		http->credentials_file = http->bearer_token_file;
		http->bearer_token = STR_EMPTY;
		http->bearer_token_file = STR_EMPTY;
	}
}

static int set_intervals(struct reader *reader, struct config_scrape *scrape,
	const struct yaml_node *node, struct err *err) {
	const struct config_global *global = &reader->config->global;
	if (scrape->scrape_interval_ms == 0) {
		scrape->scrape_interval_ms = global->scrape_interval_ms;
	}
	if (scrape->scrape_timeout_ms > scrape->scrape_interval_ms) {
		return reader_fail(reader, node, err,
			"scrape timeout greater than scrape interval for scrape config with job "
			"name "
			"\"%.*s\"",
			STR_ARG(scrape->job_name));
	}
	if (scrape->scrape_timeout_ms == 0) {
		scrape->scrape_timeout_ms = global->scrape_timeout_ms < scrape->scrape_interval_ms
						    ? global->scrape_timeout_ms
						    : scrape->scrape_interval_ms;
	}
	return 0;
}

/* A job that names its own validation scheme does not inherit the escaping that fits the global
 * one. */
static int set_escaping(struct reader *reader, struct config_scrape *scrape,
	const struct yaml_node *node, struct err *err) {
	struct config_scrape_limits *limits = &scrape->limits;
	bool has_scheme = yaml_get(node, STR("metric_name_validation_scheme")) != NULL;
	bool has_escaping = yaml_get(node, STR("metric_name_escaping_scheme")) != NULL;

	if (limits->escaping.len == 0 || (has_scheme && !has_escaping)) {
		limits->escaping = limits->legacy_names ? STR("underscores") : STR("allow-utf-8");
	}
	if (limits->legacy_names && str_equal(limits->escaping, STR("allow-utf-8"))) {
		return reader_fail(reader, node, err,
			"utf8 metric names requested but validation scheme is not set to UTF8");
	}
	return 0;
}

/* What the printed job does not show: secrets, and relative paths' meaning. */
static uint64_t hash_job(const struct config_scrape *scrape, struct str folder) {
	AUTO(buf_deinit) struct buf text = { 0 };
	settings_print(&settings_scrape, scrape, 0, &text);
	uint64_t hash = hash_str(buf_str(&text), 0);
	hash = hash_str(scrape->http.password, hash);
	hash = hash_str(scrape->http.credentials, hash);
	hash = hash_str(scrape->http.proxy_url, hash);
	return hash_str(folder, hash);
}

/* A job that has only what decides how a target's samples look. */
static uint64_t hash_shape(const struct config_scrape *scrape) {
	struct config_scrape shape = {
		.honor_labels = scrape->honor_labels,
		.honor_timestamps = scrape->honor_timestamps,
		.track_timestamps_staleness = scrape->track_timestamps_staleness,
		.limits = scrape->limits,
		.metric_relabel_configs = scrape->metric_relabel_configs,
	};
	shape.limits.body_size_limit = 0;
	shape.limits.sample_limit = 0;
	shape.limits.target_limit = 0;
	shape.limits.keep_dropped_targets = 0;
	shape.limits.extra_scrape_metrics = false;
	shape.limits.scrape_protocols = (struct config_list){ 0 };
	return hash_job(&shape, STR_EMPTY);
}

static int read_scrape(struct reader *reader, const struct yaml_node *node,
	struct config_scrape *scrape, struct err *err) {
	if (node->kind != YAML_MAPPING) {
		return reader_fail(reader, node, err, "empty or null scrape config section");
	}
	scrape->limits = reader->config->global.limits;
	scrape->line = node->line;
	scrape->written = node;
	int rc = settings_read(reader, &settings_scrape, node, scrape, err);
	if (rc < 0) {
		return rc;
	}
	if (scrape->job_name.len == 0) {
		return reader_fail(reader, node, err, "job_name is empty");
	}
	rc = set_intervals(reader, scrape, node, err);
	if (rc == 0) {
		rc = set_escaping(reader, scrape, node, err);
	}
	if (rc == 0) {
		rc = check_http(reader, node, &scrape->http, err);
	}
	if (rc == 0) {
		take_bearer_token(&scrape->http);
		rc = relabels_build(
			reader, scrape, &scrape->relabel_configs, "relabel_configs", err);
	}
	if (rc == 0) {
		rc = relabels_build(reader, scrape, &scrape->metric_relabel_configs,
			"metric_relabel_configs", err);
	}
	if (rc == 0) {
		scrape->hash = hash_job(scrape, reader->config->folder);
		scrape->shape_hash = hash_shape(scrape);
	}
	return rc;
}

static int read_scrapes(struct reader *reader, struct err *err) {
	const struct yaml_node *list = reader->scrapes;
	struct config *config = reader->config;
	if (!list || list->kind != YAML_SEQUENCE) {
		return 0;
	}
	struct config_scrape *scrapes =
		ARENA_NEW(&config->arena, struct config_scrape, list->count + 1);
	for (size_t i = 0; i < list->count; i++) {
		int rc = read_scrape(reader, &list->items[i], &scrapes[i], err);
		for (size_t j = 0; rc == 0 && j < i; j++) {
			if (str_equal(scrapes[j].job_name, scrapes[i].job_name)) {
				rc = reader_fail(reader, &list->items[i], err,
					"found multiple scrape configs with job name \"%.*s\", the "
					"first in line %u",
					STR_ARG(scrapes[i].job_name), scrapes[j].line);
			}
		}
		if (rc < 0) {
			return rc;
		}
	}
	config->scrapes = scrapes;
	config->scrape_count = list->count;
	return 0;
}

static int read_all(struct reader *reader, struct str text, struct err *err) {
	struct config *config = reader->config;
	struct yaml_node *root = NULL;
	struct yaml_node nothing = { .kind = YAML_SCALAR };
	int rc = yaml_parse(&config->arena, arena_copy(&config->arena, text), &root, err);
	if (rc < 0) {
		return err_wrap(err, rc, "%s", reader->path);
	}
	rc = global_read(reader, &nothing, config, err);
	if (rc == 0) {
		rc = settings_read(reader, &settings_top, root, config, err);
	}
	return rc < 0 ? rc : read_scrapes(reader, err);
}

static void config_free(struct config *config) {
	regex_set_deinit(&config->regexes);
	arena_deinit(&config->arena);
	free(config);
}

int config_parse(struct str text, const char *path, struct config **out, struct err *err) {
	struct config *config = calloc(1, sizeof(*config));
	CHECK(config);
	struct reader reader = { .config = config,
		.path = path && path[0] ? path : "configuration" };
	atomic_init(&config->refs, 1);
	config->path = arena_copy(&config->arena, str_of(path ? path : ""));
	const char *slash = strrchr(config->path.ptr, '/');
	config->folder =
		slash ? str_first(config->path, (size_t)(slash - config->path.ptr)) : STR(".");
	config->folder = arena_copy(&config->arena, config->folder);
	int rc = read_all(&reader, text, err);
	if (rc < 0) {
		config_free(config);
		return rc;
	}
	*out = config;
	return 0;
}

struct config *config_ref(struct config *config) {
	/* Relaxed: whoever hands us the pointer holds a reference already. */
	atomic_fetch_add_explicit(&config->refs, 1, memory_order_relaxed);
	return config;
}

void config_unref(struct config *config) {
	/* Release what this owner did; acquire what the others did before the last one frees. */
	if (config && atomic_fetch_sub_explicit(&config->refs, 1, memory_order_acq_rel) == 1) {
		config_free(config);
	}
}

int config_duration_parse(struct str text, int64_t *ms, struct err *err) {
	return duration_parse(text, ms, err);
}

void config_duration_format(int64_t ms, struct buf *out) {
	duration_format(ms, out);
}

void config_print(const struct config *config, struct buf *out) {
	settings_print(&settings_top, config, 0, out);
}

void config_reference(struct buf *out) {
	buf_add_text(out, "# prometheus.yml\n\nMade from the tables in `src/config/tables.c`.\n");
	settings_reference(&settings_top, out);
	settings_reference(&settings_global, out);
	settings_reference(&settings_scrape, out);
	settings_reference(&settings_targets, out);
	settings_reference(&settings_file_sd, out);
}

int config_parse_targets(struct arena *arena, struct str text, const char *path,
	const struct config_targets **out, size_t *count, struct err *err) {
	/* A configuration of its own for the reader's arena; what is kept is copied out. */
	struct config scratch = { 0 };
	struct reader reader = { .config = &scratch, .path = path };
	struct config_scrape holder = { 0 };
	struct yaml_node *root = NULL;
	int rc = yaml_parse(&scratch.arena, text, &root, err);
	rc = rc < 0 ? err_wrap(err, rc, "%s", path) : static_read(&reader, root, &holder, err);
	if (rc == 0) {
		struct config_targets *groups =
			ARENA_NEW(arena, struct config_targets, holder.static_count + 1);
		for (size_t i = 0; i < holder.static_count; i++) {
			const struct config_targets *from = &holder.static_configs[i];
			struct str *items = ARENA_NEW(arena, struct str, from->addresses.count + 1);
			for (size_t j = 0; j < from->addresses.count; j++) {
				items[j] = arena_copy(arena, from->addresses.items[j]);
			}
			struct labels copy = labels_copy(arena, &from->labels);
			groups[i].addresses = (struct config_list){ items, from->addresses.count };
			groups[i].labels = labels_with(arena, &copy, STR("__meta_filepath"),
				arena_copy(arena, str_of(path)));
		}
		*out = groups;
		*count = holder.static_count;
	}
	regex_set_deinit(&scratch.regexes);
	arena_deinit(&scratch.arena);
	return rc;
}
