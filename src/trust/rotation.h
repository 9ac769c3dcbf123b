/*
 * The replacement of a mesh's trust anchor, step by step, each only when everybody is ready for it:
 *
 *   begin    the new anchor is made
 *   publish  the issuers' directories believe both; their keepers hand that to the leaves
 *   switch   once every member of the mesh believes both, issuers are made under the new anchor
 *   retire   once every member's certificate descends from the new anchor and no leaf of the old
 *            one can be alive, the old one is believed no more
 *
 * What has been done stands in the new anchor's directory, in a file "rotation" that is replaced
 * whole, after a step's work and not before; each step may be done again, so that one that was cut
 * off half way is just repeated. What members believe is found out by the caller.
 *
 * Owned by one thread.
 */
#ifndef TRUST_ROTATION_H
#define TRUST_ROTATION_H

#include "base/arena.h"
#include "base/err.h"
#include "base/time.h"
#include "trust/bundle.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Issuers, hubs and names left out, of each. */
#define ROTATION_NAMES_MAX 64

/* The last step that was done. */
enum rotation_step {
	ROTATION_BEGUN,
	ROTATION_PUBLISHED,
	ROTATION_SWITCHED,
	ROTATION_RETIRED,
	ROTATION_STEP_COUNT
};

struct rotation_names {
	const char *items[ROTATION_NAMES_MAX];
	size_t count;
};

struct rotation {
	struct arena arena; /* Of the texts. */
	const char *directory;
	enum rotation_step step;
	char old_anchor[ANCHOR_DIGEST_LEN + 1];
	char new_anchor[ANCHOR_DIGEST_LEN + 1];
	int64_t leaf_lifetime_ms; /* The longest that any leaf was signed for. */
	int64_t switched_ms;      /* When the last issuer was; 0: not yet. */
	struct rotation_names issuers;
	struct rotation_names hubs;
	struct rotation_names left_out;
	struct str passphrase; /* Of the new anchor's key, for rotation_switch; borrowed. */
};

struct rotation_options {
	const char *directory;     /* Where the new anchor goes, or is (atoll trust init). */
	const char *old_directory; /* The old one's; its key is not needed. */
	struct rotation_names issuers;
	struct rotation_names hubs;
	struct str passphrase;    /* Of the new anchor's key; empty: it is not encrypted. */
	int64_t lifetime_ms;      /* Of the new anchor; 0: ANCHOR_LIFETIME_MS. */
	int64_t leaf_lifetime_ms; /* 0: LEAF_LIFETIME_MS. */
};

/* Somebody whose trust must be known: a hub (by its URL) or a cluster that one is linked with. */
struct rotation_member {
	struct str name;
	struct str trouble;              /* Why its trust is not known; empty: it is. */
	const struct trust_facts *facts; /* NULL with trouble. */
};

/*
 * Makes the new anchor and begins. Every issuer must descend from the old anchor. An anchor that is
 * in the directory already is taken if it is another of the same mesh. Returns 0, ERR_INVAL,
 * ERR_DENIED (a rotation is under way there; anchors or issuers that do not fit) or ERR_IO.
 */
MUST_USE int rotation_begin(const struct rotation_options *options, const struct clock *clock,
	struct rotation *out, struct err *err);
/* Reads how far it is. Returns 0, ERR_IO or ERR_CORRUPT. */
MUST_USE int rotation_load(const char *directory, struct rotation *out, struct err *err);
void rotation_deinit(struct rotation *rotation);

/* From now on nobody waits for that member. Returns 0, ERR_LIMIT or ERR_IO. */
MUST_USE int rotation_leave_out(struct rotation *rotation, const char *name, struct err *err);
bool rotation_is_left_out(const struct rotation *rotation, struct str name);

/* The steps. Return 0, ERR_DENIED (not its turn, or not everybody is ready; says who and why) or
 * what went wrong on the way, and then may be repeated. */
MUST_USE int rotation_publish(struct rotation *rotation, struct err *err);
MUST_USE int rotation_switch(struct rotation *rotation, const struct rotation_member *members,
	size_t count, int64_t issuer_lifetime_ms, const struct clock *clock, struct err *err);
MUST_USE int rotation_retire(struct rotation *rotation, const struct rotation_member *members,
	size_t count, const struct clock *clock, struct err *err);

/*
 * What keeps a member from being ready for the step to come, as a sentence appended to 'why'; of a
 * rotation that is done, from being done with it. Returns whether nothing does.
 */
bool rotation_member_is_ready(
	const struct rotation *rotation, const struct rotation_member *member, struct buf *why);
/* When the last leaf of the old anchor is dead; 0 before the issuers were switched. */
int64_t rotation_retire_after_ms(const struct rotation *rotation);
/* "begun", "published", "switched", "retired" */
const char *rotation_step_name(enum rotation_step step);

#endif
