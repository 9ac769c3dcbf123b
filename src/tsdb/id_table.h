/*
 * Hash tables of numbers: four bytes a slot, for things that know their own hash.
 *
 * Guarded by its owner's lock. { 0 } is empty.
 */
#ifndef TSDB_ID_TABLE_H
#define TSDB_ID_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct id_table {
	uint32_t *slots; /* Number + 1; 0: free. */
	size_t count;
	size_t capacity; /* A power of two, or 0. */
};

/* The hash of the thing with that number. */
typedef uint32_t id_hash_fn(uint32_t id, const void *context);
/* Whether the thing with that number (and the hash looked for) is what 'key' means. */
typedef bool id_equal_fn(uint32_t id, const void *key, const void *context);

/* Frees the table, not the things. */
void id_table_deinit(struct id_table *table);
/* Looks for a thing. 'context' is handed to both functions. Returns whether it is there. */
bool id_table_find(const struct id_table *table, uint32_t hash, const void *key,
	id_hash_fn *hash_of, id_equal_fn *equal, const void *context, uint32_t *id);
/* Adds a thing that is not there; its hash must be known to 'hash_of' by now. */
void id_table_add(struct id_table *table, uint32_t id, id_hash_fn *hash_of, const void *context);
/* Removes a thing that is there. */
void id_table_remove(struct id_table *table, uint32_t id, id_hash_fn *hash_of, const void *context);

#endif
