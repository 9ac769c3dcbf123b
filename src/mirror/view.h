/*
 * What is to be seen of mirrors, and the texts that are made of it. Pure functions.
 */
#ifndef MIRROR_VIEW_H
#define MIRROR_VIEW_H

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

enum mirror_state {
	MIRROR_READY,
	MIRROR_STALE,  /* Its catalogue is old, or has not come since the start. */
	MIRROR_FAILED, /* There is no listener. */
	MIRROR_REMOVED /* Only its port is kept for a while. */
};

/* Of one mirror. */
struct mirror_view {
	struct str cluster;
	struct str export_name;
	struct str kind;     /* Of the export: "prometheus". */
	struct str identity; /* Of the gateway, as verified last. */
	enum mirror_state state;
	struct str reason; /* Why it is not ready. */
	uint16_t port;     /* 0: a Unix socket, or none could be had. */
	struct str path;   /* Of the socket. */
	int64_t removed_ms;
	int64_t catalogue_age_ms; /* -1: none has come since the start. */
};

/* "ready", "stale", "failed", "removed" */
const char *mirror_state_name(enum mirror_state state);
/* A name for Grafana that stays the same: at most 40 of A-Z a-z 0-9 - and _. */
void view_uid(const struct mirror_view *view, struct buf *out);

/* Each appends a document of all 'views' that belong into it. */
void view_put_discovery(
	const struct mirror_view *views, size_t count, const char *cluster_label, struct buf *out);
void view_put_grafana(const struct mirror_view *views, size_t count, struct buf *out);
/* The body of /api/v1/atoll/mirrors. */
void view_put_status(const struct mirror_view *views, size_t count, struct buf *out);

#endif
