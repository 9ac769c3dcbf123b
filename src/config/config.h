/*
 * prometheus.yml: read strictly, checked, filled in with defaults, and printed back.
 *
 * Every setting is one row of a table (settings.c): name, type, member, default, what it does.
 * Reading, "did you mean", printing (status/config) and the reference page come from those rows. A
 * key that is not in a table is an error with its line; a section that is known but not built yet
 * is an error that says so, never silently ignored.
 *
 * A configuration is immutable once loaded and counted; any thread may read it.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "label/labels.h"
#include "label/regex.h"
#include "label/relabel.h"

#include <stdatomic.h>
#include <stdint.h>

/* Largest file that is read. */
#define CONFIG_BYTES_MAX (64U * 1024U * 1024U)

struct config_list {
	const struct str *items;
	size_t count;
};

struct config_param {
	struct str name;
	struct config_list values;
};

struct config_params {
	const struct config_param *items;
	size_t count;
};

struct config_relabels {
	const struct relabel_rule *items;
	size_t count;
	const struct yaml_node *written; /* For printing. */
};

/* How to reach somebody's HTTP server. Empty strings: not set. */
struct config_http {
	struct str user;
	struct str user_file;
	struct str password;
	struct str password_file;
	struct str authorization_type; /* "Bearer" unless given. */
	struct str credentials;
	struct str credentials_file;
	struct str bearer_token; /* As written; moved to 'credentials' once checked. */
	struct str bearer_token_file;
	struct str ca_file;
	struct str cert_file;
	struct str key_file;
	struct str server_name;
	struct str proxy_url;
	bool insecure_skip_verify;
	bool follow_redirects;
};

/* Some targets with labels they share. */
struct config_targets {
	struct config_list addresses;
	struct labels labels;
};

struct config_file_sd {
	struct config_list
		files; /* Globs in the last path element; absolute, or from the config's folder. */
	int64_t refresh_interval_ms;
};

/* Limits and protocol settings that stand in global and may be overridden per job. 0: no limit. */
struct config_scrape_limits {
	uint64_t body_size_limit;
	int64_t sample_limit;
	int64_t target_limit;
	int64_t label_limit;
	int64_t label_name_length_limit;
	int64_t label_value_length_limit;
	int64_t keep_dropped_targets;
	struct config_list scrape_protocols; /* "OpenMetricsText1.0.0", ..., best first. */
	bool extra_scrape_metrics;
	bool legacy_names;   /* metric_name_validation_scheme: legacy */
	struct str escaping; /* Of names that are not legacy, as asked of targets; see the Accept
				header. */
};

struct config_scrape {
	struct str job_name;
	unsigned line; /* Where it stands in the file. */
	int64_t scrape_interval_ms;
	int64_t scrape_timeout_ms;
	struct str metrics_path;
	struct str scheme;
	struct str fallback_scrape_protocol; /* Empty: none. */
	struct config_params params;
	bool honor_labels;
	bool honor_timestamps;
	bool track_timestamps_staleness;
	bool enable_compression;
	struct config_scrape_limits limits;
	struct config_http http;
	const struct config_targets *static_configs;
	size_t static_count;
	const struct config_file_sd *file_sd_configs;
	size_t file_sd_count;
	struct config_relabels relabel_configs;
	struct config_relabels metric_relabel_configs;
	const struct yaml_node *written; /* For printing. */
	/*
	 * Of everything above, secrets included; and of what shapes the samples of one target. Jobs
	 * of two configurations with equal hashes are equal (64 bits, seeded by nothing: not for
	 * foes).
	 */
	uint64_t hash;
	uint64_t shape_hash;
};

struct config_global {
	int64_t scrape_interval_ms;
	int64_t scrape_timeout_ms;
	int64_t evaluation_interval_ms;
	struct labels external_labels;
	struct config_scrape_limits limits;
};

struct config {
	_Atomic unsigned refs;
	struct arena arena;
	struct regex_set regexes;
	struct str path;   /* Of the file; empty when parsed from text. */
	struct str folder; /* What relative paths are relative to. */
	struct config_global global;
	const struct config_scrape *scrapes;
	size_t scrape_count;
};

/*
 * Parses and checks a configuration text. 'path' names it in errors ("prometheus.yml:12: ...") and
 * gives the folder for relative file names. Returns 0, ERR_INVAL, ERR_LIMIT, or ERR_ABSENT for a
 * section that is not supported yet. The caller has the only reference.
 */
MUST_USE int config_parse(struct str text, const char *path, struct config **out, struct err *err);

/* One more owner; returns the same configuration. */
struct config *config_ref(struct config *config);
/* Frees with the last reference; NULL is fine. */
void config_unref(struct config *config);

/* Durations as the file has them ("1m30s"); for labels like __scrape_interval__. */
MUST_USE int config_duration_parse(struct str text, int64_t *ms, struct err *err);
void config_duration_format(int64_t ms, struct buf *out);

/* Appends the effective configuration as YAML, defaults filled in, secrets as "<secret>". */
void config_print(const struct config *config, struct buf *out);

/* Appends the reference page (Markdown): every key with type, default and meaning, from the tables.
 */
void config_reference(struct buf *out);

/*
 * Reads target groups as file_sd has them (JSON, which is YAML too, or YAML): a list of {targets,
 * labels}. Every group gets a "__meta_filepath" label of 'path'. Returns 0 or ERR_INVAL; in
 * 'arena'.
 */
MUST_USE int config_parse_targets(struct arena *arena, struct str text, const char *path,
	const struct config_targets **out, size_t *count, struct err *err);

#endif
