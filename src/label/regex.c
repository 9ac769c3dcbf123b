#include "label/regex.h"

#include "base/memory.h"
#include "cxx/re2.h"
#include "label/regex_shape.h"

#include <stdlib.h>

/* Up to here a list of literals is searched from front to back. */
#define LITERALS_LINEAR_MAX 8
/* Groups kept on the stack while expanding; more are on the heap. */
#define GROUPS_STACK_MAX 16

struct regex {
	struct str pattern;
	struct regex_shape shape; /* No pieces: RE2 decides. */
	struct str *literals;     /* The pieces, when all are plain, without duplicates. */
	struct str *sorted;       /* The same in order of bytes. */
	size_t literal_count;
	struct str prefix;
	struct re2_pattern *engine; /* For matching without a shape, or for groups within one. */
	struct arena arena;
};

static int str_order(const void *a, const void *b) {
	const struct str *left = a;
	const struct str *right = b;

	return str_cmp(*left, *right);
}

static const struct str *sorted_find(
	const struct str *sorted, size_t count, const struct str *text) {
	return bsearch(text, sorted, count, sizeof(*text), str_order);
}

static bool all_literal(const struct regex_shape *shape) {
	for (size_t i = 0; i < shape->count; i++) {
		if (shape->pieces[i].before != REGEX_GAP_NONE ||
			shape->pieces[i].after != REGEX_GAP_NONE) {
			return false;
		}
	}
	return shape->count > 0;
}

/* Fills in the literals, both ways, if every piece is one. */
static void literals_find(struct regex *regex) {
	size_t count = regex->shape.count;
	size_t unique = 0;
	bool *seen;

	if (!all_literal(&regex->shape)) {
		return;
	}
	regex->sorted = ARENA_NEW(&regex->arena, struct str, count);
	regex->literals = ARENA_NEW(&regex->arena, struct str, count);
	for (size_t i = 0; i < count; i++) {
		regex->sorted[i] = regex->shape.pieces[i].literal;
	}
	qsort(regex->sorted, count, sizeof(regex->sorted[0]), str_order);
	for (size_t i = 0; i < count; i++) {
		if (unique == 0 || !str_equal(regex->sorted[unique - 1], regex->sorted[i])) {
			regex->sorted[unique++] = regex->sorted[i];
		}
	}
	seen = ARENA_NEW(&regex->arena, bool, unique);
	for (size_t i = 0; i < count; i++) {
		const struct str *literal = &regex->shape.pieces[i].literal;
		size_t at = (size_t)(sorted_find(regex->sorted, unique, literal) - regex->sorted);
		if (!seen[at]) {
			seen[at] = true;
			regex->literals[regex->literal_count++] = *literal;
		}
	}
}

static void prefix_find(struct regex *regex) {
	const struct regex_shape *shape = &regex->shape;

	if (shape->count == 0) {
		struct buf prefix = { 0 };
		regex_prefix_find(regex->pattern, &prefix);
		regex->prefix = arena_copy(&regex->arena, buf_str(&prefix));
		buf_deinit(&prefix);
		return;
	}
	for (size_t i = 0; i < shape->count; i++) {
		struct str literal = shape->pieces[i].before == REGEX_GAP_NONE
					     ? shape->pieces[i].literal
					     : STR_EMPTY;
		size_t same = 0;

		if (i == 0) {
			regex->prefix = literal;
			continue;
		}
		while (same < literal.len && same < regex->prefix.len &&
			literal.ptr[same] == regex->prefix.ptr[same]) {
			same++;
		}
		regex->prefix.len = same;
	}
}

/*
 * Compiles for RE2. The flag stands in front, not around: "a)(b" must stay an error. RE2's sentence
 * quotes what it was given, so a failure is told about the pattern as the user wrote it.
 */
static int engine_new(struct str pattern, struct re2_pattern **out, struct err *err) {
	struct buf text = { 0 };
	struct err first = { 0 };
	struct re2_pattern *plain = NULL;
	int rc;

	buf_add_text(&text, "(?s)");
	buf_add_str(&text, pattern);
	rc = re2_new(buf_str(&text), out, &first);
	buf_deinit(&text);
	if (rc >= 0) {
		return 0;
	}
	if (re2_new(pattern, &plain, err) >= 0) {
		re2_free(plain);
		if (err) {
			*err = first;
		}
	}
	return rc;
}

int regex_new(struct str pattern, struct regex **out, struct err *err) {
	struct regex *regex;
	int rc = 0;

	if (pattern.len > REGEX_LEN_MAX) {
		return err_set(err, ERR_LIMIT,
			"regular expression of %zu bytes, at most %d are allowed", pattern.len,
			REGEX_LEN_MAX);
	}
	if (!str_is_utf8(pattern)) {
		return err_set(err, ERR_INVAL, "regular expression is not valid UTF-8");
	}
	regex = MEMORY_NEW(struct regex, 1);
	regex->pattern = arena_copy(&regex->arena, pattern);
	if (!regex_shape_parse(regex->pattern, &regex->arena, &regex->shape)) {
		regex->shape = (struct regex_shape){ 0 };
	}
	if (regex->shape.count == 0 ||
		(regex->shape.captures > 0 && !regex->shape.captures_whole)) {
		rc = engine_new(pattern, &regex->engine, err);
	}
	if (rc < 0) {
		regex_free(regex);
		return rc;
	}
	literals_find(regex);
	prefix_find(regex);
	*out = regex;
	return 0;
}

void regex_free(struct regex *regex) {
	if (regex) {
		re2_free(regex->engine);
		arena_deinit(&regex->arena);
		free(regex);
	}
}

bool regex_match(const struct regex *regex, struct str text) {
	if (regex->shape.count == 0) {
		return re2_match_full(regex->engine, text);
	}
	if (regex->literal_count > LITERALS_LINEAR_MAX) {
		return sorted_find(regex->sorted, regex->literal_count, &text) != NULL;
	}
	for (size_t i = 0; i < regex->shape.count; i++) {
		if (regex_piece_match(&regex->shape.pieces[i], text)) {
			return true;
		}
	}
	return false;
}

struct str regex_pattern(const struct regex *regex) {
	return regex->pattern;
}

const struct str *regex_literals(const struct regex *regex, size_t *count) {
	*count = regex->literal_count;
	return regex->literals;
}

struct str regex_prefix(const struct regex *regex) {
	return regex->prefix;
}

static bool has_gap(const struct regex *regex, enum regex_gap gap) {
	for (size_t i = 0; i < regex->shape.count; i++) {
		const struct regex_piece *piece = &regex->shape.pieces[i];
		if (piece->literal.len == 0 && piece->before == gap &&
			piece->after == REGEX_GAP_NONE) {
			return true;
		}
	}
	return false;
}

bool regex_matches_all(const struct regex *regex) {
	return has_gap(regex, REGEX_GAP_ANY);
}

bool regex_matches_nonempty(const struct regex *regex) {
	return !regex_matches_all(regex) && has_gap(regex, REGEX_GAP_SOME) &&
	       !regex_match(regex, STR_EMPTY);
}

struct expansion {
	const struct regex *regex;
	const struct str *groups; /* 0 is the whole match. */
	size_t group_count;
	struct buf *out;
};

/* Whether the character that 'rest' starts with may be in a group's name, and its bytes. */
static bool is_name_character(struct str rest, size_t *len) {
	unsigned char c = (unsigned char)rest.ptr[0];
	struct regex *letters = NULL;
	bool is_letter = false;

	*len = 1;
	if (c < 0x80) {
		return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		       c == '_';
	}
	*len = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : c >= 0xC0 ? 2 : 1;
	*len = *len < rest.len ? *len : rest.len;
	/* Rare enough to ask RE2 each time what Unicode calls a letter or digit. */
	if (regex_new(STR("[\\pL\\p{Nd}]"), &letters, NULL) >= 0) {
		is_letter = regex_match(letters, str_first(rest, *len));
		regex_free(letters);
	}
	return is_letter;
}

/* The group that 'name' is the number or name of; SIZE_MAX for none. */
static size_t group_find(const struct regex *regex, struct str name) {
	uint64_t number = 0;
	bool is_number = true;
	int index;

	for (size_t i = 0; i < name.len; i++) {
		is_number = is_number && name.ptr[i] >= '0' && name.ptr[i] <= '9';
	}
	if (is_number && (name.len == 1 || name.ptr[0] != '0')) {
		return str_to_u64(name, &number) ? (size_t)number : SIZE_MAX;
	}
	index = regex->engine ? re2_group_index(regex->engine, name) : -1;
	return index >= 0 ? (size_t)index : SIZE_MAX;
}

/* At what follows a '$'. Returns the bytes used, 0 when it is no reference. */
static size_t reference_expand(struct expansion *expansion, struct str rest) {
	bool has_brace = rest.len > 0 && rest.ptr[0] == '{';
	size_t start = has_brace;
	size_t end = start;
	size_t len = 0;
	size_t group;

	while (end < rest.len && is_name_character(str_from(rest, end), &len)) {
		end += len;
	}
	if (end == start || (has_brace && (end == rest.len || rest.ptr[end] != '}'))) {
		return 0;
	}
	group = group_find(expansion->regex, (struct str){ rest.ptr + start, end - start });
	if (group < expansion->group_count && expansion->groups[group].ptr) {
		buf_add_str(expansion->out, expansion->groups[group]);
	}
	return end + has_brace;
}

static void replacement_expand(struct expansion *expansion, struct str replacement) {
	size_t at;

	while ((at = str_find(replacement, '$')) != SIZE_MAX) {
		size_t used = 1;
		buf_add_str(expansion->out, str_first(replacement, at));
		replacement = str_from(replacement, at + 1);
		if (str_starts(replacement, STR("$"))) {
			buf_add_byte(expansion->out, '$');
		} else {
			used = reference_expand(expansion, replacement);
			if (used == 0) {
				buf_add_byte(expansion->out, '$');
			}
		}
		replacement = str_from(replacement, used);
	}
	buf_add_str(expansion->out, replacement);
}

bool regex_expand(
	const struct regex *regex, struct str text, struct str replacement, struct buf *out) {
	struct str stack[GROUPS_STACK_MAX] = { text, text };
	struct expansion expansion = { .regex = regex, .groups = stack, .out = out };
	struct str *heap = NULL;
	bool found;

	if (regex->engine) {
		expansion.group_count = re2_group_count(regex->engine) + 1;
		if (expansion.group_count > GROUPS_STACK_MAX) {
			heap = MEMORY_NEW(struct str, expansion.group_count);
			expansion.groups = heap;
		}
		found = re2_match_groups(
			regex->engine, text, heap ? heap : stack, expansion.group_count);
	} else {
		expansion.group_count = regex->shape.captures_whole ? 2 : 1;
		found = regex_match(regex, text);
	}
	if (found) {
		replacement_expand(&expansion, replacement);
	}
	free(heap);
	return found;
}

void regex_set_deinit(struct regex_set *set) {
	for (size_t i = 0; i < set->count; i++) {
		regex_free(set->items[i]);
	}
	free(set->items);
	*set = (struct regex_set){ 0 };
}

int regex_set_add(
	struct regex_set *set, struct str pattern, const struct regex **out, struct err *err) {
	struct regex *regex = NULL;
	int rc;

	for (size_t i = 0; i < set->count; i++) {
		if (str_equal(set->items[i]->pattern, pattern)) {
			*out = set->items[i];
			return 0;
		}
	}
	rc = regex_new(pattern, &regex, err);
	if (rc < 0) {
		return rc;
	}
	if (set->count == set->capacity) {
		set->capacity = set->capacity > 0 ? set->capacity * 2 : 8;
		set->items = memory_resize(set->items, set->capacity, sizeof(struct regex *));
	}
	set->items[set->count++] = regex;
	*out = regex;
	return 0;
}
