/*
 * Whom the members of a mesh believe, asked of its hubs.
 */
#ifndef CMD_TRUST_MEMBERS_H
#define CMD_TRUST_MEMBERS_H

#include "base/arena.h"
#include "trust/rotation.h"

/* Asks every hub of the rotation, one after the other: each, and every cluster that it is linked
 * with, is a member. One that does not answer is a member with that trouble. All in 'arena'. */
void trust_members_ask(const struct rotation *rotation, struct arena *arena,
	struct rotation_member **out, size_t *count);

#endif
