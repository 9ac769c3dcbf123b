#include "mesh/dialler.h"

#include "base/check.h"
#include "base/log.h"
#include "base/memory.h"
#include "mesh/backoff.h"
#include "mesh/failure.h"
#include "mesh/renewal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIAL_TIMEOUT_MS 10000
/* Before the next address of several is tried. */
#define NEXT_ADDRESS_MS 50
/* A hub pings every 10 s; without a byte of it for so many looks it is gone. */
#define LOOK_MS 10000
#define SILENT_LOOKS_MAX 3
/* In TLS 1.3 we are through before the hub has judged us: it has if it keeps us so long. */
#define KEPT_MS 1000
/* A connection that ends sooner counts as one failure more: two gateways of one identity, each of
 * whose connections ends the other's, do it seldom. */
#define SETTLED_MS 60000

struct dialled;

/* What a hub's timer is for. */
enum wait {
	WAIT_TO_DIAL,
	WAIT_KEPT,
	WAIT_SETTLED
};

/* One connection to a hub, served. */
struct reverse {
	struct dialled *hub;
	struct reverse *next;
	struct stream *stream;
	uint64_t received; /* Bytes, at the last look. */
	unsigned silent_looks;
};

/* One hub of the configuration. */
struct dialled {
	struct dialler *dialler;
	struct dialled *next;
	struct exports *exports; /* A reference, which holds 'config'. */
	const struct hub_to_dial *config;
	struct tls_options tls;
	struct stream *dialling; /* Until it is open. */
	struct reverse *first;   /* The newest first; older ones end by themselves. */
	struct timer timer;
	enum wait wait; /* Of the timer. */
	struct timer renewal;
	int64_t own_not_after_ms; /* Of what we presented when we dialled. */
	struct backoff backoff;
	size_t next_index; /* The address to try next. */
	size_t tried;      /* Addresses tried since it last worked. */
	bool is_removed;   /* Freed with its last connection. */
	char last_error[512];
	struct failures failures;
	bool is_up; /* As the metric says. */
};

struct dialler {
	struct loop *loop;
	struct http_server *server;
	struct tls_slot *slot;
	struct rand rand;
	struct dialled *first;
	struct timer timer;       /* Looks whether the hubs are still there. */
	struct metric_family *up; /* hub */
};

static struct loop *loop_of(const struct dialled *hub) {
	return hub->dialler->loop;
}

static void show_up(struct dialled *hub, bool is_up) {
	const char *const values[] = { hub->config->identity.ptr };
	hub->is_up = is_up;
	if (!hub->is_removed) {
		metric_set(metric_child(hub->dialler->up, values), is_up);
	}
}

static void wait_for(struct dialled *hub, enum wait wait, int64_t ms) {
	hub->wait = wait;
	loop_timer_after_ms(loop_of(hub), &hub->timer, ms);
}

static void free_hub(struct dialled *hub) {
	struct dialled **at = &hub->dialler->first;
	while (*at != hub) {
		at = &(*at)->next;
	}
	*at = hub->next;
	loop_timer_clear(loop_of(hub), &hub->timer);
	loop_timer_clear(loop_of(hub), &hub->renewal);
	exports_unref(hub->exports);
	failures_deinit(&hub->failures);
	free(hub);
}

static void free_if_gone(struct dialled *hub) {
	if (!hub->dialling && !hub->first) {
		free_hub(hub);
	}
}

/* The newest connection is gone, or never came to be: another attempt, in a while. */
static void go_down(struct dialled *hub, const struct err *reason) {
	failures_note(&hub->failures, clock_now_ms(loop_clock(loop_of(hub))),
		hub->config->addresses[hub->next_index].text.ptr, failure_stage_of(reason), reason);
	show_up(hub, hub->first != NULL); /* A renewal that fails leaves the one before. */
	if (strcmp(hub->last_error, reason->text) != 0) {
		log_warn("hub not connected", KV("hub", hub->config->identity.ptr), KV_ERR(reason));
		(void)snprintf(hub->last_error, sizeof(hub->last_error), "%s", reason->text);
	}
	hub->tried++;
	int64_t wait_ms = NEXT_ADDRESS_MS;
	if (hub->tried >= hub->config->address_count) {
		hub->tried = 0;
		wait_ms = backoff_next(&hub->backoff, &hub->dialler->rand,
			loop_now_ns(loop_of(hub)), reason->code == ERR_DENIED);
	}
	hub->next_index = (hub->next_index + 1) % hub->config->address_count;
	loop_timer_clear(loop_of(hub), &hub->renewal);
	wait_for(hub, WAIT_TO_DIAL, wait_ms);
}

/* A connection that was served is gone. */
static void on_closed(void *context, const struct err *reason) {
	struct reverse *reverse = context;
	struct dialled *hub = reverse->hub;
	struct err err = { 0 };
	bool is_newest = hub->first == reverse;
	struct reverse **at = &hub->first;
	while (*at != reverse) {
		at = &(*at)->next;
	}
	*at = reverse->next;
	free(reverse);
	if (reason) {
		err = *reason;
	} else {
		(void)err_set(&err, ERR_CLOSED, "the hub closed the connection");
	}
	if (hub->is_removed) {
		free_if_gone(hub);
	} else if (is_newest && !hub->dialling) {
		go_down(hub, &err);
	}
}

static void on_open(struct stream *stream) {
	struct dialled *hub = stream_context(stream);
	const struct tls_peer *peer = stream_peer(stream);
	struct reverse *reverse = MEMORY_NEW(struct reverse, 1);
	hub->dialling = NULL;
	reverse->hub = hub;
	reverse->stream = stream;
	reverse->received = stream_received_bytes(stream);
	reverse->next = hub->first;
	hub->first = reverse;
	wait_for(hub, WAIT_KEPT, KEPT_MS);
	loop_timer_after_ms(loop_of(hub), &hub->renewal,
		renewal_after_ms(hub->own_not_after_ms, peer->not_after_ms,
			clock_now_ms(loop_clock(loop_of(hub))), &hub->dialler->rand));
	http_server_adopt(hub->dialler->server, stream, on_closed, reverse);
}

static void on_stream_data(struct stream *stream, struct str bytes) {
	(void)stream, (void)bytes;
}

static void on_stream_close(struct stream *stream, const struct err *reason) {
	struct dialled *hub = stream_context(stream);
	struct err err = { 0 };
	hub->dialling = NULL;
	if (reason) {
		err = *reason;
	} else {
		(void)err_set(&err, ERR_CLOSED, "the connection was closed");
	}
	if (hub->is_removed) {
		free_if_gone(hub);
	} else {
		go_down(hub, &err);
	}
}

static const struct stream_ops dial_ops = {
	.on_open = on_open,
	.on_data = on_stream_data,
	.on_close = on_stream_close,
};

static void dial(struct dialled *hub) {
	const struct link_address *address = &hub->config->addresses[hub->next_index];
	struct tls_identity *own = tls_slot_get(hub->dialler->slot);
	hub->own_not_after_ms = tls_identity_not_after_ms(own);
	tls_identity_unref(own);
	hub->dialling = stream_connect(loop_of(hub), address->host.ptr, address->port,
		&(struct stream_options){
			.ops = &dial_ops,
			.context = hub,
			.tls = &hub->tls,
			.open_timeout_ms = DIAL_TIMEOUT_MS,
		});
}

static void on_timer(struct timer *timer) {
	struct dialled *hub = CONTAINER_OF(timer, struct dialled, timer);
	switch (hub->wait) {
	case WAIT_TO_DIAL:
		dial(hub);
		break;
	case WAIT_KEPT:
		hub->tried = 0;
		hub->last_error[0] = '\0';
		show_up(hub, true);
		log_info("hub connected", KV("hub", hub->config->identity.ptr),
			KV("address", stream_peer_address(hub->first->stream)));
		wait_for(hub, WAIT_SETTLED, SETTLED_MS);
		break;
	case WAIT_SETTLED:
		backoff_reset(&hub->backoff);
		break;
	}
}

static void on_renewal(struct timer *timer) {
	struct dialled *hub = CONTAINER_OF(timer, struct dialled, renewal);
	log_debug("connection to the hub renewed", KV("hub", hub->config->identity.ptr));
	loop_timer_clear(loop_of(hub), &hub->timer);
	dial(hub);
}

static void ignore_close(struct stream *stream, const struct err *reason) {
	(void)stream, (void)reason;
}

static void look(struct reverse *reverse) {
	uint64_t received = stream_received_bytes(reverse->stream);
	reverse->silent_looks = received == reverse->received ? reverse->silent_looks + 1 : 0;
	reverse->received = received;
	if (reverse->silent_looks >= SILENT_LOOKS_MAX) {
		struct err err = { 0 };
		(void)err_set(&err, ERR_TIMEOUT, "no word from the hub for %d s",
			LOOK_MS * SILENT_LOOKS_MAX / 1000);
		stream_abort(reverse->stream, &err);
	}
}

static void on_look(struct timer *timer) {
	struct dialler *dialler = CONTAINER_OF(timer, struct dialler, timer);
	for (struct dialled *hub = dialler->first; hub; hub = hub->next) {
		for (struct reverse *reverse = hub->first; reverse; reverse = reverse->next) {
			look(reverse);
		}
	}
	loop_timer_after_ms(dialler->loop, timer, LOOK_MS);
}

struct dialler *dialler_new(struct loop *loop, const struct dialler_options *options) {
	static const char *const labels[] = { "hub", NULL };
	struct dialler *dialler = MEMORY_NEW(struct dialler, 1);
	uint64_t seed = 0;
	rand_secure(&seed, sizeof(seed));
	rand_init(&dialler->rand, seed);
	dialler->loop = loop;
	dialler->server = options->server;
	dialler->slot = options->tls;
	dialler->up = metric_declare(options->metrics, METRIC_GAUGE, "atoll_gateway_hub_connected",
		"Whether there is a connection to a hub that this gateway dials.", labels);
	dialler->timer.run = on_look;
	loop_timer_after_ms(loop, &dialler->timer, LOOK_MS);
	return dialler;
}

void dialler_free(struct dialler *dialler) {
	static const struct stream_ops nobody = {
		.on_data = on_stream_data,
		.on_close = ignore_close,
	};
	if (!dialler) {
		return;
	}
	loop_timer_clear(dialler->loop, &dialler->timer);
	while (dialler->first) {
		struct dialled *hub = dialler->first;
		if (hub->dialling) {
			stream_set_ops(hub->dialling, &nobody, NULL);
			stream_abort(hub->dialling, NULL);
		}
		while (hub->first) {
			struct reverse *reverse = hub->first;
			hub->first = reverse->next;
			free(reverse);
		}
		free_hub(hub);
	}
	free(dialler);
}

/* Ends what is under way; its last callback frees it. */
static void remove_hub(struct dialled *hub) {
	const char *const values[] = { hub->config->identity.ptr };
	log_info("hub removed", KV("hub", hub->config->identity.ptr));
	hub->is_removed = true;
	metric_remove(hub->dialler->up, values);
	loop_timer_clear(loop_of(hub), &hub->timer);
	loop_timer_clear(loop_of(hub), &hub->renewal);
	if (hub->dialling) {
		stream_abort(hub->dialling, NULL);
	}
	for (struct reverse *reverse = hub->first; reverse; reverse = reverse->next) {
		stream_abort(reverse->stream, NULL);
	}
	free_if_gone(hub);
}

static bool is_listed(const struct exports *exports, uint64_t version) {
	for (size_t i = 0; i < exports->hub_count; i++) {
		if (exports->hubs[i].version == version) {
			return true;
		}
	}
	return false;
}

static bool is_dialled(const struct dialler *dialler, uint64_t version) {
	for (const struct dialled *hub = dialler->first; hub; hub = hub->next) {
		if (!hub->is_removed && hub->config->version == version) {
			return true;
		}
	}
	return false;
}

static void add_hub(
	struct dialler *dialler, struct exports *exports, const struct hub_to_dial *config) {
	static const char *const protocols[] = { REVERSE_ALPN, NULL };
	struct dialled *hub = MEMORY_NEW(struct dialled, 1);
	hub->dialler = dialler;
	hub->failures.max = FAILURES_OF_LINK_MAX;
	hub->exports = exports_ref(exports);
	hub->config = config;
	hub->tls = (struct tls_options){
		.slot = dialler->slot,
		.alpn = protocols,
		.server_name = config->identity.ptr,
		.expect_identity = config->identity.ptr,
	};
	hub->timer.run = on_timer;
	hub->renewal.run = on_renewal;
	hub->next = dialler->first;
	dialler->first = hub;
	show_up(hub, false);
	dial(hub);
}

static void write_hub(const struct dialled *hub, struct json_writer *writer) {
	const struct hub_to_dial *config = hub->config;
	json_begin_object(writer);
	json_key(writer, STR("identity"));
	json_put_str(writer, config->identity);
	json_key(writer, STR("addresses"));
	json_begin_array(writer);
	for (size_t i = 0; i < config->address_count; i++) {
		json_put_str(writer, config->addresses[i].text);
	}
	json_end_array(writer);
	json_key(writer, STR("state"));
	json_put_text(writer, hub->is_up ? "up" : "down");
	json_key(writer, STR("last_error"));
	json_put_text(writer, hub->last_error);
	json_key(writer, STR("failures"));
	failures_write(&hub->failures, writer);
	json_end_object(writer);
}

void dialler_write(const struct dialler *dialler, struct json_writer *writer) {
	json_begin_array(writer);
	for (const struct dialled *hub = dialler->first; hub; hub = hub->next) {
		if (!hub->is_removed) {
			write_hub(hub, writer);
		}
	}
	json_end_array(writer);
}

void dialler_use(struct dialler *dialler, struct exports *exports) {
	struct dialled *next = NULL;
	for (struct dialled *hub = dialler->first; hub; hub = next) {
		next = hub->next;
		if (!hub->is_removed && !is_listed(exports, hub->config->version)) {
			remove_hub(hub);
		}
	}
	for (size_t i = 0; i < exports->hub_count; i++) {
		if (!is_dialled(dialler, exports->hubs[i].version)) {
			add_hub(dialler, exports, &exports->hubs[i]);
		}
	}
}
