/*
 * Links: this process' side of the connections to other clusters' gateways.
 *
 * One link file (YAML) per cluster lies in a directory that is watched; adding, changing or
 * removing a file adds, re-dials or removes the link, nothing else is touched. A file may also say
 * that its gateway dials us; then the link is whatever connection it made last. Each link keeps one
 * HTTP/2 session over mutual TLS open, follows the gateway's catalogue of exports over it, and
 * carries requests to exports. Before a certificate of either side expires another session takes
 * its place; calls under way end over the old one.
 *
 * The set is owned by one loop; links_call and links_snapshot may be used from any other thread.
 */
#ifndef MESH_LINK_H
#define MESH_LINK_H

#include "base/arena.h"
#include "base/err.h"
#include "base/metric.h"
#include "http/message.h"
#include "io/loop.h"
#include "io/tls.h"
#include "trust/bundle.h"
#include "trust/deny.h"
#include "trust/identity.h"

#include <stdatomic.h>
#include <stdint.h>

struct links;
struct router;

enum link_state {
	LINK_CONNECTING,
	LINK_UP,
	LINK_DOWN
};

/* One service that the other side lets us reach. */
struct link_export {
	struct str name;  /* "prometheus" */
	struct str kind;  /* "prometheus" */
	uint64_t version; /* Changes when the export does. */
};

/* What is known of a link at one moment; everything lives in the arena of the snapshot. */
struct link_status {
	struct str cluster;
	enum link_state state;
	struct str address;    /* "127.0.0.1:9493" in use or tried last; of a gateway that dials,
				* where it comes from. */
	struct str identity;   /* The gateway's verified name. */
	struct str last_error; /* Why it is not up; empty when it is. */
	int64_t since_ms;      /* When it entered the state. */
	int64_t cert_not_after_ms; /* The gateway's certificate. */
	int64_t own_cert_not_after_ms;
	int64_t rtt_ns;
	int64_t skew_ms;         /* The gateway's clock less ours, to within a round trip. */
	bool has_skew;           /* It is known. */
	uint64_t received_bytes; /* On the wire, TLS included, all connections of this link so far.
				  */
	uint64_t sent_bytes;
	struct link_export *exports;
	size_t export_count;
	const struct trust_facts *trust; /* What the gateway believes; NULL: it has not told. */
	int64_t catalogue_age_ms;        /* Since the catalogue was last confirmed; -1: never. */
};

struct links_options {
	const char *directory;   /* Of link files (*.yaml). */
	struct tls_slot *tls;    /* Who we are; borrowed. */
	struct deny_set *denied; /* Who is not believed any more; borrowed. NULL: nobody. */
	size_t window_bytes_max; /* Of one answer under way; 0: 8 MiB (http/session.h). */
	struct metric_registry *metrics;
	/* Called on the loop after any link's state or catalogue changed. May be NULL. */
	void (*on_change)(void *context);
	void *context;
};

/*
 * Reads the directory and begins dialling. Returns 0, ERR_IO (no such directory) or ERR_INVAL (a
 * window that is none). Files that are malformed are logged and left out.
 */
MUST_USE int links_new(struct loop *loop, const struct links_options *options, struct links **out,
	struct err *err);
/*
 * On the loop. Calls under way end with ERR_CLOSED; they may still be waited for. Connections end
 * in the loop's next rounds, or in loop_free.
 */
void links_free(struct links *links);
/*
 * On the loop, once: listens for gateways that dial us. Each is the link whose file names its
 * identity and says "dials: gateway"; others are refused, logged and counted
 * (atoll_link_refused_total). Returns 0, ERR_INVAL (bad address) or ERR_IO (in use).
 */
MUST_USE int links_listen(struct links *links, const char *host, uint16_t port, struct err *err);
/* The port that is listened on. */
uint16_t links_port(const struct links *links);
/* On the loop: others than before are denied. Their sessions end, and those who do not know the
 * lists are given them. */
void links_denied_changed(struct links *links);
/* On the loop: dials at once what is down (our certificates changed). */
void links_retry(struct links *links);

/*
 * On the loop, once: adds GET /atoll/v1/links to a router: every link with its state, its clock,
 * its exports and why it failed last, who we are and whom we believe, and the gateways that dialled
 * and were refused.
 */
void links_register(
	struct links *links, const struct trust_identity *identity, struct router *router);

/* Any thread: all links, sorted by cluster, in 'arena'. */
void links_snapshot(
	struct links *links, struct arena *arena, struct link_status **out, size_t *count);

struct link_request {
	struct str cluster;
	struct str export_name;
	struct str method;       /* "GET", "POST" */
	struct str target;       /* Path and query. */
	struct str content_type; /* Of 'body'. */
	struct str body;
	struct str accept; /* Accept header; empty: any. */
	int64_t timeout_ms;
	size_t body_bytes_max;        /* Of the decoded answer. */
	const _Atomic bool *canceled; /* May be NULL; looked at at least every 100 ms. */
};

struct link_response {
	int status;
	struct str content_type;
	struct str body;         /* Decoded. In the arena. */
	uint64_t received_bytes; /* This answer's share on the wire: frames as received, compressed.
				  */
	int64_t duration_ns;
};

/* A call begun; several may be waited for in any order. */
struct link_call;

/*
 * Any thread but the loop's: starts a request to an export of a linked cluster. Never fails at
 * once: the outcome is link_call_wait's. Strings are copied.
 */
struct link_call *link_call_start(struct links *links, const struct link_request *request);
/*
 * Blocks until the answer is whole, the time is up or it is canceled; frees the call. Returns 0
 * (any HTTP status), ERR_TIMEOUT, ERR_CANCELED, ERR_CLOSED (the link is down: says why), ERR_LIMIT
 * (body), ERR_DENIED (the gateway refused), ERR_INVAL (no such cluster or export).
 */
MUST_USE int link_call_wait(struct link_call *call, struct arena *arena,
	struct link_response *response, struct err *err);

#endif
