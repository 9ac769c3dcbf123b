/*
 * A group: what belongs together and to one issuer of certificates - a cluster with its parts, or
 * the hub. Owned by the loop it was made for.
 */
#ifndef DEMO_GROUP_H
#define DEMO_GROUP_H

#include "base/err.h"
#include "base/str.h"
#include "demo/part.h"
#include "trust/keeper.h"

#include <stdbool.h>

#define GROUP_PARTS_MAX 3
#define GROUP_NAME_HUB "hub"

/* What all groups of a demo have in common; borrowed. */
struct group_context {
	struct loop *loop;
	struct fetcher *fetcher;
	const char *folder;  /* The demo's. */
	const char *program; /* Ours. */
	uint16_t first_port;
	part_changed_fn *changed;
	void *context; /* Of 'changed'. */
};

struct group {
	const struct group_context *shared;
	char name[64];
	char folder[4096];
	bool is_hub;
	bool is_stock;
	size_t slot;
	struct part parts[GROUP_PARTS_MAX];
	size_t part_count;
	struct keeper *keeper; /* Renews the group's certificates. */
	bool has_answered;     /* Over the hub, since it was last looked at. */
};

/*
 * Makes the trust anchor of the demo, anew. Returns 0 or ERR_IO.
 */
MUST_USE int group_make_anchor(const char *folder, struct err *err);

/*
 * Makes a group: its issuer and certificates, its configuration files, its parts (not started). For
 * the hub 'name' is GROUP_NAME_HUB. Returns 0, ERR_INVAL (a name that is none) or ERR_IO.
 */
MUST_USE int group_new(const struct group_context *shared, const char *name, size_t slot,
	bool is_stock, struct group **out, struct err *err);
/* Kills what still runs; the files stay. */
void group_free(struct group *group);
/* Removes the files. */
MUST_USE int group_remove_files(const struct group *group, struct err *err);

/* Starts the parts that do not run. Returns 0 or ERR_IO. */
MUST_USE int group_start(struct group *group, struct err *err);
/* Tells all parts to end. */
void group_stop(struct group *group);
bool group_is_running(const struct group *group);
/* The part of that name, or NULL. */
struct part *group_find_part(struct group *group, struct str name);

/* Makes the hub find the cluster, or forget it: its link file. Returns 0 or ERR_IO. */
MUST_USE int group_link(const struct group *group, struct err *err);
MUST_USE int group_unlink(const struct group *group, struct err *err);

#endif
