#include "config/blocks.h"

#include <inttypes.h>
#include <stdlib.h>

/* Formats that the scraper reads; the protobuf one is Prometheus' alone for now. */
static const char *const protocols[] = { "OpenMetricsText1.0.0", "OpenMetricsText0.0.1",
	"PrometheusText1.0.0", "PrometheusText0.0.4" };

static int check_protocol(
	struct reader *reader, const struct yaml_node *node, struct str name, struct err *err) {
	for (size_t i = 0; i < ARRAY_COUNT(protocols); i++) {
		if (str_equal(name, str_of(protocols[i]))) {
			return 0;
		}
	}
	if (str_equal(name, STR("PrometheusProto"))) {
		return err_set(err, ERR_ABSENT,
			"%s:%u: scrape protocol PrometheusProto is not supported yet; remove it "
			"from the file",
			reader->path, node->line);
	}
	return reader_fail(reader, node, err,
		"unknown scrape protocol \"%.*s\", supported: OpenMetricsText1.0.0, "
		"OpenMetricsText0.0.1, PrometheusText1.0.0, PrometheusText0.0.4",
		STR_ARG(name));
}

int protocols_read(
	struct reader *reader, const struct yaml_node *node, void *member, struct err *err) {
	struct config_list list = { 0 };
	int rc = reader_list(reader, node, "scrape_protocols", &list, err);
	for (size_t i = 0; rc == 0 && i < list.count; i++) {
		rc = check_protocol(reader, &node->items[i], list.items[i], err);
		for (size_t j = 0; rc == 0 && j < i; j++) {
			if (str_equal(list.items[j], list.items[i])) {
				rc = reader_fail(reader, &node->items[i], err,
					"scrape_protocols: \"%.*s\" is given twice",
					STR_ARG(list.items[i]));
			}
		}
	}
	if (rc == 0 && list.count == 0 && !yaml_is_null(node)) {
		rc = reader_fail(reader, node, err, "scrape_protocols cannot be empty");
	}
	if (rc < 0) {
		return rc;
	}
	*(struct config_list *)member = list;
	return 0;
}

int scheme_read(
	struct reader *reader, const struct yaml_node *node, void *member, struct err *err) {
	struct str text = STR_EMPTY;
	int rc = reader_text(reader, node, "metric_name_validation_scheme", &text, err);
	if (rc < 0) {
		return rc;
	}
	bool is_legacy = str_equal(text, STR("legacy"));
	if (!is_legacy && !str_equal(text, STR("utf8")) && text.len > 0) {
		return reader_fail(reader, node, err,
			"metric_name_validation_scheme: \"%.*s\" is neither utf8 nor legacy",
			STR_ARG(text));
	}
	*(bool *)member = is_legacy;
	return 0;
}

void scheme_print(const char *key, const void *member, int indent, struct buf *out) {
	buf_printf(out, "%*s%s: %s\n", indent, "", key, *(const bool *)member ? "legacy" : "utf8");
}

int escaping_read(
	struct reader *reader, const struct yaml_node *node, void *member, struct err *err) {
	static const char *const words[] = { "", "allow-utf-8", "underscores", "dots", "values" };
	struct str text = STR_EMPTY;
	int rc = reader_text(reader, node, "metric_name_escaping_scheme", &text, err);
	for (size_t i = 0; rc == 0 && i < ARRAY_COUNT(words); i++) {
		if (str_equal(text, str_of(words[i]))) {
			*(struct str *)member = text;
			return 0;
		}
	}
	return rc < 0 ? rc
		      : reader_fail(reader, node, err,
				"metric_name_escaping_scheme: \"%.*s\" is none of allow-utf-8, "
				"underscores, dots, values",
				STR_ARG(text));
}

int url_scheme_read(
	struct reader *reader, const struct yaml_node *node, void *member, struct err *err) {
	struct str text = STR_EMPTY;
	int rc = reader_text(reader, node, "scheme", &text, err);
	if (rc < 0) {
		return rc;
	}
	if (!str_equal(text, STR("http")) && !str_equal(text, STR("https"))) {
		return reader_fail(reader, node, err, "scheme: \"%.*s\" is neither http nor https",
			STR_ARG(text));
	}
	*(struct str *)member = text;
	return 0;
}

int fallback_read(
	struct reader *reader, const struct yaml_node *node, void *member, struct err *err) {
	struct str text = STR_EMPTY;
	int rc = reader_text(reader, node, "fallback_scrape_protocol", &text, err);
	if (rc == 0 && text.len > 0) {
		rc = check_protocol(reader, node, text, err);
	}
	if (rc < 0) {
		return rc;
	}
	*(struct str *)member = text;
	return 0;
}

int proxy_read(struct reader *reader, const struct yaml_node *node, void *member, struct err *err) {
	struct str text = STR_EMPTY;
	int rc = reader_text(reader, node, "proxy_url", &text, err);
	if (rc < 0) {
		return rc;
	}
	*(struct str *)member = text;
	return 0;
}

/* Where the password of "scheme://user:password@host" begins and ends; false if there is none. */
static bool find_password(struct str url, size_t *start, size_t *end) {
	size_t at = str_find(url, '/');
	at = at != SIZE_MAX && at + 1 < url.len && url.ptr[at + 1] == '/' ? at + 2 : 0;
	size_t stop = at;
	size_t colon = SIZE_MAX;
	*end = SIZE_MAX;
	for (; stop < url.len && url.ptr[stop] != '/'; stop++) {
		colon = colon == SIZE_MAX && url.ptr[stop] == ':' ? stop : colon;
		*end = url.ptr[stop] == '@' ? stop : *end;
	}
	*start = colon + 1;
	return colon != SIZE_MAX && *end != SIZE_MAX && colon < *end;
}

void proxy_print(const char *key, const void *member, int indent, struct buf *out) {
	struct str url = *(const struct str *)member;
	size_t start = 0;
	size_t end = 0;
	if (!find_password(url, &start, &end)) {
		text_print(key, member, indent, out);
		return;
	}
	AUTO(buf_deinit) struct buf hidden = { 0 };
	buf_printf(&hidden, "%.*sxxxxx%.*s", STR_ARG(str_first(url, start)),
		STR_ARG(str_from(url, end)));
	struct str text = buf_str(&hidden);
	text_print(key, &text, indent, out);
}

void text_print(const char *key, const void *member, int indent, struct buf *out) {
	const struct str *text = member;
	if (text->len > 0) {
		buf_printf(out, "%*s%s: ", indent, "", key);
		yaml_put(*text, out);
		buf_add_byte(out, '\n');
	}
}

void list_print(const char *key, const void *member, int indent, struct buf *out) {
	const struct config_list *list = member;
	if (list->count == 0) {
		return;
	}
	buf_printf(out, "%*s%s:\n", indent, "", key);
	for (size_t i = 0; i < list->count; i++) {
		buf_printf(out, "%*s- ", indent, "");
		yaml_put(list->items[i], out);
		buf_add_byte(out, '\n');
	}
}

/* NAME.json, .yml, .yaml with '*' in the last path element only. */
static bool is_file_pattern(struct str pattern) {
	static const char *const endings[] = { ".json", ".yml", ".yaml", ".JSON", ".YML", ".YAML" };
	size_t star = str_find(pattern, '*');
	if (star != SIZE_MAX && str_find(str_from(pattern, star), '/') != SIZE_MAX) {
		return false;
	}
	for (size_t i = 0; i < ARRAY_COUNT(endings); i++) {
		if (str_ends(pattern, str_of(endings[i]))) {
			return true;
		}
	}
	return false;
}

int file_patterns_read(
	struct reader *reader, const struct yaml_node *node, void *member, struct err *err) {
	struct config_list list = { 0 };
	int rc = reader_list(reader, node, "files", &list, err);
	if (rc < 0) {
		return rc;
	}
	for (size_t i = 0; i < list.count; i++) {
		if (!is_file_pattern(list.items[i])) {
			return reader_fail(reader, &node->items[i], err,
				"path name \"%.*s\" is not valid for file discovery: it must end "
				"in .json, .yml or .yaml, with * in the last element only",
				STR_ARG(list.items[i]));
		}
	}
	*(struct config_list *)member = list;
	return 0;
}

int addresses_read(
	struct reader *reader, const struct yaml_node *node, void *member, struct err *err) {
	struct config_list list = { 0 };
	int rc = reader_list(reader, node, "targets", &list, err);
	if (rc < 0) {
		return rc;
	}
	for (size_t i = 0; i < list.count; i++) {
		if (str_find(list.items[i], '/') != SIZE_MAX) {
			return reader_fail(reader, &node->items[i], err,
				"target \"%.*s\" is not host:port; the path belongs into "
				"metrics_path, "
				"the scheme into scheme",
				STR_ARG(list.items[i]));
		}
	}
	*(struct config_list *)member = list;
	return 0;
}

/* Replaces $NAME and ${NAME} by the environment's value; "$$" is one dollar. */
static struct str expand(struct reader *reader, struct str text) {
	AUTO(buf_deinit) struct buf out = { 0 };
	for (size_t i = 0; i < text.len;) {
		if (text.ptr[i] != '$' || i + 1 == text.len) {
			buf_add_byte(&out, text.ptr[i++]);
			continue;
		}
		if (text.ptr[++i] == '$') {
			buf_add_byte(&out, text.ptr[i++]);
			continue;
		}
		bool is_braced = text.ptr[i] == '{';
		size_t start = is_braced ? i + 1 : i;
		size_t end = start;
		while (end < text.len &&
			(is_braced ? text.ptr[end] != '}'
				   : label_name_is_legacy(
					     (struct str){ text.ptr + start, end + 1 - start }))) {
			end++;
		}
		struct str name = arena_copy(
			&reader->config->arena, (struct str){ text.ptr + start, end - start });
		// NOLINTNEXTLINE(concurrency-mt-unsafe): nobody changes our environment
		const char *value = getenv(name.ptr);
		buf_add_text(&out, value ? value : "");
		i = is_braced && end < text.len ? end + 1 : end;
	}
	return arena_copy(&reader->config->arena, buf_str(&out));
}

static int check_label_name(struct reader *reader, const struct yaml_node *key, struct err *err) {
	if (key->text.len == 0 || !str_is_utf8(key->text)) {
		return reader_fail(
			reader, key, err, "\"%.*s\" is not a valid label name", STR_ARG(key->text));
	}
	return 0;
}

static int read_labels(struct reader *reader, const struct yaml_node *node, bool expanded,
	struct labels *out, struct err *err) {
	struct label pairs[LABELS_COUNT_MAX];
	if (yaml_is_null(node)) {
		*out = (struct labels){ 0 };
		return 0;
	}
	if (node->kind != YAML_MAPPING || node->count > LABELS_COUNT_MAX) {
		return reader_fail(reader, node, err,
			"labels: expected a mapping of at most %d names to values",
			LABELS_COUNT_MAX);
	}
	for (size_t i = 0; i < node->count; i++) {
		const struct yaml_node *key = &node->items[2 * i];
		struct str value = STR_EMPTY;
		int rc = check_label_name(reader, key, err);
		if (rc == 0) {
			rc = reader_text(reader, &node->items[2 * i + 1], "label", &value, err);
		}
		if (rc == 0 && !str_is_utf8(value)) {
			rc = reader_fail(reader, key, err,
				"the value of label \"%.*s\" is not UTF-8", STR_ARG(key->text));
		}
		if (rc < 0) {
			return rc;
		}
		pairs[i] = (struct label){ key->text, expanded ? expand(reader, value) : value };
	}
	int rc = labels_build(&reader->config->arena, pairs, node->count, out, err);
	return rc < 0 ? reader_wrap(reader, node, rc, err) : 0;
}

int labels_read(
	struct reader *reader, const struct yaml_node *node, void *member, struct err *err) {
	return read_labels(reader, node, false, member, err);
}

int external_labels_read(
	struct reader *reader, const struct yaml_node *node, void *member, struct err *err) {
	return read_labels(reader, node, true, member, err);
}

void labels_print(const char *key, const void *member, int indent, struct buf *out) {
	const struct labels *set = member;
	if (set->count == 0) {
		return;
	}
	buf_printf(out, "%*s%s:\n", indent, "", key);
	for (size_t i = 0; i < set->count; i++) {
		buf_printf(out, "%*s", indent + 2, "");
		yaml_put(set->pairs[i].name, out);
		buf_add_text(out, ": ");
		yaml_put(set->pairs[i].value, out);
		buf_add_byte(out, '\n');
	}
}

int params_read(
	struct reader *reader, const struct yaml_node *node, void *member, struct err *err) {
	if (yaml_is_null(node)) {
		return 0;
	}
	if (node->kind != YAML_MAPPING) {
		return reader_fail(
			reader, node, err, "params: expected a mapping of names to lists");
	}
	struct config_param *items =
		ARENA_NEW(&reader->config->arena, struct config_param, node->count + 1);
	for (size_t i = 0; i < node->count; i++) {
		items[i].name = node->items[2 * i].text;
		int rc = reader_list(
			reader, &node->items[2 * i + 1], "params", &items[i].values, err);
		if (rc < 0) {
			return rc;
		}
	}
	*(struct config_params *)member = (struct config_params){ items, node->count };
	return 0;
}

void params_print(const char *key, const void *member, int indent, struct buf *out) {
	const struct config_params *params = member;
	if (params->count == 0) {
		return;
	}
	buf_printf(out, "%*s%s:\n", indent, "", key);
	for (size_t i = 0; i < params->count; i++) {
		AUTO(buf_deinit) struct buf name = { 0 };
		yaml_put(params->items[i].name, &name);
		list_print(buf_text(&name), &params->items[i].values, indent + 2, out);
	}
}

static int read_targets(struct reader *reader, const struct yaml_node *node,
	struct config_targets **out, size_t *count, struct err *err) {
	if (node->kind != YAML_SEQUENCE && !yaml_is_null(node)) {
		return reader_fail(reader, node, err, "static_configs: expected a list");
	}
	struct config_targets *groups =
		ARENA_NEW(&reader->config->arena, struct config_targets, node->count + 1);
	for (size_t i = 0; i < node->count; i++) {
		if (yaml_is_null(&node->items[i])) {
			return reader_fail(reader, &node->items[i], err,
				"empty or null section in static_configs");
		}
		int rc = settings_read(reader, &settings_targets, &node->items[i], &groups[i], err);
		if (rc < 0) {
			return rc;
		}
	}
	*out = groups;
	*count = node->count;
	return 0;
}

int static_read(
	struct reader *reader, const struct yaml_node *node, void *member, struct err *err) {
	struct config_scrape *scrape = member;
	struct config_targets *groups = NULL;
	int rc = read_targets(reader, node, &groups, &scrape->static_count, err);
	scrape->static_configs = groups;
	return rc;
}

/* Prints a list of structs, one "- key: ..." block each. */
static void print_blocks(const char *key, const struct settings *settings, const void *items,
	size_t size, size_t count, int indent, struct buf *out) {
	if (count == 0) {
		return;
	}
	buf_printf(out, "%*s%s:\n", indent, "", key);
	for (size_t i = 0; i < count; i++) {
		size_t start = out->len;
		settings_print(settings, (const char *)items + i * size, indent + 2, out);
		if (out->len > start) {
			out->ptr[start + (size_t)indent] = '-';
		}
	}
}

void static_print(const char *key, const void *member, int indent, struct buf *out) {
	const struct config_scrape *scrape = member;
	print_blocks(key, &settings_targets, scrape->static_configs, sizeof(struct config_targets),
		scrape->static_count, indent, out);
}

int file_sd_read(
	struct reader *reader, const struct yaml_node *node, void *member, struct err *err) {
	struct config_scrape *scrape = member;
	if (node->kind != YAML_SEQUENCE && !yaml_is_null(node)) {
		return reader_fail(reader, node, err, "file_sd_configs: expected a list");
	}
	struct config_file_sd *items =
		ARENA_NEW(&reader->config->arena, struct config_file_sd, node->count + 1);
	for (size_t i = 0; i < node->count; i++) {
		int rc = settings_read(reader, &settings_file_sd, &node->items[i], &items[i], err);
		if (rc == 0 && items[i].files.count == 0) {
			rc = reader_fail(reader, &node->items[i], err,
				"file discovery needs at least one path in files");
		}
		if (rc == 0 && items[i].refresh_interval_ms <= 0) {
			rc = reader_fail(reader, &node->items[i], err,
				"refresh_interval must be more than 0");
		}
		if (rc < 0) {
			return rc;
		}
	}
	scrape->file_sd_configs = items;
	scrape->file_sd_count = node->count;
	return 0;
}

void file_sd_print(const char *key, const void *member, int indent, struct buf *out) {
	const struct config_scrape *scrape = member;
	print_blocks(key, &settings_file_sd, scrape->file_sd_configs, sizeof(struct config_file_sd),
		scrape->file_sd_count, indent, out);
}
