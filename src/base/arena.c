#include "base/arena.h"

#include "base/check.h"
#include "base/memory.h"
#include "base/poison.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_MIN ((size_t)4096)
#define BLOCK_MAX ((size_t)1 << 20)
#define ALIGN ((size_t)16)

/*
 * The newest block is the one that is allocated from. What is too big for a block gets one of its
 * own, put behind the newest so that the room left in that stays in use.
 */
struct arena_block {
	struct arena_block *older;
	size_t size; /* With this header. */
	bool is_charged;
	bool is_owed;   /* Is to be charged when there is room. */
	bool is_single; /* Holds one big allocation. */
};

#define HEADER ((sizeof(struct arena_block) + ALIGN - 1) & ~(ALIGN - 1))

void arena_init(struct arena *arena, struct budget *budget) {
	*arena = (struct arena){ .budget = budget };
}

static void block_free(struct arena *arena, struct arena_block *block) {
	if (block->is_charged) {
		budget_release(arena->budget, block->size);
	}
	arena->bytes -= block->size;
	arena->owed_bytes -= block->is_owed ? block->size : 0;
	UNPOISON(block, block->size);
	free(block);
}

void arena_deinit(struct arena *arena) {
	while (arena->blocks) {
		struct arena_block *block = arena->blocks;
		arena->blocks = block->older;
		block_free(arena, block);
	}
	arena->next = NULL;
	arena->end = NULL;
}

void arena_reset(struct arena *arena) {
	struct arena_block *kept = arena->blocks;
	if (!kept || kept->is_single) {
		arena_deinit(arena);
		return;
	}
	while (kept->older) {
		struct arena_block *block = kept->older;
		kept->older = block->older;
		block_free(arena, block);
	}
	arena->next = (char *)kept + HEADER;
#ifdef ATOLL_DEBUG
	UNPOISON(arena->next, kept->size - HEADER);
	memset(arena->next, 0xdf, kept->size - HEADER);
#endif
	POISON(arena->next, kept->size - HEADER);
}

/* A block of 'size' bytes, linked into no arena. Returns NULL when a budget is to be kept and is
 * spent. */
static struct arena_block *block_new(
	struct arena *arena, size_t size, bool must_fit, struct err *err) {
	bool is_charged = arena->budget && budget_charge(arena->budget, size, err) == 0;
	if (arena->budget && !is_charged && must_fit) {
		return NULL;
	}
	struct arena_block *block = memory_resize(NULL, 1, size);
	*block = (struct arena_block){
		.size = size, .is_charged = is_charged, .is_owed = arena->budget && !is_charged
	};
	arena->bytes += size;
	arena->owed_bytes += block->is_owed ? size : 0;
	POISON((char *)block + HEADER, size - HEADER);
	return block;
}

static void *alloc_single(struct arena *arena, size_t bytes, bool must_fit, struct err *err) {
	struct arena_block *block = block_new(arena, HEADER + bytes, must_fit, err);
	if (!block) {
		return NULL;
	}
	block->is_single = true;
	if (arena->blocks) {
		block->older = arena->blocks->older;
		arena->blocks->older = block;
	} else {
		arena->blocks = block;
	}
	char *ptr = (char *)block + HEADER;
	UNPOISON(ptr, bytes);
	return ptr;
}

/* Opens a new block to allocate from, with room for at least 'bytes'. */
static bool grow(struct arena *arena, size_t bytes, bool must_fit, struct err *err) {
	size_t size = arena->bytes < BLOCK_MIN ? BLOCK_MIN : arena->bytes;
	size = size > BLOCK_MAX ? BLOCK_MAX : size;
	while (size < HEADER + bytes) {
		size *= 2;
	}
	struct arena_block *block = block_new(arena, size, true, err);
	if (!block) {
		/* What is left of the budget may do for just this; and no more is owed than must.
		 */
		size_t least = HEADER + bytes;
		block = block_new(arena, least < BLOCK_MIN ? BLOCK_MIN : least, must_fit, err);
	}
	if (!block) {
		return false;
	}
	block->older = arena->blocks;
	arena->blocks = block;
	arena->next = (char *)block + HEADER;
	arena->end = (char *)block + block->size;
	return true;
}

/* The way that is taken once per block. Returns memory that may hold anything. */
static void *alloc_slow(struct arena *arena, size_t bytes, bool must_fit, struct err *err) {
	if (bytes > BLOCK_MAX / 4) {
		return alloc_single(arena, bytes, must_fit, err);
	}
	if (!grow(arena, bytes + POISON_GAP, must_fit, err)) {
		return NULL;
	}
	char *ptr = arena->next;
	arena->next += bytes + POISON_GAP;
	UNPOISON(ptr, bytes);
	return ptr;
}

static void *alloc(
	struct arena *arena, size_t align, size_t bytes, bool must_fit, struct err *err) {
	size_t room = (size_t)(arena->end - arena->next);
	size_t gap = (size_t)(-(uintptr_t)arena->next & (align - 1));
	if (arena->next && bytes < room && gap + bytes + POISON_GAP <= room) {
		char *ptr = arena->next + gap;
		arena->next = ptr + bytes + POISON_GAP;
		UNPOISON(ptr, bytes);
		return ptr;
	}
	return alloc_slow(arena, bytes, must_fit, err);
}

void *arena_alloc(struct arena *arena, size_t count, size_t size) {
	size_t bytes = 0;
	CHECK(!__builtin_mul_overflow(count, size, &bytes) && bytes < SIZE_MAX / 4);
	void *ptr = alloc(arena, ALIGN, bytes, false, NULL);
	return memset(ptr, 0, bytes);
}

/* Charges what is owed. Returns false when there is no room for it still. */
static bool settle(struct arena *arena, struct err *err) {
	if (!arena->budget || budget_charge(arena->budget, arena->owed_bytes, err) < 0) {
		return !arena->budget;
	}
	for (struct arena_block *block = arena->blocks; block; block = block->older) {
		block->is_charged |= block->is_owed;
		block->is_owed = false;
	}
	arena->owed_bytes = 0;
	return true;
}

void *arena_try_alloc(struct arena *arena, size_t count, size_t size, struct err *err) {
	size_t bytes = 0;
	if (__builtin_mul_overflow(count, size, &bytes) || bytes >= SIZE_MAX / 4) {
		(void)err_set(err, ERR_LIMIT, "%zu items of %zu bytes are more than memory has",
			count, size);
		return NULL;
	}
	if (arena->owed_bytes > 0 && !settle(arena, err)) {
		return NULL;
	}
	void *ptr = alloc(arena, ALIGN, bytes, true, err);
	return ptr ? memset(ptr, 0, bytes) : NULL;
}

int arena_charge(const struct arena *arena, uint64_t bytes, struct err *err) {
	return arena->budget ? budget_charge(arena->budget, bytes, err) : 0;
}

void arena_release(const struct arena *arena, uint64_t bytes) {
	if (arena->budget) {
		budget_release(arena->budget, bytes);
	}
}

struct str arena_copy(struct arena *arena, struct str s) {
	char *ptr = alloc(arena, 1, s.len + 1, false, NULL);
	if (s.len > 0) {
		memcpy(ptr, s.ptr, s.len);
	}
	ptr[s.len] = '\0';
	return (struct str){ ptr, s.len };
}

struct str arena_printf(struct arena *arena, const char *fmt, ...) {
	va_list args;
	va_start(args, fmt);
	int len = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	CHECK(len >= 0);
	char *ptr = alloc(arena, 1, (size_t)len + 1, false, NULL);
	va_start(args, fmt);
	(void)vsnprintf(ptr, (size_t)len + 1, fmt, args);
	va_end(args);
	return (struct str){ ptr, (size_t)len };
}
