#include "mesh/fields.h"

#include "base/buf.h"

static int read_texts(
	struct arena *arena, const struct yaml_node *node, struct texts *out, struct err *err) {
	if (node->kind != YAML_SEQUENCE) {
		return err_set(err, ERR_INVAL, "line %u: a list is expected", node->line);
	}
	struct str *items = ARENA_NEW(arena, struct str, node->count);
	for (size_t i = 0; i < node->count; i++) {
		int rc = yaml_to_str(&node->items[i], &items[i], err);
		if (rc < 0) {
			return rc;
		}
	}
	*out = (struct texts){ items, node->count };
	return 0;
}

struct unit {
	const char *name;
	uint64_t factor;
};

/* A number and one of the units, all of 'text'. */
static bool scan(struct str text, const struct unit *units, size_t unit_count, uint64_t *out) {
	size_t digits = 0;
	while (digits < text.len && text.ptr[digits] >= '0' && text.ptr[digits] <= '9') {
		digits++;
	}
	uint64_t number = 0;
	if (!str_to_u64(str_first(text, digits), &number)) {
		return false;
	}
	for (size_t i = 0; i < unit_count; i++) {
		uint64_t product;
		if (str_equal(str_from(text, digits), str_of(units[i].name)) &&
			!__builtin_mul_overflow(number, units[i].factor, &product) &&
			product <= INT64_MAX) {
			*out = product;
			return true;
		}
	}
	return false;
}

static const struct unit byte_units[] = {
	{ "", 1 },
	{ "B", 1 },
	{ "KB", 1024 },
	{ "KiB", 1024 },
	{ "MB", 1024 * 1024 },
	{ "MiB", 1024 * 1024 },
	{ "GB", 1024 * 1024 * 1024 },
	{ "GiB", 1024 * 1024 * 1024 },
};

static const struct unit time_units[] = {
	{ "ms", 1 },
	{ "s", 1000 },
	{ "m", 60 * 1000 },
	{ "h", 3600 * 1000 },
};

static int read_number(const struct yaml_node *node, const char *expected, const struct unit *units,
	size_t unit_count, uint64_t *out, struct err *err) {
	struct str text = STR_EMPTY;
	int rc = yaml_to_str(node, &text, err);
	if (rc < 0) {
		return rc;
	}
	if (!scan(text, units, unit_count, out)) {
		return err_set(err, ERR_INVAL, "line %u: \"%.*s\" is not %s", node->line,
			STR_ARG(str_first(text, 60)), expected);
	}
	return 0;
}

static int read_value(struct arena *arena, const struct yaml_node *node, const struct field *field,
	void *target, struct err *err) {
	void *member = (char *)target + field->offset;
	static const struct unit no_unit[] = { { "", 1 } };
	switch (field->kind) {
	case FIELD_TEXT:
		return yaml_to_str(node, member, err);
	case FIELD_TEXTS:
		return read_texts(arena, node, member, err);
	case FIELD_COUNT:
		return read_number(node, "a whole number", no_unit, 1, member, err);
	case FIELD_BYTES:
		return read_number(node, "a size like 512, 64KB or 10MiB", byte_units,
			ARRAY_COUNT(byte_units), member, err);
	case FIELD_DURATION:
		return read_number(node, "a duration like 500ms, 30s or 5m", time_units,
			ARRAY_COUNT(time_units), member, err);
	case FIELD_NODE:
		*(const struct yaml_node **)member = node;
		return 0;
	}
	return err_set(err, ERR_INVAL, "line %u: unreadable", node->line);
}

static const struct field *find_field(
	const struct field *fields, size_t field_count, struct str name) {
	for (size_t i = 0; i < field_count; i++) {
		if (str_equal(name, str_of(fields[i].name))) {
			return &fields[i];
		}
	}
	return NULL;
}

static int unknown_key(const struct yaml_node *key, const char *what, const struct field *fields,
	size_t field_count, struct err *err) {
	AUTO(buf_deinit) struct buf known = { 0 };
	for (size_t i = 0; i < field_count; i++) {
		buf_printf(&known, "%s%s", i > 0 ? ", " : "", fields[i].name);
	}
	return err_set(err, ERR_INVAL, "line %u: unknown key \"%.*s\" in %s; known are %s",
		key->line, STR_ARG(str_first(key->text, 60)), what, buf_text(&known));
}

int fields_read(struct arena *arena, const struct yaml_node *mapping, const char *what,
	const struct field *fields, size_t field_count, void *target, struct err *err) {
	if (mapping->kind != YAML_MAPPING) {
		return err_set(err, ERR_INVAL, "line %u: %s must be a mapping of keys to values",
			mapping->line, what);
	}
	for (size_t i = 0; i < mapping->count; i++) {
		const struct yaml_node *key = &mapping->items[2 * i];
		const struct yaml_node *value = &mapping->items[2 * i + 1];
		const struct field *field = key->kind == YAML_SCALAR
						    ? find_field(fields, field_count, key->text)
						    : NULL;
		if (!field) {
			return unknown_key(key, what, fields, field_count, err);
		}
		int rc = read_value(arena, value, field, target, err);
		if (rc < 0) {
			return rc;
		}
	}
	for (size_t i = 0; i < field_count; i++) {
		const struct yaml_node *value = yaml_get(mapping, str_of(fields[i].name));
		if (fields[i].is_required && (!value || yaml_is_null(value))) {
			return err_set(err, ERR_INVAL, "line %u: %s lacks \"%s\"", mapping->line,
				what, fields[i].name);
		}
	}
	return 0;
}
