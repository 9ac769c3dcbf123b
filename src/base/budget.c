#include "base/budget.h"

#include "base/check.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>

/* The counts are statistics and a limit, and publish nothing: relaxed order everywhere. */

void budget_init(
	struct budget *budget, struct budget *parent, const char *name, uint64_t max_bytes) {
	budget->parent = parent;
	budget->name = name;
	budget->max_bytes = max_bytes;
	atomic_init(&budget->used_bytes, 0);
	atomic_init(&budget->peak_bytes, 0);
}

void budget_deinit(struct budget *budget) {
	uint64_t used = budget_used(budget);
	if (used > 0) {
		budget_release(budget, used);
	}
}

static void raise_peak(struct budget *budget, uint64_t used) {
	uint64_t peak = atomic_load_explicit(&budget->peak_bytes, memory_order_relaxed);
	while (used > peak && !atomic_compare_exchange_weak_explicit(&budget->peak_bytes, &peak,
				      used, memory_order_relaxed, memory_order_relaxed)) {
	}
}

/* Charges one budget only. Returns false when 'bytes' do not fit. */
static bool charge_one(struct budget *budget, uint64_t bytes) {
	uint64_t max = budget->max_bytes > 0 ? budget->max_bytes : UINT64_MAX;
	uint64_t used = atomic_load_explicit(&budget->used_bytes, memory_order_relaxed);
	do {
		if (bytes > max || used > max - bytes) {
			return false;
		}
	} while (!atomic_compare_exchange_weak_explicit(&budget->used_bytes, &used, used + bytes,
		memory_order_relaxed, memory_order_relaxed));
	raise_peak(budget, used + bytes);
	return true;
}

static void release_until(struct budget *budget, const struct budget *end, uint64_t bytes) {
	for (; budget != end; budget = budget->parent) {
		uint64_t before =
			atomic_fetch_sub_explicit(&budget->used_bytes, bytes, memory_order_relaxed);
		CHECK(before >= bytes);
	}
}

int budget_charge(struct budget *budget, uint64_t bytes, struct err *err) {
	for (struct budget *at = budget; at; at = at->parent) {
		if (!charge_one(at, bytes)) {
			release_until(budget, at, bytes);
			return err_set(err, ERR_LIMIT,
				"%" PRIu64 " more bytes are needed, %" PRIu64 " of %" PRIu64
				" are in use; raise %s",
				bytes, budget_used(at), at->max_bytes, at->name);
		}
	}
	return 0;
}

void budget_release(struct budget *budget, uint64_t bytes) {
	release_until(budget, NULL, bytes);
}

uint64_t budget_used(const struct budget *budget) {
	return atomic_load_explicit(&budget->used_bytes, memory_order_relaxed);
}

uint64_t budget_peak(const struct budget *budget) {
	return atomic_load_explicit(&budget->peak_bytes, memory_order_relaxed);
}
