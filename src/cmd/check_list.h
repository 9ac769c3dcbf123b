/*
 * What a command has checked, as lines for people or JSON: each a thing that was looked at, what
 * was found and, where that is not good, what to do.
 */
#ifndef CMD_CHECK_LIST_H
#define CMD_CHECK_LIST_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"

#include <stdbool.h>
#include <stddef.h>

enum check_state {
	CHECKED_OK,
	CHECKED_WARNING, /* Works, not for long or not well. */
	CHECKED_FAILED,
	CHECKED_SKIPPED /* Something before it failed. */
};

struct check_item {
	const char *section; /* "certificates"; static, or in the arena. */
	enum check_state state;
	const char *text;
	const char *hint; /* What to do; "" for what is good. */
};

/* { 0 } is empty. */
struct check_list {
	struct arena arena;
	struct check_item *items;
	size_t count;
	size_t capacity;
};

/* Frees all. */
void check_list_deinit(struct check_list *list);
/* Forgets all, to check again. */
void check_list_reset(struct check_list *list);
/* Adds a line; 'hint' (may be NULL) and the text are copied, 'section' is not. */
void check_list_add(struct check_list *list, const char *section, enum check_state state,
	const char *hint, const char *fmt, ...) PRINTF(5, 6);
/* Whether nothing failed. */
bool check_list_is_good(const struct check_list *list);
/* Appends lines under the names of their sections, and a last one that says how it went. */
void check_list_format(const struct check_list *list, struct buf *out);
/* Appends {"success":...,"checks":[{"section","state","text","hint"}]} and a newline. */
void check_list_format_json(const struct check_list *list, struct buf *out);
/* Prints it either way. Returns the exit code: 0 if nothing failed, else 1. */
int check_list_print(const struct check_list *list, bool is_json);

#endif
