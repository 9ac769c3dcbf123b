#include "label/regex_shape.h"

#define DEPTH_MAX 8

struct pieces {
	struct regex_piece *items;
	size_t count;
	size_t capacity;
};

struct scan {
	const char *at;
	const char *end;
	struct arena *arena;
	size_t captures;
	int depth;
};

static bool alternation_parse(struct scan *scan, struct pieces *out);

static bool is_meta(char c) {
	return strchr("\\.+*?()|[]{}^$", c) != NULL && c != '\0';
}

/* What a backslash makes literal; before letters and digits it means something else. */
static bool is_punctuation(char c) {
	return c > ' ' && c < 0x7f && !(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') &&
	       !(c >= 'A' && c <= 'Z') && c != '_';
}

static void pieces_add(struct arena *arena, struct pieces *pieces, struct regex_piece piece) {
	if (pieces->count == pieces->capacity) {
		size_t capacity = pieces->capacity > 0 ? pieces->capacity * 2 : 4;
		struct regex_piece *items = ARENA_NEW(arena, struct regex_piece, capacity);
		if (pieces->count > 0) {
			memcpy(items, pieces->items, pieces->count * sizeof(*items));
		}
		pieces->items = items;
		pieces->capacity = capacity;
	}
	pieces->items[pieces->count++] = piece;
}

static struct str join(struct arena *arena, struct str a, struct str b) {
	char *text = NULL;

	if (a.len == 0 || b.len == 0) {
		return a.len == 0 ? b : a;
	}
	text = arena_alloc(arena, a.len + b.len, 1);
	memcpy(text, a.ptr, a.len);
	memcpy(text + a.len, b.ptr, b.len);
	return (struct str){ text, a.len + b.len };
}

/* One after the other: every piece of 'left' followed by every piece of 'right'. */
static bool pieces_multiply(struct arena *arena, struct pieces *left, const struct pieces *right) {
	struct pieces out = { 0 };

	if (left->count * right->count > REGEX_SHAPE_PRODUCT_MAX &&
		!(left->count == 1 && left->items[0].literal.len == 0)) {
		return false;
	}
	for (size_t i = 0; i < left->count; i++) {
		for (size_t j = 0; j < right->count; j++) {
			struct regex_piece a = left->items[i];
			struct regex_piece b = right->items[j];
			bool a_is_gap = a.literal.len == 0 && a.before != REGEX_GAP_NONE;

			if (a.after != REGEX_GAP_NONE ||
				(b.before != REGEX_GAP_NONE && (a.literal.len > 0 || a_is_gap))) {
				return false;
			}
			pieces_add(arena, &out,
				(struct regex_piece){
					.before = a.before != REGEX_GAP_NONE ? a.before : b.before,
					.after = b.after,
					.literal = join(arena, a.literal, b.literal) });
		}
	}
	*left = out;
	return true;
}

/* A run of plain and escaped characters. */
static struct str literal_parse(struct scan *scan) {
	char *text = arena_alloc(scan->arena, (size_t)(scan->end - scan->at), 1);
	size_t len = 0;

	while (scan->at < scan->end) {
		if (!is_meta(*scan->at)) {
			text[len++] = *scan->at++;
		} else if (*scan->at == '\\' && scan->end - scan->at > 1 &&
			   is_punctuation(scan->at[1])) {
			text[len++] = scan->at[1];
			scan->at += 2;
		} else {
			break;
		}
	}
	return (struct str){ text, len };
}

/* At a '(': the pieces within the group. */
static bool group_parse(struct scan *scan, struct pieces *out) {
	scan->at++;
	if (scan->end - scan->at >= 2 && scan->at[0] == '?' && scan->at[1] == ':') {
		scan->at += 2;
	} else {
		scan->captures++;
	}
	if (++scan->depth > DEPTH_MAX || !alternation_parse(scan, out) || scan->at == scan->end ||
		*scan->at != ')') {
		return false;
	}
	scan->depth--;
	scan->at++;
	return true;
}

/* One item of a sequence: a literal, a gap or a group. */
static bool item_parse(struct scan *scan, struct pieces *out) {
	struct regex_piece piece = { 0 };

	if (*scan->at == '(') {
		return group_parse(scan, out);
	}
	if (*scan->at == '.' && scan->end - scan->at > 1 &&
		(scan->at[1] == '*' || scan->at[1] == '+')) {
		piece.before = scan->at[1] == '*' ? REGEX_GAP_ANY : REGEX_GAP_SOME;
		piece.literal = STR_EMPTY;
		scan->at += 2;
	} else {
		piece.literal = literal_parse(scan);
		if (piece.literal.len == 0) {
			return false;
		}
	}
	/* A repetition of this item, or a modifier of the gap, is left to the engine. */
	if (scan->at < scan->end && strchr("*+?{", *scan->at) && *scan->at != '\0') {
		return false;
	}
	pieces_add(scan->arena, out, piece);
	return true;
}

/* A gap after a literal ends the piece. */
static void gaps_turn(struct pieces *left, struct pieces *item) {
	bool is_gap = item->count == 1 && item->items[0].literal.len == 0 &&
		      item->items[0].before != REGEX_GAP_NONE;

	for (size_t i = 0; i < left->count && is_gap; i++) {
		is_gap = left->items[i].literal.len > 0;
	}
	if (is_gap) {
		item->items[0].after = item->items[0].before;
		item->items[0].before = REGEX_GAP_NONE;
	}
}

static bool sequence_parse(struct scan *scan, struct pieces *out) {
	struct pieces all = { 0 };

	pieces_add(scan->arena, &all, (struct regex_piece){ .literal = STR_EMPTY });
	while (scan->at < scan->end && *scan->at != '|' && *scan->at != ')') {
		struct pieces item = { 0 };
		if (!item_parse(scan, &item)) {
			return false;
		}
		/* A quantifier after a group. */
		if (scan->at < scan->end && strchr("*+?{", *scan->at) && *scan->at != '\0') {
			return false;
		}
		gaps_turn(&all, &item);
		if (!pieces_multiply(scan->arena, &all, &item)) {
			return false;
		}
	}
	for (size_t i = 0; i < all.count; i++) {
		pieces_add(scan->arena, out, all.items[i]);
	}
	return true;
}

static bool alternation_parse(struct scan *scan, struct pieces *out) {
	while (true) {
		if (!sequence_parse(scan, out)) {
			return false;
		}
		if (scan->at == scan->end || *scan->at != '|') {
			return true;
		}
		scan->at++;
	}
}

/* Whether the '(' that 'pattern' starts with is closed by its last character. */
static bool group_spans(struct str pattern) {
	int depth = 0;

	if (pattern.len < 2 || pattern.ptr[0] != '(') {
		return false;
	}
	for (size_t i = 0; i < pattern.len; i++) {
		if (pattern.ptr[i] == '\\') {
			i++;
		} else if (pattern.ptr[i] == '(') {
			depth++;
		} else if (pattern.ptr[i] == ')' && --depth == 0) {
			return i == pattern.len - 1;
		}
	}
	return false;
}

bool regex_shape_parse(struct str pattern, struct arena *arena, struct regex_shape *out) {
	struct scan scan = { .at = pattern.ptr, .end = pattern.ptr + pattern.len, .arena = arena };
	struct pieces pieces = { 0 };

	if (!alternation_parse(&scan, &pieces) || scan.at != scan.end) {
		return false;
	}
	*out = (struct regex_shape){ .pieces = pieces.items,
		.count = pieces.count,
		.captures = scan.captures,
		.captures_whole = scan.captures == 1 && group_spans(pattern) &&
				  !str_starts(pattern, STR("(?:")) };
	return true;
}

bool regex_piece_match(const struct regex_piece *piece, struct str text) {
	size_t before = piece->before == REGEX_GAP_SOME;
	size_t after = piece->after == REGEX_GAP_SOME;

	if (text.len < piece->literal.len + before + after) {
		return false;
	}
	if (piece->before == REGEX_GAP_NONE) {
		return piece->after == REGEX_GAP_NONE ? str_equal(text, piece->literal)
						      : str_starts(text, piece->literal);
	}
	if (piece->after == REGEX_GAP_NONE) {
		return str_ends(text, piece->literal);
	}
	return piece->literal.len == 0 || memmem(text.ptr + before, text.len - before - after,
						  piece->literal.ptr, piece->literal.len) != NULL;
}

/* Whether there is a '|' outside of all groups; true also when that is hard to see. */
static bool has_alternation(struct str pattern) {
	int depth = 0;

	for (size_t i = 0; i < pattern.len; i++) {
		char c = pattern.ptr[i];
		if (c == '\\') {
			i++;
			if (i < pattern.len && pattern.ptr[i] == 'Q') {
				return true;
			}
		} else if (c == '[') {
			return memchr(pattern.ptr, '|', pattern.len) != NULL;
		} else if (c == '(' || c == ')') {
			depth += c == '(' ? 1 : -1;
		} else if (c == '|' && depth == 0) {
			return true;
		}
	}
	return false;
}

void regex_prefix_find(struct str pattern, struct buf *out) {
	size_t start = out->len;
	size_t last = start; /* Where the last character appended begins. */

	if (has_alternation(pattern)) {
		return;
	}
	for (size_t i = 0; i < pattern.len; i++) {
		char c = pattern.ptr[i];
		if (c == '*' || c == '?' || c == '{') {
			out->len = last; /* The last character may be missing. */
			return;
		}
		if (c == '\\' && i + 1 < pattern.len && is_meta(pattern.ptr[i + 1])) {
			c = pattern.ptr[++i];
		} else if (is_meta(c)) {
			return;
		}
		last = ((unsigned char)c & 0xC0U) == 0x80U ? last : out->len;
		buf_add_byte(out, c);
	}
}
