#include "base/reuse.h"

#include "base/check.h"

#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Up to here a class for every 16 bytes, beyond it four for each doubling. */
#define FINE_STEP ((size_t)16)
#define FINE_MAX ((size_t)512)
#define FINE_CLASSES (FINE_MAX / FINE_STEP)
#define DOUBLINGS 6 /* From FINE_MAX to REUSE_BLOCK_BYTES_MAX. */
#define CLASSES (FINE_CLASSES + (size_t)4 * DOUBLINGS)
/* What a thread keeps of one class: so many bytes, but no fewer than so many blocks. */
#define CLASS_BYTES_MAX ((size_t)128 * 1024)
#define CLASS_BLOCKS_MIN 8

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define KEEPS_BLOCKS false
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
	__has_feature(memory_sanitizer)
#define KEEPS_BLOCKS false
#endif
#endif
#ifndef KEEPS_BLOCKS
#define KEEPS_BLOCKS true
#endif

struct block {
	struct block *next;
};

enum cache_state {
	CACHE_UNUSED, /* Its end at the thread's is not arranged yet. */
	CACHE_IN_USE,
	CACHE_CLOSED /* The thread ends. */
};

struct cache {
	struct block *first[CLASSES];
	uint32_t count[CLASSES];
	size_t bytes;
	enum cache_state state;
};

/* A thread's own; other threads never see it. */
static __thread struct cache cache;
static pthread_key_t end_key;
static pthread_once_t end_once = PTHREAD_ONCE_INIT;

/* The class whose blocks have at least 'size' bytes, which is at most REUSE_BLOCK_BYTES_MAX. */
static size_t class_for(size_t size) {
	if (size <= FINE_MAX) {
		return (size - 1) / FINE_STEP;
	}
	size_t log = 63 - (size_t)__builtin_clzll(size - 1); /* 2^log < size <= 2^(log + 1) */
	size_t quarter = ((size - 1) >> (log - 2)) & 3;
	return FINE_CLASSES + (log - 9) * 4 + quarter;
}

static size_t class_bytes(size_t class) {
	if (class < FINE_CLASSES) {
		return (class + 1) * FINE_STEP;
	}
	size_t log = 9 + (class - FINE_CLASSES) / 4;
	size_t quarter = (class - FINE_CLASSES) % 4;
	return ((size_t)1 << log) + ((quarter + 1) << (log - 2));
}

static void close_cache(void *unused) {
	(void)unused;
	cache.state = CACHE_CLOSED;
	for (size_t i = 0; i < CLASSES; i++) {
		while (cache.first[i]) {
			struct block *block = cache.first[i];
			cache.first[i] = block->next;
			free(block);
		}
		cache.count[i] = 0;
	}
	cache.bytes = 0;
}

static void make_key(void) {
	CHECK(pthread_key_create(&end_key, close_cache) == 0);
}

/* Arranges that the cache goes with the thread. */
static void open_cache(void) {
	cache.state = CACHE_IN_USE;
	CHECK(pthread_once(&end_once, make_key) == 0);
	/* Any value that is not NULL has the destructor called. */
	if (pthread_setspecific(end_key, &cache) != 0) {
		cache.state = CACHE_CLOSED;
	}
}

void *reuse_alloc(size_t size) {
	if (size == 0) {
		return NULL;
	}
	if (!KEEPS_BLOCKS || size > REUSE_BLOCK_BYTES_MAX) {
		return malloc(size);
	}
	size_t class = class_for(size);
	struct block *block = cache.first[class];
	if (!block) {
		return malloc(class_bytes(class));
	}
	cache.first[class] = block->next;
	cache.count[class]--;
	cache.bytes -= class_bytes(class);
	return block;
}

void *reuse_alloc_zeroed(size_t count, size_t size) {
	size_t bytes = 0;
	if (__builtin_mul_overflow(count, size, &bytes)) {
		return NULL;
	}
	void *block = reuse_alloc(bytes);
	if (block) {
		memset(block, 0, bytes);
	}
	return block;
}

void *reuse_resize(void *block, size_t size) {
	if (!block) {
		return reuse_alloc(size);
	}
	if (size == 0) {
		reuse_free(block);
		return NULL;
	}
	size_t room = malloc_usable_size(block);
	if (!KEEPS_BLOCKS || (size > REUSE_BLOCK_BYTES_MAX && room > REUSE_BLOCK_BYTES_MAX)) {
		return realloc(block, size);
	}
	if (size <= room && size >= room / 2) {
		return block;
	}
	void *other = reuse_alloc(size);
	if (other) {
		memcpy(other, block, room < size ? room : size);
		reuse_free(block);
	}
	return other;
}

/* Keeps the block if there is room for it. */
static bool keep(void *memory, size_t room) {
	if (room < FINE_STEP || room > REUSE_BLOCK_BYTES_MAX + FINE_STEP) {
		return false;
	}
	size_t class = class_for(room < REUSE_BLOCK_BYTES_MAX ? room : REUSE_BLOCK_BYTES_MAX);
	/* Of the class that it can serve, which is the one below unless it fits exactly. */
	class -= class_bytes(class) > room;
	size_t bytes = class_bytes(class);
	size_t most = CLASS_BYTES_MAX / bytes;
	if (cache.count[class] >= (most > CLASS_BLOCKS_MIN ? most : CLASS_BLOCKS_MIN) ||
		cache.bytes + bytes > REUSE_THREAD_BYTES_MAX) {
		return false;
	}
	struct block *block = memory;
	block->next = cache.first[class];
	cache.first[class] = block;
	cache.count[class]++;
	cache.bytes += bytes;
	return true;
}

void reuse_free(void *block) {
	if (KEEPS_BLOCKS && block) {
		if (cache.state == CACHE_UNUSED) {
			open_cache();
		}
		if (cache.state == CACHE_IN_USE && keep(block, malloc_usable_size(block))) {
			return;
		}
	}
	free(block);
}
