#include "label/labels.h"

#include "base/hash.h"
#include "base/quote.h"

#include <stdlib.h>

static int pair_cmp(const void *a, const void *b) {
	const struct label *left = a;
	const struct label *right = b;

	return str_cmp(left->name, right->name);
}

/* Checks sorted pairs, drops the empty values, returns how many stay. */
static int pairs_check(struct label *pairs, size_t count, struct err *err) {
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		if (pairs[i].name.len == 0) {
			return err_set(err, ERR_INVAL, "a label has an empty name");
		}
		if (i > 0 && str_equal(pairs[i].name, pairs[i - 1].name)) {
			return err_set(err, ERR_INVAL, "label \"%.*s\" is given twice",
				STR_ARG(pairs[i].name));
		}
	}
	for (size_t i = 0; i < count; i++) {
		if (pairs[i].value.len > 0) {
			pairs[kept++] = pairs[i];
		}
	}
	return (int)kept;
}

/* Copies the pairs and their bytes into two pieces of 'arena'. */
static struct labels pairs_copy(struct arena *arena, const struct label *pairs, size_t count) {
	size_t bytes = 0;
	struct label *copy = ARENA_NEW(arena, struct label, count);
	char *text = NULL;

	for (size_t i = 0; i < count; i++) {
		bytes += pairs[i].name.len + pairs[i].value.len;
	}
	text = bytes > 0 ? arena_alloc(arena, bytes, 1) : NULL;
	for (size_t i = 0; i < count; i++) {
		copy[i].name = (struct str){ text, pairs[i].name.len };
		memcpy(text, pairs[i].name.ptr, pairs[i].name.len);
		text += pairs[i].name.len;
		copy[i].value = (struct str){ text, pairs[i].value.len };
		if (pairs[i].value.len > 0) {
			memcpy(text, pairs[i].value.ptr, pairs[i].value.len);
		}
		text += pairs[i].value.len;
	}
	return (struct labels){ copy, count };
}

int labels_build(struct arena *arena, const struct label *pairs, size_t count, struct labels *out,
	struct err *err) {
	struct label sorted[LABELS_COUNT_MAX];
	bool in_order = true;
	int kept;

	if (count > LABELS_COUNT_MAX) {
		return err_set(err, ERR_LIMIT, "%zu labels, at most %d are possible", count,
			LABELS_COUNT_MAX);
	}
	for (size_t i = 0; i < count; i++) {
		sorted[i] = pairs[i];
		in_order = in_order && (i == 0 || str_cmp(pairs[i - 1].name, pairs[i].name) < 0);
	}
	if (!in_order) {
		qsort(sorted, count, sizeof(sorted[0]), pair_cmp);
	}
	kept = pairs_check(sorted, count, err);
	if (kept < 0) {
		return kept;
	}
	*out = kept > 0 ? pairs_copy(arena, sorted, (size_t)kept) : (struct labels){ 0 };
	return 0;
}

struct labels labels_copy(struct arena *arena, const struct labels *set) {
	return set->count > 0 ? pairs_copy(arena, set->pairs, set->count) : (struct labels){ 0 };
}

struct str labels_get(const struct labels *set, struct str name) {
	for (size_t i = 0; i < set->count; i++) {
		if (str_equal(set->pairs[i].name, name)) {
			return set->pairs[i].value;
		}
	}
	return STR_EMPTY;
}

bool labels_equal(const struct labels *a, const struct labels *b) {
	if (a->count != b->count) {
		return false;
	}
	for (size_t i = 0; i < a->count; i++) {
		if (!str_equal(a->pairs[i].name, b->pairs[i].name) ||
			!str_equal(a->pairs[i].value, b->pairs[i].value)) {
			return false;
		}
	}
	return true;
}

int labels_cmp(const struct labels *a, const struct labels *b) {
	size_t count = a->count < b->count ? a->count : b->count;

	for (size_t i = 0; i < count; i++) {
		int cmp = str_cmp(a->pairs[i].name, b->pairs[i].name);
		if (cmp == 0) {
			cmp = str_cmp(a->pairs[i].value, b->pairs[i].value);
		}
		if (cmp != 0) {
			return cmp;
		}
	}
	return (a->count > b->count) - (a->count < b->count);
}

static uint64_t pair_hash(uint64_t hash, const struct label *pair) {
	return hash_str(pair->value, hash_str(pair->name, hash));
}

uint64_t labels_hash(const struct labels *set) {
	uint64_t hash = 0;

	for (size_t i = 0; i < set->count; i++) {
		hash = pair_hash(hash, &set->pairs[i]);
	}
	return hash;
}

/* Walks two sorted lists at once: whether 'names' has 'name', moving '*at' up to it. */
static bool names_have(const struct str *names, size_t count, struct str name, size_t *at) {
	while (*at < count && str_cmp(names[*at], name) < 0) {
		(*at)++;
	}
	return *at < count && str_equal(names[*at], name);
}

static uint64_t hash_where(
	const struct labels *set, const struct str *names, size_t count, bool wanted) {
	uint64_t hash = 0;
	size_t at = 0;

	for (size_t i = 0; i < set->count; i++) {
		if (names_have(names, count, set->pairs[i].name, &at) == wanted) {
			hash = pair_hash(hash, &set->pairs[i]);
		}
	}
	return hash;
}

uint64_t labels_hash_only(const struct labels *set, const struct str *names, size_t count) {
	return hash_where(set, names, count, true);
}

uint64_t labels_hash_without(const struct labels *set, const struct str *names, size_t count) {
	return hash_where(set, names, count, false);
}

static struct labels pairs_where(struct arena *arena, const struct labels *set,
	const struct str *names, size_t count, bool wanted) {
	struct label *pairs = set->count > 0 ? ARENA_NEW(arena, struct label, set->count) : NULL;
	size_t kept = 0;
	size_t at = 0;

	for (size_t i = 0; i < set->count; i++) {
		if (names_have(names, count, set->pairs[i].name, &at) == wanted) {
			pairs[kept++] = set->pairs[i];
		}
	}
	return (struct labels){ pairs, kept };
}

struct labels labels_without(
	struct arena *arena, const struct labels *set, const struct str *names, size_t count) {
	return pairs_where(arena, set, names, count, false);
}

struct labels labels_only(
	struct arena *arena, const struct labels *set, const struct str *names, size_t count) {
	return pairs_where(arena, set, names, count, true);
}

struct labels labels_with(
	struct arena *arena, const struct labels *set, struct str name, struct str value) {
	struct label *pairs = ARENA_NEW(arena, struct label, set->count + 1);
	size_t kept = 0;
	size_t i = 0;

	while (i < set->count && str_cmp(set->pairs[i].name, name) < 0) {
		pairs[kept++] = set->pairs[i++];
	}
	if (value.len > 0) {
		pairs[kept++] = (struct label){ name, value };
	}
	if (i < set->count && str_equal(set->pairs[i].name, name)) {
		i++;
	}
	while (i < set->count) {
		pairs[kept++] = set->pairs[i++];
	}
	return (struct labels){ pairs, kept };
}

static bool is_letter(char c) {
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c) {
	return c >= '0' && c <= '9';
}

static bool name_is_legacy(struct str name, char extra) {
	for (size_t i = 0; i < name.len; i++) {
		char c = name.ptr[i];
		if (!is_letter(c) && c != extra && (i == 0 || !is_digit(c))) {
			return false;
		}
	}
	return name.len > 0;
}

bool label_name_is_legacy(struct str name) {
	return name_is_legacy(name, '_');
}

bool metric_name_is_legacy(struct str name) {
	return name_is_legacy(name, ':');
}

bool label_name_is_valid(struct str name) {
	return name.len > 0 && str_is_utf8(name);
}

void label_name_format(struct str name, struct buf *out) {
	if (label_name_is_legacy(name)) {
		buf_add_str(out, name);
	} else {
		quote_append(name, out);
	}
}

static void pairs_format(
	const struct labels *set, struct str skip, const char *before, struct buf *out) {
	for (size_t i = 0; i < set->count; i++) {
		if (str_equal(set->pairs[i].name, skip)) {
			continue;
		}
		buf_add_text(out, before);
		label_name_format(set->pairs[i].name, out);
		buf_add_byte(out, '=');
		quote_append(set->pairs[i].value, out);
		before = ", ";
	}
}

void labels_format(const struct labels *set, struct buf *out) {
	struct str name = labels_get(set, LABEL_NAME);

	if (name.len == 0) {
		buf_add_byte(out, '{');
		pairs_format(set, STR_EMPTY, "", out);
		buf_add_byte(out, '}');
	} else if (!metric_name_is_legacy(name)) {
		buf_add_byte(out, '{');
		quote_append(name, out);
		pairs_format(set, LABEL_NAME, ", ", out);
		buf_add_byte(out, '}');
	} else {
		buf_add_str(out, name);
		if (set->count > 1) {
			buf_add_byte(out, '{');
			pairs_format(set, LABEL_NAME, "", out);
			buf_add_byte(out, '}');
		}
	}
}

void labels_format_braces(const struct labels *set, struct buf *out) {
	buf_add_byte(out, '{');
	pairs_format(set, STR_EMPTY, "", out);
	buf_add_byte(out, '}');
}
