/*
 * Cells: memory for a million small things of changing size.
 *
 * Sizes are rounded up to 16 bytes; a cell has no header. Cells of one size share blocks of 16 KiB;
 * a block whose cells are all free serves any size again, so that series that all grow at the same
 * pace do not leave behind the room of every size they once had. What is larger than CELL_SIZE_MAX
 * comes from malloc. Guarded by its owner's lock.
 */
#ifndef TSDB_CELLS_H
#define TSDB_CELLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CELL_STEP 16
#define CELL_SIZE_MAX 1024
#define CELL_CLASSES (CELL_SIZE_MAX / CELL_STEP)

struct cell_block;

struct cells {
	struct cell_block *partial[CELL_CLASSES]; /* Blocks with room, by size. */
	struct cell_block *empty;                 /* Blocks without a cell in use. */
	struct cell_block *lent; /* Likewise, whose memory the system has back for now. */
	void **regions;          /* What the system gave. */
	size_t region_count;
	size_t large_bytes;
	size_t empty_count;
	size_t lent_count;
	size_t used_bytes; /* Of cells in blocks. */
};

/* Frees everything at once. */
void cells_deinit(struct cells *cells);
/* Memory for 'size' bytes, not zeroed, aligned to 16. */
void *cells_alloc(struct cells *cells, size_t size);
/* Gives back what was allocated with that size. NULL is fine. */
void cells_free(struct cells *cells, void *cell, size_t size);
/* What 'size' is rounded up to: this much may be used. */
size_t cells_room(size_t size);
/* Whether blocks are so thinly used that moving cells together is worth the work. */
bool cells_are_sparse(const struct cells *cells);
/* Moves a cell out of a thinly used block, so that the block may become empty. Returns where the
 * cell is now. */
void *cells_compact(struct cells *cells, void *cell, size_t size);
/*
 * Gives the memory of empty blocks back to the system, a bounded number at a time, but keeps some
 * for what comes next. Returns whether there is more to give: the caller may let others have the
 * lock between.
 */
bool cells_trim(struct cells *cells);
/* Bytes had from the system. */
size_t cells_bytes(const struct cells *cells);

#endif
