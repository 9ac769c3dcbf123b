/*
 * Budgets: how many bytes something may still use.
 *
 * A budget may have a parent (a query's, under the process'); charging one charges all above it, or
 * none. Whatever an outsider decides the size of is charged before it is allocated. Any thread;
 * counts are atomic. The parent must outlive the child; a child returns what it holds at deinit.
 */
#ifndef BASE_BUDGET_H
#define BASE_BUDGET_H

#include "base/err.h"

#include <stdatomic.h>
#include <stdint.h>

struct budget {
	struct budget *parent; /* Borrowed; may be NULL. */
	const char *name;      /* The setting that raises it, named in the error. Static. */
	uint64_t max_bytes;    /* 0: no limit of its own. */
	_Atomic uint64_t used_bytes;
	_Atomic uint64_t peak_bytes;
};

/* 'name' is static; 'max_bytes' 0 means that only the parents limit. */
void budget_init(
	struct budget *budget, struct budget *parent, const char *name, uint64_t max_bytes);
/* Releases whatever is still charged, in all parents too. */
void budget_deinit(struct budget *budget);

/* Charges 'bytes'. Returns 0, or ERR_LIMIT naming the setting and its value; then nothing changed.
 */
MUST_USE int budget_charge(struct budget *budget, uint64_t bytes, struct err *err);
/* Gives back what was charged, here and in all parents. */
void budget_release(struct budget *budget, uint64_t bytes);
/* Bytes charged now, and the most that ever were. */
uint64_t budget_used(const struct budget *budget);
uint64_t budget_peak(const struct budget *budget);

#endif
