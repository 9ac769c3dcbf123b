#include "promql/engine.h"

/* Where 'text' stands, or would stand, in the sorted items; tells whether it is there. */
static size_t find_item(const struct annotations *notes, struct str text, bool *found) {
	size_t low = 0;
	size_t high = notes->count;

	*found = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int cmp = str_cmp(notes->items[middle].text, text);

		if (cmp == 0) {
			*found = true;
			return middle;
		}
		if (cmp < 0) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low;
}

static void grow(struct annotations *notes, struct arena *arena) {
	size_t capacity = notes->capacity ? notes->capacity * 2 : 8;
	struct annotation *items = ARENA_NEW(arena, struct annotation, capacity);

	if (notes->count > 0) {
		memcpy(items, notes->items, notes->count * sizeof(*items));
	}
	notes->items = items;
	notes->capacity = capacity;
}

void annotations_add(
	struct annotations *notes, struct arena *arena, bool is_info, struct str text) {
	bool found;
	size_t at = find_item(notes, text, &found);

	if (found) {
		return;
	}
	if (notes->count == notes->capacity) {
		grow(notes, arena);
	}
	memmove(notes->items + at + 1, notes->items + at,
		(notes->count - at) * sizeof(*notes->items));
	notes->items[at] =
		(struct annotation){ .is_info = is_info, .text = arena_copy(arena, text) };
	notes->count++;
}
