#include "matrix/table.h"

#include "base/hash.h"
#include "base/map.h"
#include "base/memory.h"

#include <stdlib.h>

enum table_kind {
	TABLE_SAME = 0, /* Every series has the one value. */
	TABLE_OWN = 1,  /* The first series has the first value, and so on. */
	TABLE_MIXED =
		2, /* A number for each series: 0 for none, else the value's place plus one. */
};

/* One label name while encoding. */
struct column {
	struct str name;
	struct map places; /* From a value to its place. */
	struct str *values;
	size_t value_count;
	size_t value_capacity;
	struct buf numbers; /* A varint for each series so far. */
	size_t rows;        /* How many of them. */
	bool is_own;        /* So far the numbers are 1, 2, 3, ... */
	bool is_same;       /* So far they are all 1. */
};

struct encoder {
	struct map places; /* From a name to its column. */
	struct column *columns;
	size_t count;
	size_t capacity;
};

struct name_key {
	const struct encoder *encoder;
	struct str name;
};

struct value_key {
	const struct column *column;
	struct str value;
};

static bool name_equal(uint64_t place, const void *key) {
	const struct name_key *wanted = key;
	return str_equal(wanted->encoder->columns[place].name, wanted->name);
}

static bool value_equal(uint64_t place, const void *key) {
	const struct value_key *wanted = key;
	return str_equal(wanted->column->values[place], wanted->value);
}

static struct column *find_column(struct encoder *encoder, struct str name) {
	const struct name_key key = { encoder, name };
	uint64_t hash = hash_str(name, 0);
	uint64_t place = 0;
	if (map_find(&encoder->places, hash, name_equal, &key, &place)) {
		return &encoder->columns[place];
	}
	if (encoder->count == encoder->capacity) {
		encoder->capacity = encoder->capacity ? encoder->capacity * 2 : 16;
		encoder->columns = memory_resize(
			encoder->columns, encoder->capacity, sizeof(encoder->columns[0]));
	}
	map_add(&encoder->places, hash, encoder->count);
	struct column *column = &encoder->columns[encoder->count++];
	*column = (struct column){ .name = name, .is_own = true, .is_same = true };
	return column;
}

static size_t find_value(struct column *column, struct str value) {
	const struct value_key key = { column, value };
	uint64_t hash = hash_str(value, 0);
	uint64_t place = 0;
	if (map_find(&column->places, hash, value_equal, &key, &place)) {
		return (size_t)place;
	}
	if (column->value_count == column->value_capacity) {
		column->value_capacity = column->value_capacity ? column->value_capacity * 2 : 8;
		column->values = memory_resize(
			column->values, column->value_capacity, sizeof(column->values[0]));
	}
	map_add(&column->places, hash, column->value_count);
	column->values[column->value_count] = value;
	return column->value_count++;
}

/* Says that the series up to 'rows' lack the label. */
static void pad_column(struct column *column, size_t rows) {
	for (; column->rows < rows; column->rows++) {
		column->is_own = column->is_same = false;
		buf_add_byte(&column->numbers, 0);
	}
}

static void add_value(struct column *column, size_t row, struct str value) {
	pad_column(column, row);
	size_t number = find_value(column, value) + 1;
	column->is_own &= number == row + 1;
	column->is_same &= number == 1;
	put_varint(&column->numbers, number);
	column->rows++;
}

static void put_column(const struct column *column, struct buf *out) {
	put_str(out, column->name);
	if (column->is_same) {
		buf_add_byte(out, TABLE_SAME);
		put_str(out, column->values[0]);
		return;
	}
	buf_add_byte(out, column->is_own ? TABLE_OWN : TABLE_MIXED);
	put_varint(out, column->value_count);
	for (size_t i = 0; i < column->value_count; i++) {
		put_varint(out, column->values[i].len);
	}
	for (size_t i = 0; i < column->value_count; i++) {
		buf_add_str(out, column->values[i]);
	}
	if (!column->is_own) {
		buf_add_str(out, buf_str(&column->numbers));
	}
}

static int compare_columns(const void *a, const void *b) {
	return str_cmp(((const struct column *)a)->name, ((const struct column *)b)->name);
}

void table_encode(table_row_fn *row, const void *context, size_t count, struct buf *out) {
	struct encoder encoder = { 0 };
	for (size_t i = 0; i < count; i++) {
		const struct labels *set = row(context, i);
		for (size_t j = 0; j < set->count; j++) {
			add_value(
				find_column(&encoder, set->pairs[j].name), i, set->pairs[j].value);
		}
	}
	map_deinit(&encoder.places);
	if (encoder.count > 0) {
		qsort(encoder.columns, encoder.count, sizeof(encoder.columns[0]), compare_columns);
	}
	put_varint(out, encoder.count);
	for (size_t i = 0; i < encoder.count; i++) {
		struct column *column = &encoder.columns[i];
		pad_column(column, count);
		put_column(column, out);
		map_deinit(&column->places);
		buf_deinit(&column->numbers);
		free(column->values);
	}
	free(encoder.columns);
}

/* One label name while decoding. */
struct names {
	struct str name;
	enum table_kind kind;
	struct str *values;
	size_t value_count;
	struct reader numbers; /* TABLE_MIXED: where the next series' number stands. */
};

static int malformed(struct err *err, const char *what) {
	return err_set(err, ERR_CORRUPT, "compact matrix: %s", what);
}

/* The dictionary of one name. */
static int read_values(
	struct reader *in, struct names *column, struct arena *arena, struct err *err) {
	column->value_count = get_count(in);
	column->values = ARENA_TRY_NEW(arena, struct str, column->value_count + 1, err);
	if (!column->values) {
		return ERR_LIMIT;
	}
	for (size_t i = 0; i < column->value_count; i++) {
		column->values[i].len = get_count(in);
	}
	for (size_t i = 0; i < column->value_count; i++) {
		size_t len = column->values[i].len;
		const uint8_t *bytes = get_bytes(in, len);
		if (!bytes || len == 0) {
			return malformed(err, "a label's value is cut off or empty");
		}
		column->values[i] = arena_copy(arena, (struct str){ (const char *)bytes, len });
	}
	return 0;
}

/* Remembers where the series' numbers stand and steps over them. */
static int skip_numbers(struct reader *in, struct names *column, size_t count, struct err *err) {
	column->numbers = *in;
	for (size_t i = 0; i < count && !in->has_failed; i++) {
		if (get_varint(in) > column->value_count) {
			return malformed(err, "a series' label has a value that is not there");
		}
	}
	return 0;
}

static int read_column(struct reader *in, struct names *column, size_t count, struct arena *arena,
	struct err *err) {
	struct str name = get_str(in);
	uint8_t kind = get_byte(in);
	if (in->has_failed || name.len == 0 || kind > TABLE_MIXED) {
		return malformed(err, "malformed label column");
	}
	column->name = arena_copy(arena, name);
	column->kind = (enum table_kind)kind;
	if (kind == TABLE_SAME) {
		struct str value = get_str(in);
		if (value.len == 0) {
			return malformed(err, "a label's value is cut off or empty");
		}
		column->values = ARENA_NEW(arena, struct str, 1);
		column->values[0] = arena_copy(arena, value);
		column->value_count = 1;
		return 0;
	}
	int rc = read_values(in, column, arena, err);
	if (rc == 0 && kind == TABLE_OWN && column->value_count != count) {
		return malformed(err, "a label column is of another length than the table");
	}
	return rc == 0 && kind == TABLE_MIXED ? skip_numbers(in, column, count, err) : rc;
}

/* The value's place plus one, 0 for none. Called for each series in turn. */
static size_t next_number(struct names *column, size_t row) {
	switch (column->kind) {
	case TABLE_SAME:
		return 1;
	case TABLE_OWN:
		return row + 1;
	case TABLE_MIXED:
		break;
	}
	return (size_t)get_varint(&column->numbers);
}

static int build_row(struct names *columns, size_t column_count, size_t row, struct arena *arena,
	struct labels *out, struct err *err) {
	struct label pairs[LABELS_COUNT_MAX];
	size_t count = 0;
	for (size_t i = 0; i < column_count; i++) {
		size_t number = next_number(&columns[i], row);
		if (number == 0) {
			continue;
		}
		if (count + 1 >= LABELS_COUNT_MAX) {
			return err_set(err, ERR_LIMIT,
				"compact matrix: a series has more than %d labels",
				LABELS_COUNT_MAX - 1);
		}
		pairs[count++] = (struct label){ columns[i].name, columns[i].values[number - 1] };
	}
	struct label *kept = ARENA_TRY_NEW(arena, struct label, count + 1, err);
	if (!kept) {
		return ERR_LIMIT;
	}
	memcpy(kept, pairs, count * sizeof(pairs[0]));
	*out = (struct labels){ kept, count };
	return 0;
}

int table_decode(struct reader *in, size_t count, struct arena *arena, struct labels **out,
	struct err *err) {
	size_t column_count = get_count(in);
	struct names *columns = ARENA_TRY_NEW(arena, struct names, column_count + 1, err);
	struct labels *rows = columns ? ARENA_TRY_NEW(arena, struct labels, count + 1, err) : NULL;
	if (!rows) {
		return ERR_LIMIT;
	}
	for (size_t i = 0; i < column_count; i++) {
		int rc = read_column(in, &columns[i], count, arena, err);
		if (rc < 0) {
			return rc;
		}
		if (i > 0 && str_cmp(columns[i - 1].name, columns[i].name) >= 0) {
			return malformed(err, "label columns are not in order");
		}
	}
	for (size_t i = 0; i < count; i++) {
		int rc = build_row(columns, column_count, i, arena, &rows[i], err);
		if (rc < 0) {
			return rc;
		}
	}
	*out = rows;
	return 0;
}
