#include "base/check.h"
#include "base/hash.h"
#include "base/log.h"
#include "mirror/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define HOST "127.0.0.1"
#define CONNECTIONS_MAX 256
/* Ports that others have are passed over, so many at one try. */
#define PORT_TRIES_MAX 64
#define RETRY_MS 5000

static int open_server(struct mirror *mirror, const char *host, uint16_t port, struct err *err) {
	const struct http_server_options options = {
		.host = host,
		.port = port,
		.handler = relay_serve,
		.context = mirror,
		.connections_max = CONNECTIONS_MAX,
	};
	return http_server_open(mirror->set->loop, &options, &mirror->server, err);
}

/* A port that nobody has, the first candidate by the mirror's name: so that without the state, too,
 * it is mostly the same. */
static int open_any_port(struct mirror *mirror, struct err *err) {
	const struct mirrors *set = mirror->set;
	uint32_t size = (uint32_t)set->options.port_last - set->options.port_first + 1;
	uint64_t hash = hash_str(str_of(mirror->export_name), hash_str(str_of(mirror->cluster), 1));
	unsigned tries = 0;
	int rc = 0;
	for (uint32_t i = 0; i < size && tries < PORT_TRIES_MAX; i++) {
		uint16_t port = (uint16_t)(set->options.port_first + (hash + i) % size);
		if (mirrors_has_port(set, port)) {
			continue;
		}
		tries++;
		rc = open_server(mirror, HOST, port, err);
		if (rc == 0) {
			mirror->port = port;
			return 0;
		}
	}
	if (rc < 0) {
		return err_wrap(err, rc, "no port of %u-%u that is free was found in %u tries",
			set->options.port_first, set->options.port_last, tries);
	}
	return err_set(err, ERR_LIMIT, "all ports of %u-%u are taken; widen --mirror.port-range",
		set->options.port_first, set->options.port_last);
}

static bool is_in_range(const struct mirror *mirror) {
	const struct mirrors_options *options = &mirror->set->options;
	return mirror->port >= options->port_first && mirror->port <= options->port_last;
}

static int open_port(struct mirror *mirror, struct err *err) {
	if (mirror->port > 0 && is_in_range(mirror)) {
		int rc = open_server(mirror, HOST, mirror->port, err);
		return rc < 0 ? err_wrap(err, rc, "its port %u", mirror->port) : 0;
	}
	if (mirror->port > 0) {
		log_warn("mirror gets another port, its own is outside the range",
			KV("cluster", mirror->cluster), KV("export", mirror->export_name),
			KV_INT("port", mirror->port));
		mirror->port = 0;
	}
	return open_any_port(mirror, err);
}

/* The socket is nobody's but ours until it is given away. */
static int give_away(const struct mirror *mirror, struct err *err) {
	const struct mirrors_options *options = &mirror->set->options;
	bool is_given =
		options->socket_uid != MIRROR_ID_KEEP || options->socket_gid != MIRROR_ID_KEEP;
	if (is_given && lchown(mirror->path, options->socket_uid, options->socket_gid) != 0) {
		return err_errno(err, errno, "set the owner of %s", mirror->path);
	}
	if (chmod(mirror->path, options->socket_mode) != 0) {
		return err_errno(err, errno, "set the mode of %s", mirror->path);
	}
	return 0;
}

static int open_socket(struct mirror *mirror, struct err *err) {
	struct buf path = { 0 };
	buf_printf(&path, "%s/sockets/%s.%s", mirror->set->directory, mirror->cluster,
		mirror->export_name);
	free(mirror->path);
	mirror->path = buf_take(&path);
	if (strlen(mirror->path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path)) {
		return err_set(err, ERR_LIMIT,
			"%s is longer than a socket's path may be; choose a shorter "
			"--mirror.directory",
			mirror->path);
	}
	int rc = open_server(mirror, mirror->path, 0, err);
	if (rc == 0) {
		rc = give_away(mirror, err);
	}
	if (rc < 0 && mirror->server) {
		http_server_close(mirror->server);
		mirror->server = NULL;
	}
	return rc;
}

static void add_metrics(struct mirror *mirror) {
	const struct mirror_metrics *metrics = &mirror->set->metrics;
	const char *const values[] = { mirror->cluster, mirror->export_name };
	if (!mirror->ready) {
		mirror->in_flight = metric_child(metrics->in_flight, values);
		mirror->bytes = metric_child(metrics->bytes, values);
		mirror->duration = metric_child(metrics->duration, values);
		mirror->ready = metric_child(metrics->ready, values);
		mirror->age = metric_child(metrics->age, values);
	}
}

static void remove_metrics(struct mirror *mirror) {
	const struct mirror_metrics *metrics = &mirror->set->metrics;
	const char *const values[] = { mirror->cluster, mirror->export_name };
	if (!mirror->ready) {
		return;
	}
	metric_remove(metrics->in_flight, values);
	metric_remove(metrics->bytes, values);
	metric_remove(metrics->duration, values);
	metric_remove(metrics->ready, values);
	metric_remove(metrics->age, values);
	relay_remove_codes(mirror);
	mirror->in_flight = mirror->bytes = mirror->duration = NULL;
	mirror->ready = mirror->age = NULL;
}

void mirror_listen(struct mirror *mirror) {
	struct err err = { 0 };
	add_metrics(mirror);
	int rc = mirror->set->options.kind == MIRROR_TCP ? open_port(mirror, &err)
							 : open_socket(mirror, &err);
	if (rc == 0) {
		mirror->failure = (struct err){ 0 };
		log_info("mirror listens", KV("cluster", mirror->cluster),
			KV("export", mirror->export_name), KV_INT("port", mirror->port),
			KV("path", mirror->path ? mirror->path : ""));
		return;
	}
	mirror->retry_ns = loop_now_ns(mirror->set->loop) + RETRY_MS * NS_PER_MS;
	if (strcmp(mirror->failure.text, err.text) != 0) {
		log_error("mirror without a listener, trying again", KV("cluster", mirror->cluster),
			KV("export", mirror->export_name), KV_ERR(&err));
	}
	mirror->failure = err;
}

void mirror_close(struct mirror *mirror) {
	relays_stop(mirror);
	if (mirror->server) {
		http_server_close(mirror->server);
		mirror->server = NULL;
	}
	remove_metrics(mirror);
	free(mirror->path);
	mirror->path = NULL;
}
