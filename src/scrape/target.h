/*
 * Targets: what to scrape, made from a discovered address by relabelling.
 *
 * A target is counted and, but for its status, immutable: the scrape loop and API threads hold it.
 * The status is the scrape loop's to write; both sides take the scraper's lock for it.
 */
#ifndef SCRAPE_TARGET_H
#define SCRAPE_TARGET_H

#include "base/arena.h"
#include "config/config.h"
#include "expfmt/expfmt.h"

#include <stdatomic.h>

enum target_health {
	TARGET_UNKNOWN,
	TARGET_UP,
	TARGET_DOWN
};

/* What a target's last body said of its metric families. Immutable, counted. */
struct family {
	struct str name;
	struct str help;
	struct str unit;
	enum metric_type type;
};

struct families {
	_Atomic unsigned refs;
	struct arena arena;
	const struct family *items; /* Sorted by name. */
	size_t count;
};

/* One more, one less owner; the last one frees. NULL may be unreferenced. */
struct families *families_ref(struct families *families);
void families_unref(struct families *families);
/* Reads the metadata of a body that was accepted. */
struct families *families_new(enum exposition_format format, struct buf *body);

struct target_status {
	enum target_health health;
	char *last_error;       /* On the heap; NULL: none. */
	int64_t last_scrape_ms; /* 0: never. */
	int64_t last_duration_ns;
	struct families *families; /* NULL: none yet. */
};

struct target {
	_Atomic unsigned refs;
	struct arena arena;       /* Holds all below. */
	struct labels discovered; /* Before relabelling. */
	struct labels labels;     /* After it; empty: dropped. */
	struct labels own;        /* Those that its series get: without names in "__". */
	struct str url;           /* Followed by a NUL. */
	uint64_t hash;            /* Of labels and URL. */
	int64_t interval_ms;
	int64_t timeout_ms;
	struct target_status status; /* See above. */
};

/*
 * Makes a target of 'address' in 'group' for 'job'. Returns 0 (its labels are empty when
 * relabelling dropped it) or ERR_INVAL with Prometheus' reason ("no address").
 */
MUST_USE int target_new(const struct config_scrape *job, const struct config_targets *group,
	struct str address, struct target **out, struct err *err);
struct target *target_ref(struct target *target);
void target_unref(struct target *target);

static inline bool target_is_dropped(const struct target *target) {
	return target->labels.count == 0;
}

#endif
