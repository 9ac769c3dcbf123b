/*
 * Mirrors from the inside: the set (mirror.c), one mirror's listener (listener.c) and the requests
 * that come in by it (relay.c). Everything is the loop's.
 */
#ifndef MIRROR_INTERNAL_H
#define MIRROR_INTERNAL_H

#include "http/server.h"
#include "mesh/link_stream.h"
#include "mirror/mirror.h"
#include "mirror/view.h"
#include "mirror/writer.h"

struct relay;

struct mirror_metrics {
	struct metric_family *requests;  /* cluster, export, code */
	struct metric_family *in_flight; /* cluster, export */
	struct metric_family *bytes;     /* cluster, export */
	struct metric_family *duration;  /* cluster, export */
	struct metric_family *ready;     /* cluster, export */
	struct metric_family *age;       /* cluster, export */
	struct metric_family *count;     /* state */
};

/* Of one export; while it is removed, only a reserved port. */
struct mirror {
	struct mirrors *set;
	char cluster[64];
	char export_name[64];
	char kind[64];
	char identity[256];
	char reason[512];
	enum mirror_state state;
	uint16_t port;
	char *path; /* Of a socket. */
	int64_t removed_ms;
	int64_t catalogue_age_ms;
	bool is_listed; /* Met in this update. */

	struct http_server *server; /* NULL: there is none; 'failure' says why. */
	struct err failure;
	int64_t retry_ns; /* When to try again. */

	struct relay *relays; /* Under way. */
	/* NULL without a listener. */
	struct metric *in_flight;
	struct metric *bytes;
	struct metric *duration;
	struct metric *ready;
	struct metric *age;
};

struct mirrors {
	struct loop *loop;
	struct mirrors_options options;
	char *directory;
	char *cluster_label;
	int lock_fd;
	struct mirror **items; /* By cluster and export. */
	size_t count;
	size_t capacity;
	struct writer *writer;
	struct timer timer; /* Looks at ages, and at what failed. */
	struct mirror_metrics metrics;
	struct buf discovery; /* What HTTP discovery serves. */
	uint64_t left_out;    /* Hash of the clusters with too many exports, when last said. */
};

/* Opens the mirror's listener: at its port, or one of the range that is free. The outcome stands
 * in 'server' and 'failure'. */
void mirror_listen(struct mirror *mirror);
/* Ends the listener and what came in by it. */
void mirror_close(struct mirror *mirror);
/* Whether some other mirror of the set has that port. */
bool mirrors_has_port(const struct mirrors *mirrors, uint16_t port);

/* An http_handler_fn with a mirror as its context. */
void relay_serve(void *context, struct exchange *exchange);
/* Cuts all that is under way. */
void relays_stop(struct mirror *mirror);
/* Forgets the counters of requests by code. */
void relay_remove_codes(const struct mirror *mirror);

#endif
