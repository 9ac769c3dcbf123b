#include "config/settings.h"

#include "base/check.h"
#include "base/quote.h"
#include "promql/duration.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

int reader_fail(const struct reader *reader, const struct yaml_node *node, struct err *err,
	const char *fmt, ...) {
	char sentence[400];
	va_list args;
	va_start(args, fmt);
	(void)vsnprintf(sentence, sizeof(sentence), fmt, args);
	va_end(args);
	return err_set(err, ERR_INVAL, "%s:%u: %s", reader->path, node->line, sentence);
}

int reader_wrap(
	const struct reader *reader, const struct yaml_node *node, int code, struct err *err) {
	return err_wrap(err, code, "%s:%u", reader->path, node->line);
}

int reader_text(struct reader *reader, const struct yaml_node *node, const char *what,
	struct str *out, struct err *err) {
	if (node->kind != YAML_SCALAR) {
		return reader_fail(reader, node, err, "%s: expected a value, not a %s", what,
			node->kind == YAML_MAPPING ? "mapping" : "list");
	}
	*out = yaml_is_null(node) ? STR_EMPTY : node->text;
	return 0;
}

int reader_list(struct reader *reader, const struct yaml_node *node, const char *what,
	struct config_list *out, struct err *err) {
	if (yaml_is_null(node)) {
		*out = (struct config_list){ 0 };
		return 0;
	}
	if (node->kind != YAML_SEQUENCE) {
		return reader_fail(reader, node, err, "%s: expected a list", what);
	}
	struct str *items = ARENA_NEW(&reader->config->arena, struct str, node->count + 1);
	for (size_t i = 0; i < node->count; i++) {
		int rc = reader_text(reader, &node->items[i], what, &items[i], err);
		if (rc < 0) {
			return rc;
		}
	}
	*out = (struct config_list){ items, node->count };
	return 0;
}

struct unit {
	const char *name;
	unsigned shift;
};

/* Sizes are powers of 1024 whatever the spelling, as Prometheus reads them; a unit is needed. */
static bool parse_bytes(struct str text, uint64_t *out) {
	static const struct unit units[] = { { "B", 0 }, { "KB", 10 }, { "KiB", 10 }, { "MB", 20 },
		{ "MiB", 20 }, { "GB", 30 }, { "GiB", 30 }, { "TB", 40 }, { "TiB", 40 },
		{ "PB", 50 }, { "PiB", 50 } };
	size_t digits = 0;
	uint64_t number = 0;
	while (digits < text.len && text.ptr[digits] >= '0' && text.ptr[digits] <= '9') {
		digits++;
	}
	if (!str_to_u64(str_first(text, digits), &number)) {
		return false;
	}
	if (number == 0 && digits == text.len) {
		*out = 0;
		return true;
	}
	for (size_t i = 0; i < ARRAY_COUNT(units); i++) {
		if (str_equal(str_from(text, digits), str_of(units[i].name))) {
			return !__builtin_mul_overflow(number, UINT64_C(1) << units[i].shift, out);
		}
	}
	return false;
}

static int read_scalar(struct reader *reader, const struct setting *row,
	const struct yaml_node *node, void *member, struct err *err) {
	struct str text = STR_EMPTY;
	int rc = reader_text(reader, node, row->name, &text, err);
	if (rc < 0) {
		return rc;
	}
	if (row->kind == SETTING_TEXT || row->kind == SETTING_SECRET) {
		*(struct str *)member = text;
		return 0;
	}
	if (yaml_is_null(node)) {
		return 0;
	}
	if (row->kind == SETTING_BOOL) {
		rc = yaml_to_bool(node, member, err);
		return rc < 0 ? reader_fail(reader, node, err,
					"%s: \"%.*s\" is neither true nor false", row->name,
					STR_ARG(text))
			      : 0;
	}
	if (row->kind == SETTING_DURATION) {
		int64_t ms = 0;
		struct err reason = { 0 };
		rc = duration_parse(text, &ms, &reason);
		if (rc < 0) {
			return reader_fail(reader, node, err, "%s: %s", row->name, reason.text);
		}
		*(int64_t *)member = ms;
		return 0;
	}
	if (row->kind == SETTING_BYTES) {
		return parse_bytes(text, member)
			       ? 0
			       : reader_fail(reader, node, err,
					 "%s: \"%.*s\" is not a size, write one like 10MB",
					 row->name, STR_ARG(text));
	}
	int64_t count = 0;
	if (!str_to_i64(text, &count) || count < 0) {
		return reader_fail(reader, node, err, "%s: \"%.*s\" is not a whole number",
			row->name, STR_ARG(text));
	}
	*(int64_t *)member = count;
	return 0;
}

static bool asks_for_nothing(const struct yaml_node *node);

/* A list item of static targets that are commented out: it finds nothing. */
static bool finds_nothing(const struct yaml_node *item) {
	const struct yaml_node *inner = NULL;
	if (item->kind == YAML_MAPPING && item->count == 1) {
		inner = yaml_get(item, STR("static_configs"));
		inner = inner ? inner : yaml_get(item, STR("targets"));
	}
	return inner && asks_for_nothing(inner);
}

/*
 * A value that is empty, as examples leave it where all is commented out. A list item that is empty
 * is a mistake, unless it is a list of targets that are.
 */
static bool asks_for_nothing(const struct yaml_node *node) {
	bool is_nothing = node->kind != YAML_SCALAR || yaml_is_null(node);
	for (size_t i = 0; node->kind == YAML_SEQUENCE && i < node->count; i++) {
		is_nothing = is_nothing && finds_nothing(&node->items[i]);
	}
	for (size_t i = 0; node->kind == YAML_MAPPING && i < node->count; i++) {
		is_nothing = is_nothing && asks_for_nothing(&node->items[2 * i + 1]);
	}
	return is_nothing;
}

/* Known to Prometheus, not built here: fine as long as it says what we do anyway. */
static int read_absent(struct reader *reader, const struct setting *row,
	const struct yaml_node *key, struct err *err) {
	const struct yaml_node *node = key + 1;
	bool is_default = node->kind == YAML_SCALAR && row->default_text &&
			  str_equal(node->text, str_of(row->default_text));
	if (is_default || asks_for_nothing(node)) {
		return 0;
	}
	return err_set(err, ERR_ABSENT, "%s:%u: %s is not supported yet; remove it from the file",
		reader->path, key->line, row->name);
}

/* Reads the value that stands behind 'key'. */
static int read_row(struct reader *reader, const struct setting *row, const struct yaml_node *key,
	void *members, struct err *err) {
	const struct yaml_node *node = key + 1;
	void *member = (char *)members + row->offset;

	switch (row->kind) {
	case SETTING_DURATION:
	case SETTING_BYTES:
	case SETTING_COUNT:
	case SETTING_BOOL:
	case SETTING_TEXT:
	case SETTING_SECRET:
		return read_scalar(reader, row, node, member, err);
	case SETTING_LIST:
		return reader_list(reader, node, row->name, member, err);
	case SETTING_GROUP:
		return settings_read(reader, row->group, node, member, err);
	case SETTING_CUSTOM:
		return row->read(reader, node, member, err);
	case SETTING_ABSENT:
		return read_absent(reader, row, key, err);
	}
	CHECK(false);
}

/* A group without a name: its keys stand among those of the table that holds it. */
static bool is_inline(const struct setting *row) {
	return row->kind == SETTING_GROUP && row->name[0] == '\0';
}

/* Finds the row of 'name', and moves '*members' to the struct that its offset is from. */
static const struct setting *find_row(
	const struct settings *settings, struct str name, void **members) {
	for (size_t i = 0; i < settings->count; i++) {
		const struct setting *row = &settings->rows[i];
		void *inner = (char *)*members + row->offset;
		const struct setting *hit =
			is_inline(row) ? find_row(row->group, name, &inner) : NULL;
		if (hit) {
			*members = inner;
			return hit;
		}
		if (str_equal(name, str_of(row->name)) && !is_inline(row)) {
			return row;
		}
	}
	return NULL;
}

/* Edit distance of two short words, bounded: longer words count as unlike. */
static size_t distance(struct str a, struct str b) {
	size_t row[48];
	if (a.len >= ARRAY_COUNT(row) || b.len >= ARRAY_COUNT(row)) {
		return ARRAY_COUNT(row);
	}
	for (size_t j = 0; j <= b.len; j++) {
		row[j] = j;
	}
	for (size_t i = 1; i <= a.len; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= b.len; j++) {
			size_t above = row[j];
			size_t best = diagonal + (a.ptr[i - 1] != b.ptr[j - 1]);
			best = above + 1 < best ? above + 1 : best;
			best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
			diagonal = above;
			row[j] = best;
		}
	}
	return row[b.len];
}

static void find_nearest(const struct settings *settings, struct str name,
	const struct setting **nearest, size_t *least) {
	for (size_t i = 0; i < settings->count; i++) {
		const struct setting *row = &settings->rows[i];
		if (is_inline(row)) {
			find_nearest(row->group, name, nearest, least);
			continue;
		}
		size_t here = distance(name, str_of(row->name));
		if (here < *least) {
			*nearest = row;
			*least = here;
		}
	}
}

static int unknown_key(struct reader *reader, const struct settings *settings,
	const struct yaml_node *key, struct err *err) {
	const struct setting *nearest = NULL;
	size_t least = 4;
	find_nearest(settings, key->text, &nearest, &least);
	if (nearest) {
		return reader_fail(reader, key, err,
			"unknown key \"%.*s\" in %s, did you mean \"%s\"?", STR_ARG(key->text),
			settings->name, nearest->name);
	}
	return reader_fail(
		reader, key, err, "unknown key \"%.*s\" in %s", STR_ARG(key->text), settings->name);
}

static int set_defaults(
	struct reader *reader, const struct settings *settings, void *members, struct err *err) {
	for (size_t i = 0; i < settings->count; i++) {
		const struct setting *row = &settings->rows[i];
		if (is_inline(row)) {
			int rc = set_defaults(
				reader, row->group, (char *)members + row->offset, err);
			if (rc < 0) {
				return rc;
			}
		}
		if (!row->default_text || row->kind == SETTING_ABSENT) {
			continue;
		}
		struct yaml_node pair[2] = { { .kind = YAML_SCALAR, .text = str_of(row->name) },
			{ .kind = YAML_SCALAR, .text = str_of(row->default_text) } };
		int rc = read_row(reader, row, pair, members, err);
		if (rc < 0) {
			return rc;
		}
	}
	return 0;
}

int settings_read(struct reader *reader, const struct settings *settings,
	const struct yaml_node *node, void *members, struct err *err) {
	int rc = set_defaults(reader, settings, members, err);
	if (rc < 0 || yaml_is_null(node)) {
		return rc;
	}
	if (node->kind != YAML_MAPPING) {
		return reader_fail(reader, node, err, "%s: expected a mapping", settings->name);
	}
	for (size_t i = 0; i < node->count; i++) {
		const struct yaml_node *key = &node->items[2 * i];
		void *holder = members;
		const struct setting *row = find_row(settings, key->text, &holder);
		if (!row) {
			return unknown_key(reader, settings, key, err);
		}
		rc = read_row(reader, row, key, holder, err);
		if (rc < 0) {
			return rc;
		}
	}
	return 0;
}

static bool reads_as_other(struct str text) {
	static const char *const words[] = { "true", "false", "null", "yes", "no", "on", "off", "y",
		"n", "~", ".nan", ".inf" };
	for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
		if (str_equal_nocase(text, str_of(words[i]))) {
			return true;
		}
	}
	return text.len == 0 || (text.ptr[0] >= '0' && text.ptr[0] <= '9') || text.ptr[0] == '+' ||
	       text.ptr[0] == '-' || text.ptr[0] == '.';
}

static bool is_plain(struct str text) {
	static const char special[] = ":#{}[],&*!|>'\"%@`?\\";
	for (size_t i = 0; i < text.len; i++) {
		unsigned char byte = (unsigned char)text.ptr[i];
		if (byte <= ' ' || byte >= 0x7f || memchr(special, byte, sizeof(special) - 1)) {
			return false;
		}
	}
	return !reads_as_other(text);
}

void yaml_put(struct str text, struct buf *out) {
	if (is_plain(text)) {
		buf_add_str(out, text);
	} else {
		quote_append(text, out);
	}
}

static void print_key(const char *key, int indent, struct buf *out) {
	buf_printf(out, "%*s%s: ", indent, "", key);
}

static void print_bytes(uint64_t bytes, struct buf *out) {
	static const char *const names[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB" };
	size_t unit = 0;
	while (bytes > 0 && bytes % 1024 == 0 && unit + 1 < ARRAY_COUNT(names)) {
		bytes /= 1024;
		unit++;
	}
	buf_printf(out, "%" PRIu64 "%s", bytes, bytes > 0 ? names[unit] : "B");
}

static void print_text(const struct setting *row, struct str text, int indent, struct buf *out) {
	if (text.len == 0) {
		return;
	}
	print_key(row->name, indent, out);
	if (row->kind == SETTING_SECRET) {
		buf_add_text(out, "<secret>");
	} else {
		yaml_put(text, out);
	}
	buf_add_byte(out, '\n');
}

static void print_list(
	const char *key, const struct config_list *list, int indent, struct buf *out) {
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

static void print_row(const struct setting *row, const void *members, int indent, struct buf *out) {
	const void *member = (const char *)members + row->offset;

	switch (row->kind) {
	case SETTING_DURATION:
		print_key(row->name, indent, out);
		duration_format(*(const int64_t *)member, out);
		buf_add_byte(out, '\n');
		return;
	case SETTING_BYTES:
		if (*(const uint64_t *)member > 0) {
			print_key(row->name, indent, out);
			print_bytes(*(const uint64_t *)member, out);
			buf_add_byte(out, '\n');
		}
		return;
	case SETTING_COUNT:
		if (*(const int64_t *)member > 0) {
			print_key(row->name, indent, out);
			buf_printf(out, "%" PRId64 "\n", *(const int64_t *)member);
		}
		return;
	case SETTING_BOOL:
		if (*(const bool *)member ||
			(row->default_text && strcmp(row->default_text, "true") == 0)) {
			print_key(row->name, indent, out);
			buf_printf(out, "%s\n", *(const bool *)member ? "true" : "false");
		}
		return;
	case SETTING_TEXT:
	case SETTING_SECRET:
		print_text(row, *(const struct str *)member, indent, out);
		return;
	case SETTING_LIST:
		print_list(row->name, member, indent, out);
		return;
	case SETTING_GROUP: {
		if (is_inline(row)) {
			settings_print(row->group, member, indent, out);
			return;
		}
		AUTO(buf_deinit) struct buf inner = { 0 };
		settings_print(row->group, member, indent + 2, &inner);
		if (inner.len > 0) {
			buf_printf(out, "%*s%s:\n", indent, "", row->name);
			buf_add_str(out, buf_str(&inner));
		}
		return;
	}
	case SETTING_CUSTOM:
		row->print(row->name, member, indent, out);
		return;
	case SETTING_ABSENT:
		return;
	}
}

void settings_print(
	const struct settings *settings, const void *members, int indent, struct buf *out) {
	for (size_t i = 0; i < settings->count; i++) {
		print_row(&settings->rows[i], members, indent, out);
	}
}

static const char *kind_text(enum setting_kind kind) {
	switch (kind) {
	case SETTING_DURATION:
		return "duration";
	case SETTING_BYTES:
		return "size";
	case SETTING_COUNT:
		return "number";
	case SETTING_BOOL:
		return "boolean";
	case SETTING_TEXT:
		return "text";
	case SETTING_SECRET:
		return "secret";
	case SETTING_LIST:
		return "list of text";
	case SETTING_GROUP:
	case SETTING_CUSTOM:
		return "block";
	case SETTING_ABSENT:
		return "not supported yet";
	}
	CHECK(false);
}

void settings_reference(const struct settings *settings, struct buf *out) {
	buf_printf(out,
		"\n## %s\n\n| key | type | default | meaning |\n| --- | --- | --- | --- |\n",
		settings->name);
	for (size_t i = 0; i < settings->count; i++) {
		const struct setting *row = &settings->rows[i];
		if (is_inline(row)) {
			continue;
		}
		buf_printf(out, "| `%s` | %s | %s | %s |\n", row->name, kind_text(row->kind),
			row->default_text ? row->default_text : "", row->help ? row->help : "");
	}
	for (size_t i = 0; i < settings->count; i++) {
		if (settings->rows[i].kind == SETTING_GROUP) {
			settings_reference(settings->rows[i].group, out);
		}
	}
}
