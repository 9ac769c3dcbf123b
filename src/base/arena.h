/*
 * Arenas: memory that is all freed at once.
 *
 * { 0 } is a usable arena without a budget. Allocations come from blocks that grow; nothing with a
 * destructor goes in. Owned by one thread at a time. Freed memory is poisoned under ASan.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/budget.h"
#include "base/str.h"

#include <stddef.h>

struct arena_block;

struct arena {
	struct arena_block *blocks;
	char *next;            /* Where the next allocation goes. */
	char *end;             /* The end of the newest block. */
	struct budget *budget; /* Borrowed; NULL: unbounded. */
	size_t bytes;          /* Held in blocks. */
	size_t owed_bytes;     /* Of these, what the budget had no room for. */
};

/*
 * An arena whose blocks are charged to 'budget' ('budget' may be NULL). arena_try_alloc fails when
 * it is spent; arena_alloc, for small things, then goes on owing, which fails the next
 * arena_try_alloc. So a loop that calls both never gets far past the budget.
 */
void arena_init(struct arena *arena, struct budget *budget);
/* Frees everything and returns it to the budget; the arena is usable after. */
void arena_deinit(struct arena *arena);
/* Frees what was allocated, keeping one block for reuse. */
void arena_reset(struct arena *arena);

/* Zeroed memory for 'count' items of 'size' bytes, aligned for any type. Aborts when there is none.
 */
void *arena_alloc(struct arena *arena, size_t count, size_t size);
/* As arena_alloc, but returns NULL with ERR_LIMIT in 'err' when the budget is spent. */
void *arena_try_alloc(struct arena *arena, size_t count, size_t size, struct err *err);
/* Charges memory that the caller has elsewhere to the arena's budget, if it has one: 0 or
 * ERR_LIMIT; and gives it back, before the arena loses that budget. */
MUST_USE int arena_charge(const struct arena *arena, uint64_t bytes, struct err *err);
void arena_release(const struct arena *arena, uint64_t bytes);
/* A copy, followed by a NUL that is not counted. */
struct str arena_copy(struct arena *arena, struct str s);
/* Formatted text, likewise. */
struct str arena_printf(struct arena *arena, const char *fmt, ...) PRINTF(2, 3);

#define ARENA_NEW(arena, type, count) ((type *)arena_alloc((arena), (count), sizeof(type)))
#define ARENA_TRY_NEW(arena, type, count, err)                                                     \
	((type *)arena_try_alloc((arena), (count), sizeof(type), (err)))

#endif
