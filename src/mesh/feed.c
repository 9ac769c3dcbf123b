#include "mesh/feed.h"

#include "base/check.h"
#include "base/memory.h"
#include "http/uri.h"
#include "mesh/answer.h"
#include "mesh/catalogue.h"

#include <stdlib.h>
#include <string.h>

#define CONTENT_TYPE STR("application/x-ndjson")
/* A follower that leaves so much unread is cut off; it will come back for the newest document. */
#define UNREAD_BYTES_MAX (2 * CATALOGUE_LINE_MAX)
/* Changes that follow each other faster are told as one: a follower reads each line of ours. */
#define SETTLE_NS (250 * NS_PER_MS)
/* Of one identity: a hub has one, and for a moment two. */
#define FOLLOWERS_PER_PEER_MAX 64

struct follower {
	struct feed *feed;
	struct follower *next;
	struct follower *previous;
	struct exchange *exchange;
	uint64_t version;       /* What it was told last, and when that began to hold. */
	unsigned trust_version; /* Of the feed's trust that it was told. */
	int64_t since_ns;
};

struct feed {
	struct loop *loop;
	struct exports *exports; /* A reference; NULL before the first. */
	struct trust_facts trust;
	bool has_trust;
	bool has_denied;
	uint64_t denied;
	unsigned trust_version; /* Of all these. */
	struct follower *first;
	struct timer timer;
	struct timer settle_timer;     /* To tell of the last changes. */
	int64_t told_ns;               /* When the followers were told last. */
	struct metric *follower_count; /* NULL without metrics. */
};

static void count_followers(struct feed *feed, double change) {
	if (feed->follower_count) {
		metric_add(feed->follower_count, change);
	}
}

/* Forgets the follower; its exchange has been ended. */
static void release(struct follower *follower) {
	struct feed *feed = follower->feed;
	if (follower->previous) {
		follower->previous->next = follower->next;
	} else {
		feed->first = follower->next;
	}
	if (follower->next) {
		follower->next->previous = follower->previous;
	}
	count_followers(feed, -1);
	free(follower);
}

/* The part of the exports that an identity may use. */
static struct catalogue select_entries(
	const struct feed *feed, struct str identity, struct arena *arena) {
	const struct exports *exports = feed->exports;
	struct catalogue catalogue = { .trust = feed->has_trust ? &feed->trust : NULL,
		.has_denied = feed->has_denied,
		.denied = feed->denied };
	if (exports) {
		catalogue.entries = ARENA_NEW(arena, struct catalogue_entry, exports->count);
		for (size_t i = 0; i < exports->count; i++) {
			const struct exported *exported = &exports->items[i];
			if (exported_allows(exported, identity)) {
				catalogue.entries[catalogue.count++] =
					(struct catalogue_entry){ exported->name, exported->kind,
						exported->version };
			}
		}
	}
	catalogue.version = catalogue_digest(catalogue.entries, catalogue.count);
	return catalogue;
}

/* Sends a line. Returns false if the follower was cut off and is gone. */
static bool send(struct follower *follower, const struct catalogue *catalogue) {
	AUTO(buf_deinit) struct buf line = { 0 };
	struct catalogue sent = *catalogue;
	sent.time_ms = clock_now_ms(loop_clock(follower->feed->loop));
	catalogue_format(&sent, &line);
	if (exchange_write(follower->exchange, buf_str(&line)) <= UNREAD_BYTES_MAX) {
		return true;
	}
	exchange_fail(follower->exchange);
	release(follower);
	return false;
}

/* Tells a follower what it has not been told. */
static void update(struct follower *follower) {
	struct feed *feed = follower->feed;
	AUTO(arena_deinit) struct arena arena = { 0 };
	struct catalogue catalogue =
		select_entries(feed, str_of(exchange_identity(follower->exchange)), &arena);
	bool is_new = catalogue.version != follower->version;
	if (!is_new && feed->trust_version == follower->trust_version) {
		return;
	}
	if (is_new) {
		follower->version = catalogue.version;
		follower->since_ns = loop_now_ns(feed->loop);
	}
	follower->trust_version = feed->trust_version;
	(void)send(follower, &catalogue);
}

static void update_all(struct feed *feed) {
	struct follower *next = NULL;
	feed->told_ns = loop_now_ns(feed->loop);
	for (struct follower *follower = feed->first; follower; follower = next) {
		next = follower->next;
		update(follower);
	}
}

static void on_settled(struct timer *timer) {
	update_all(CONTAINER_OF(timer, struct feed, settle_timer));
}

static void on_heartbeat(struct timer *timer) {
	struct feed *feed = CONTAINER_OF(timer, struct feed, timer);
	struct follower *next = NULL;
	for (struct follower *follower = feed->first; follower; follower = next) {
		next = follower->next;
		const struct catalogue heartbeat = {
			.version = follower->version,
			.is_heartbeat = true,
			.age_ms = (loop_now_ns(feed->loop) - follower->since_ns) / NS_PER_MS,
		};
		(void)send(follower, &heartbeat);
	}
	loop_timer_after_ms(feed->loop, timer, CATALOGUE_HEARTBEAT_MS);
}

struct feed *feed_new(struct loop *loop, struct metric_registry *metrics) {
	struct feed *feed = MEMORY_NEW(struct feed, 1);
	feed->loop = loop;
	feed->timer.run = on_heartbeat;
	feed->settle_timer.run = on_settled;
	feed->told_ns = loop_now_ns(loop) - SETTLE_NS;
	if (metrics) {
		feed->follower_count = metric_single(
			metric_declare(metrics, METRIC_GAUGE, "atoll_gateway_catalogue_followers",
				"Peers that follow the catalogue now.", NULL));
	}
	loop_timer_after_ms(loop, &feed->timer, CATALOGUE_HEARTBEAT_MS);
	return feed;
}

void feed_free(struct feed *feed) {
	if (!feed) {
		return;
	}
	loop_timer_clear(feed->loop, &feed->timer);
	loop_timer_clear(feed->loop, &feed->settle_timer);
	while (feed->first) {
		exchange_fail(feed->first->exchange);
		release(feed->first);
	}
	exports_unref(feed->exports);
	free(feed);
}

/* At once, or when the last change has settled. */
static void tell_soon(struct feed *feed) {
	if (loop_now_ns(feed->loop) - feed->told_ns >= SETTLE_NS) {
		update_all(feed);
	} else {
		loop_timer_set(feed->loop, &feed->settle_timer, feed->told_ns + SETTLE_NS);
	}
}

void feed_publish(struct feed *feed, struct exports *exports) {
	struct exports *old = feed->exports;
	feed->exports = exports_ref(exports);
	exports_unref(old);
	tell_soon(feed);
}

void feed_tell_trust(struct feed *feed, const struct trust_facts *facts) {
	if (!feed->has_trust || !trust_facts_equal(&feed->trust, facts)) {
		feed->has_trust = true;
		feed->trust = *facts;
		feed->trust_version++;
		tell_soon(feed);
	}
}

void feed_tell_denied(struct feed *feed, uint64_t digest) {
	if (!feed->has_denied || feed->denied != digest) {
		feed->has_denied = true;
		feed->denied = digest;
		feed->trust_version++;
		tell_soon(feed);
	}
}

static void on_abort(void *context) {
	struct follower *follower = context;
	exchange_fail(follower->exchange);
	release(follower);
}

static void follow(struct feed *feed, struct exchange *exchange) {
	struct follower *follower = MEMORY_NEW(struct follower, 1);
	follower->feed = feed;
	follower->exchange = exchange;
	follower->next = feed->first;
	if (follower->next) {
		follower->next->previous = follower;
	}
	feed->first = follower;
	count_followers(feed, 1);
	exchange_on_abort(exchange, on_abort, follower);
	exchange_begin(exchange, 200, CONTENT_TYPE);
	update(follower);
}

static bool has_too_many(const struct feed *feed, const char *identity) {
	size_t count = 0;
	for (const struct follower *at = feed->first; at; at = at->next) {
		count += strcmp(exchange_identity(at->exchange), identity) == 0;
	}
	return count >= FOLLOWERS_PER_PEER_MAX;
}

static bool wants_to_follow(struct exchange *exchange) {
	struct uri_params params = { 0 };
	const struct http_request *request = exchange_request(exchange);
	return uri_params_parse(exchange_arena(exchange), request->query, &params, NULL) == 0 &&
	       str_equal(uri_params_get(&params, STR("watch"), NULL), STR("1"));
}

void feed_serve(struct feed *feed, struct exchange *exchange) {
	if (wants_to_follow(exchange)) {
		if (has_too_many(feed, exchange_identity(exchange))) {
			answer_error(exchange, 503, "limit",
				"this peer follows the catalogue too many times already");
		} else {
			follow(feed, exchange);
		}
		return;
	}
	struct catalogue catalogue =
		select_entries(feed, str_of(exchange_identity(exchange)), exchange_arena(exchange));
	AUTO(buf_deinit) struct buf line = { 0 };
	catalogue.time_ms = clock_now_ms(loop_clock(feed->loop));
	catalogue_format(&catalogue, &line);
	exchange_respond(exchange, 200, CONTENT_TYPE, buf_str(&line));
}
