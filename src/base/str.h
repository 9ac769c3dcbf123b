/*
 * String slices: bytes with a length, owned by somebody else. May hold any byte, NUL included.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
	const char *ptr;
	size_t len;
};

#define STR(literal) ((struct str){ (literal), sizeof(literal) - 1 })
#define STR_EMPTY ((struct str){ "", 0 })
/* For "%.*s". */
#define STR_ARG(s) (int)(s).len, (s).ptr

/* The bytes of a C string, which must outlive the result. */
static inline struct str str_of(const char *text) {
	return (struct str){ text, strlen(text) };
}

static inline bool str_equal(struct str a, struct str b) {
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* Orders by bytes, a prefix before what it prefixes. */
static inline int str_cmp(struct str a, struct str b) {
	size_t len = a.len < b.len ? a.len : b.len;
	int cmp = len > 0 ? memcmp(a.ptr, b.ptr, len) : 0;

	return cmp != 0 ? cmp : (a.len > b.len) - (a.len < b.len);
}

static inline bool str_starts(struct str s, struct str prefix) {
	return s.len >= prefix.len &&
	       (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

static inline bool str_ends(struct str s, struct str suffix) {
	return s.len >= suffix.len &&
	       (suffix.len == 0 || memcmp(s.ptr + s.len - suffix.len, suffix.ptr, suffix.len) == 0);
}

/* The bytes from 'from' to the end; 'from' past the end gives an empty slice. */
static inline struct str str_from(struct str s, size_t from) {
	return from < s.len ? (struct str){ s.ptr + from, s.len - from } : STR_EMPTY;
}

/* The first 'len' bytes, or all if there are fewer. */
static inline struct str str_first(struct str s, size_t len) {
	return (struct str){ s.ptr, len < s.len ? len : s.len };
}

/* Where 'byte' first stands in 's', or SIZE_MAX. */
static inline size_t str_find(struct str s, char byte) {
	const char *hit = s.len > 0 ? (const char *)memchr(s.ptr, byte, s.len) : NULL;
	return hit ? (size_t)(hit - s.ptr) : SIZE_MAX;
}

/* Without spaces, tabs, CR and LF at either end. */
struct str str_trim(struct str s);

/*
 * Cuts '*rest' at the first 'byte': returns what stands before it and leaves what stands after.
 * Without one, returns all and leaves '*rest' empty with a NULL pointer.
 */
struct str str_cut(struct str *rest, char byte);

/* Equal but for the case of ASCII letters. */
bool str_equal_nocase(struct str a, struct str b);

/*
 * Reads the code point that 's' begins with. Returns how many bytes it takes, or 0 (leaving
 * '*code_point') at the end and where 's' is not well-formed UTF-8.
 */
size_t str_utf8_next(struct str s, uint32_t *code_point);

/* Whether 's' is well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms). */
bool str_is_utf8(struct str s);

/*
 * Reads all of 's' as a decimal number without sign. Returns false, leaving '*out', for anything
 * else and for what does not fit.
 */
bool str_to_u64(struct str s, uint64_t *out);

/* As str_to_u64, with an optional '-' or '+'. */
bool str_to_i64(struct str s, int64_t *out);

#endif
