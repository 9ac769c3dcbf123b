#include "tsdb/cells.h"

#include "base/check.h"
#include "base/memory.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define BLOCK_SIZE ((size_t)16384)
#define REGION_BLOCKS ((size_t)32)
#define NONE 0
/* The first page of a lent block holds its place in the list; the others are the system's. */
#define BLOCK_KEPT ((size_t)4096)
/* One of so many blocks may be empty without being given back. */
#define EMPTY_SHARE ((size_t)32)
#define TRIM_BLOCKS 64

/* Stands at the front of its block; blocks are aligned to their size. */
struct cell_block {
	struct cell_block *next;
	struct cell_block *prev;
	uint16_t free; /* Offset of the first free cell in steps; 0: none. Each holds the next's. */
	uint16_t fresh; /* Offset in steps of what was never used. */
	uint16_t used;  /* Cells in use. */
	uint16_t size;  /* Of a cell, in steps. */
	bool is_listed;
};

#define FIRST_STEP ((sizeof(struct cell_block) + CELL_STEP - 1) / CELL_STEP)
#define BLOCK_STEPS (BLOCK_SIZE / CELL_STEP)

void cells_deinit(struct cells *cells) {
	for (size_t i = 0; i < cells->region_count; i++) {
		free(cells->regions[i]);
	}
	free(cells->regions);
	*cells = (struct cells){ 0 };
}

static size_t size_steps(size_t size) {
	return size > 0 ? (size + CELL_STEP - 1) / CELL_STEP : 1;
}

size_t cells_room(size_t size) {
	return size_steps(size) * CELL_STEP;
}

static void list_push(struct cell_block **head, struct cell_block *block) {
	block->prev = NULL;
	block->next = *head;
	if (*head) {
		(*head)->prev = block;
	}
	*head = block;
	block->is_listed = true;
}

static void list_remove(struct cell_block **head, struct cell_block *block) {
	if (block->prev) {
		block->prev->next = block->next;
	} else {
		*head = block->next;
	}
	if (block->next) {
		block->next->prev = block->prev;
	}
	block->is_listed = false;
}

static void empty_push(struct cells *cells, struct cell_block *block) {
	list_push(&cells->empty, block);
	cells->empty_count++;
}

static void region_add(struct cells *cells) {
	char *region = aligned_alloc(BLOCK_SIZE, BLOCK_SIZE * REGION_BLOCKS);

	if (!region) {
		memory_exhausted(BLOCK_SIZE * REGION_BLOCKS);
	}
	cells->regions =
		memory_resize(cells->regions, cells->region_count + 1, sizeof(cells->regions[0]));
	cells->regions[cells->region_count++] = region;
	for (size_t i = REGION_BLOCKS; i > 0; i--) {
		empty_push(cells, (struct cell_block *)(void *)(region + (i - 1) * BLOCK_SIZE));
	}
}

static struct cell_block *block_take(struct cells *cells, size_t steps) {
	struct cell_block *block;

	if (!cells->empty && !cells->lent) {
		region_add(cells);
	}
	if (cells->empty) {
		block = cells->empty;
		list_remove(&cells->empty, block);
		cells->empty_count--;
	} else {
		block = cells->lent;
		list_remove(&cells->lent, block);
		cells->lent_count--;
	}
	block->free = NONE;
	block->fresh = (uint16_t)FIRST_STEP;
	block->used = 0;
	block->size = (uint16_t)steps;
	list_push(&cells->partial[steps - 1], block);
	return block;
}

static bool block_is_full(const struct cell_block *block) {
	return block->free == NONE && (size_t)block->fresh + block->size > BLOCK_STEPS;
}

static struct cell_block *block_of(void *cell) {
	return (struct cell_block *)((uintptr_t)cell & ~(uintptr_t)(BLOCK_SIZE - 1));
}

void *cells_alloc(struct cells *cells, size_t size) {
	size_t steps = size_steps(size);
	struct cell_block *block;
	char *cell;

	if (steps > CELL_CLASSES) {
		cells->large_bytes += cells_room(size);
		return memory_alloc(1, cells_room(size));
	}
	block = cells->partial[steps - 1];
	if (!block) {
		block = block_take(cells, steps);
	}
	if (block->free != NONE) {
		cell = (char *)block + (size_t)block->free * CELL_STEP;
		memcpy(&block->free, cell, sizeof(block->free));
	} else {
		cell = (char *)block + (size_t)block->fresh * CELL_STEP;
		block->fresh = (uint16_t)(block->fresh + steps);
	}
	block->used++;
	cells->used_bytes += steps * CELL_STEP;
	if (block_is_full(block)) {
		list_remove(&cells->partial[steps - 1], block);
	}
	return cell;
}

void cells_free(struct cells *cells, void *cell, size_t size) {
	size_t steps = size_steps(size);
	struct cell_block *block;

	if (!cell) {
		return;
	}
	if (steps > CELL_CLASSES) {
		cells->large_bytes -= cells_room(size);
		free(cell);
		return;
	}
	block = block_of(cell);
	DCHECK(block->size == steps && block->used > 0);
	memcpy(cell, &block->free, sizeof(block->free));
	block->free = (uint16_t)(((uintptr_t)cell - (uintptr_t)block) / CELL_STEP);
	block->used--;
	cells->used_bytes -= steps * CELL_STEP;
	if (!block->is_listed) {
		list_push(&cells->partial[steps - 1], block);
	}
	if (block->used == 0) {
		list_remove(&cells->partial[steps - 1], block);
		empty_push(cells, block);
	}
}

bool cells_are_sparse(const struct cells *cells) {
	size_t blocks =
		cells->region_count * REGION_BLOCKS - cells->empty_count - cells->lent_count;
	size_t bound = cells->used_bytes + cells->used_bytes / 8;

	/* One block of each size may be begun. */
	return blocks * BLOCK_SIZE > bound + CELL_CLASSES * BLOCK_SIZE;
}

void *cells_compact(struct cells *cells, void *cell, size_t size) {
	size_t steps = size_steps(size);
	struct cell_block *block;
	void *moved;

	if (steps > CELL_CLASSES) {
		return cell;
	}
	block = block_of(cell);
	/* The first block of its size is the one that the others are emptied into. */
	if (!block->is_listed || block == cells->partial[steps - 1] ||
		block->used * steps > BLOCK_STEPS * 3 / 4) {
		return cell;
	}
	moved = cells_alloc(cells, size);
	memcpy(moved, cell, steps * CELL_STEP);
	cells_free(cells, cell, size);
	return moved;
}

bool cells_trim(struct cells *cells) {
	size_t kept = cells->region_count * REGION_BLOCKS / EMPTY_SHARE;
	size_t count = 0;

	for (; cells->empty_count > kept && count < TRIM_BLOCKS; count++) {
		struct cell_block *block = cells->empty;
		if (madvise((char *)block + BLOCK_KEPT, BLOCK_SIZE - BLOCK_KEPT, MADV_DONTNEED) <
			0) {
			return false; /* A system without it keeps its memory here. */
		}
		list_remove(&cells->empty, block);
		cells->empty_count--;
		list_push(&cells->lent, block);
		cells->lent_count++;
	}
	return cells->empty_count > kept;
}

size_t cells_bytes(const struct cells *cells) {
	return cells->region_count * BLOCK_SIZE * REGION_BLOCKS + cells->large_bytes -
	       cells->lent_count * (BLOCK_SIZE - BLOCK_KEPT);
}
