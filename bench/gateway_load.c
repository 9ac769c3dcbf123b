/*
 * The load of ./dev bench gateway, the same for every gateway: HTTP/2 over TLS 1.3 with client
 * certificates, or plain HTTP/1.1 for the service itself. One thread, 127.0.0.1 only.
 *
 *   bench_gateway_load requests PORT CERTIFICATES COUNT CONNECTIONS PATH REQUESTS RATE
 *     IN_FLIGHT
 *   bench_gateway_load handshakes PORT CERTIFICATES COUNT CONNECTIONS PATH REQUESTS
 *   bench_gateway_load idle PORT CERTIFICATES COUNT CONNECTIONS PATH
 *
 * CERTIFICATES has the folders 0 to COUNT - 1 with tls.crt and tls.key, taken in turn; with COUNT 0
 * requests go out as plain HTTP/1.1. 'requests' is an open loop: request n is due n / RATE
 * seconds after the start whatever has become of those before, and its latency counts from then;
 * it waits for its turn while IN_FLIGHT are under way.
 * 'handshakes' does REQUESTS full ones, CONNECTIONS at once, each until the gateway's first byte of
 * HTTP/2, which comes when it has judged the certificate. 'idle' makes one request on each
 * connection, says "idle" and holds them until its standard input ends. The result is one line of
 * JSON.
 */
#include "base/check.h"
#include "base/memory.h"
#include "base/str.h"
#include "base/time.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define AUTHORITY "bench"
#define STREAM_WINDOW (4 * 1024 * 1024)
#define CONNECTION_WINDOW (64 * 1024 * 1024)
#define READ_BYTES 65536
#define EVENTS_AT_ONCE 64
/* Without any progress for so long, something is broken. */
#define STALL_MS 20000

enum mode {
	MODE_REQUESTS,
	MODE_HANDSHAKES,
	MODE_IDLE
};

struct link {
	struct load *load;
	int fd;
	SSL *ssl; /* NULL: plain HTTP/1.1. */
	bool is_open;
	bool wants_write;
	nghttp2_session *session;
	char *out; /* Not sent yet. */
	size_t out_len;
	size_t out_size;
	/* Plain: the one request under way. */
	bool is_busy;
	int64_t due_ns;
	bool has_head;
	size_t body_left;
	size_t head_len;
	char head[4096];
};

struct load {
	enum mode mode;
	uint16_t port;
	const char *path;
	size_t certificates;
	SSL_CTX **contexts;
	size_t link_count;
	struct link *links;
	uint64_t wanted;
	double rate;
	uint64_t in_flight_max;
	int poll;
	nghttp2_session_callbacks *callbacks;
	int64_t began_ns;
	int64_t moved_ns; /* When anything was done last. */
	int64_t now_ns;
	uint64_t sent;
	uint64_t begun; /* Handshakes. */
	uint64_t done;
	uint64_t failed;
	uint64_t bytes;
	uint64_t latest_ns; /* How much too late a request was sent, at most. */
	uint64_t *latencies;
};

static int64_t now_ns(void) {
	return clock_mono_ns(clock_system());
}

static void die(const char *what, const char *why) {
	(void)fprintf(stderr, "bench_gateway_load: %s: %s\n", what, why);
	exit(EXIT_FAILURE);
}

static void die_of_tls(const char *what) {
	unsigned long error = ERR_peek_error();
	die(what, error ? ERR_reason_error_string(error) : "the connection was cut");
}

static SSL_CTX *read_context(const char *directory, size_t number) {
	char chain[4096];
	char key[4096];
	(void)snprintf(chain, sizeof(chain), "%s/%zu/tls.crt", directory, number);
	(void)snprintf(key, sizeof(key), "%s/%zu/tls.key", directory, number);
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	CHECK(context);
	if (SSL_CTX_use_certificate_chain_file(context, chain) != 1 ||
		SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1) {
		die_of_tls(chain);
	}
	CHECK(SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1);
	CHECK(SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256") == 1);
	CHECK(SSL_CTX_set_alpn_protos(context, (const unsigned char *)"\2h2", 3) == 0);
	(void)SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_read_ahead(context, 1);
	SSL_CTX_set_default_read_buffer_len(context, READ_BYTES);
	(void)SSL_CTX_set_mode(
		context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	return context;
}

static void watch(struct link *link, int command) {
	struct epoll_event event = { .events = EPOLLIN | (link->wants_write ? EPOLLOUT : 0),
		.data.ptr = link };
	CHECK(epoll_ctl(link->load->poll, command, link->fd, &event) == 0);
}

static void want_write(struct link *link, bool wants) {
	if (link->wants_write != wants) {
		link->wants_write = wants;
		watch(link, EPOLL_CTL_MOD);
	}
}

/* An answer is whole, or has failed. */
static void finish_request(struct load *load, int64_t due_ns, bool is_good) {
	if (load->latencies && load->done < load->wanted) {
		int64_t took = load->now_ns - due_ns;
		load->latencies[load->done] = took > 0 ? (uint64_t)took : 0;
	}
	load->done++;
	load->failed += is_good ? 0 : 1;
	load->moved_ns = load->now_ns;
}

static void queue(struct link *link, const void *bytes, size_t len) {
	if (link->out_len + len > link->out_size) {
		link->out_size = (link->out_len + len) * 2;
		link->out = realloc(link->out, link->out_size);
		CHECK(link->out);
	}
	memcpy(link->out + link->out_len, bytes, len);
	link->out_len += len;
}

/* Writes once. Returns how many bytes went, 0 to wait. */
static size_t write_once(struct link *link, const char *bytes, size_t len) {
	if (!link->ssl) {
		ssize_t put = send(link->fd, bytes, len, MSG_NOSIGNAL);
		if (put < 0 && errno != EAGAIN) {
			die("send", strerror(errno));
		}
		return put > 0 ? (size_t)put : 0;
	}
	size_t put = 0;
	ERR_clear_error();
	if (SSL_write_ex(link->ssl, bytes, len, &put) != 1) {
		int kind = SSL_get_error(link->ssl, 0);
		if (kind != SSL_ERROR_WANT_WRITE && kind != SSL_ERROR_WANT_READ) {
			die_of_tls("write");
		}
		return 0;
	}
	return put;
}

static void collect_frames(struct link *link) {
	const uint8_t *bytes = NULL;
	ssize_t len = 0;
	while ((len = nghttp2_session_mem_send(link->session, &bytes)) > 0) {
		queue(link, bytes, (size_t)len);
	}
	CHECK(len == 0);
}

static void flush(struct link *link) {
	if (!link->is_open) {
		return;
	}
	if (link->session) {
		collect_frames(link);
	}
	size_t at = 0;
	while (at < link->out_len) {
		size_t put = write_once(link, link->out + at, link->out_len - at);
		if (put == 0) {
			break;
		}
		at += put;
	}
	memmove(link->out, link->out + at, link->out_len - at);
	link->out_len -= at;
	want_write(link, link->out_len > 0);
}

static nghttp2_nv field(const char *name, const char *value) {
	/* nghttp2 takes pointers to what it only reads. */
	return (nghttp2_nv){ (uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name),
		strlen(value), NGHTTP2_NV_FLAG_NONE };
}

static void submit(struct link *link, int64_t due_ns) {
	const nghttp2_nv fields[] = { field(":method", "GET"), field(":scheme", "https"),
		field(":authority", AUTHORITY), field(":path", link->load->path) };
	void *due = (void *)(uintptr_t)due_ns;
	CHECK(nghttp2_submit_request(link->session, NULL, fields, 4, NULL, due) > 0);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
	size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags, void *context) {
	const struct link *link = context;
	(void)session, (void)frame, (void)flags;
	if (name_len == 7 && memcmp(name, ":status", 7) == 0 &&
		(value_len != 3 || memcmp(value, "200", 3) != 0)) {
		link->load->failed++;
	}
	return 0;
}

static int on_chunk(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes,
	size_t len, void *context) {
	const struct link *link = context;
	(void)session, (void)flags, (void)id, (void)bytes;
	link->load->bytes += len;
	return 0;
}

static int on_stream_closed(nghttp2_session *session, int32_t id, uint32_t code, void *context) {
	const struct link *link = context;
	void *due = nghttp2_session_get_stream_user_data(session, id);
	finish_request(link->load, (int64_t)(uintptr_t)due, code == NGHTTP2_NO_ERROR);
	return 0;
}

static nghttp2_session_callbacks *make_callbacks(void) {
	nghttp2_session_callbacks *callbacks = NULL;
	CHECK(nghttp2_session_callbacks_new(&callbacks) == 0);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_chunk);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_closed);
	return callbacks;
}

static void start_session(struct link *link) {
	const nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW },
		{ NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
	};
	CHECK(nghttp2_session_client_new(&link->session, link->load->callbacks, link) == 0);
	CHECK(nghttp2_submit_settings(link->session, NGHTTP2_FLAG_NONE, settings, 2) == 0);
	CHECK(nghttp2_session_set_local_window_size(
		      link->session, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW) == 0);
}

static bool shake_hands(struct link *link);

static void dial(struct link *link, size_t certificate) {
	struct load *load = link->load;
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_port = htons(load->port),
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	int one = 1;
	link->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(link->fd >= 0);
	if (connect(link->fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		die("connect", strerror(errno));
	}
	(void)setsockopt(link->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	CHECK(fcntl(link->fd, F_SETFL, O_NONBLOCK) == 0);
	link->wants_write = false;
	link->out_len = 0;
	watch(link, EPOLL_CTL_ADD);
	if (load->certificates == 0) {
		link->is_open = true;
		return;
	}
	link->is_open = false;
	link->ssl = SSL_new(load->contexts[certificate % load->certificates]);
	CHECK(link->ssl && SSL_set_fd(link->ssl, link->fd) == 1);
	SSL_set_connect_state(link->ssl);
	(void)shake_hands(link); /* Says hello. */
}

static void hang_up(struct link *link) {
	if (link->ssl) {
		(void)SSL_shutdown(link->ssl);
		SSL_free(link->ssl);
		link->ssl = NULL;
	}
	nghttp2_session_del(link->session);
	link->session = NULL;
	(void)close(link->fd);
	link->fd = -1;
}

/* Begins the next handshake, if there is one to do. */
static void next_handshake(struct link *link) {
	struct load *load = link->load;
	if (load->begun == load->wanted) {
		return;
	}
	dial(link, (size_t)load->begun++);
}

/* Goes on with the handshake. Returns whether it is done. */
static bool shake_hands(struct link *link) {
	ERR_clear_error();
	int result = SSL_do_handshake(link->ssl);
	if (result != 1) {
		int kind = SSL_get_error(link->ssl, result);
		if (kind != SSL_ERROR_WANT_READ && kind != SSL_ERROR_WANT_WRITE) {
			die_of_tls("handshake");
		}
		want_write(link, kind == SSL_ERROR_WANT_WRITE);
		return false;
	}
	link->is_open = true;
	link->load->moved_ns = link->load->now_ns;
	start_session(link);
	if (link->load->mode == MODE_IDLE) {
		submit(link, link->load->now_ns);
	}
	flush(link);
	return true;
}

static void receive_frames(struct link *link) {
	static char bytes[READ_BYTES];
	for (;;) {
		size_t got = 0;
		ERR_clear_error();
		if (SSL_read_ex(link->ssl, bytes, sizeof(bytes), &got) != 1) {
			if (SSL_get_error(link->ssl, 0) != SSL_ERROR_WANT_READ) {
				die_of_tls("read");
			}
			break;
		}
		if (link->load->mode == MODE_HANDSHAKES) {
			hang_up(link);
			finish_request(link->load, link->load->now_ns, true);
			next_handshake(link);
			return;
		}
		ssize_t taken =
			nghttp2_session_mem_recv(link->session, (const uint8_t *)bytes, got);
		if (taken < 0) {
			die("HTTP/2", nghttp2_strerror((int)taken));
		}
	}
	flush(link);
}

/* Reads the head of a plain answer. Returns how many of 'len' bytes belong to it. */
static size_t take_head(struct link *link, const char *bytes, size_t len) {
	size_t before = link->head_len;
	size_t room = sizeof(link->head) - 1 - before;
	size_t part = len < room ? len : room;
	memcpy(link->head + before, bytes, part);
	link->head_len += part;
	link->head[link->head_len] = '\0';
	const char *end = strstr(link->head, "\r\n\r\n");
	const char *length = strstr(link->head, "Content-Length: ");
	if (!end) {
		CHECK(part < room);
		return part;
	}
	if (strncmp(link->head, "HTTP/1.1 200", 12) != 0 || !length) {
		die("HTTP/1.1", "an answer of another kind");
	}
	link->has_head = true;
	link->body_left = strtoul(length + strlen("Content-Length: "), NULL, 10);
	return (size_t)(end + 4 - link->head) - before;
}

static void receive_plain(struct link *link) {
	static char bytes[READ_BYTES];
	ssize_t got = recv(link->fd, bytes, sizeof(bytes), 0);
	if (got <= 0) {
		if (got < 0 && errno == EAGAIN) {
			return;
		}
		die("read", got < 0 ? strerror(errno) : "the connection was cut");
	}
	size_t at = link->has_head ? 0 : take_head(link, bytes, (size_t)got);
	size_t part = (size_t)got - at;
	CHECK(!link->has_head || part <= link->body_left);
	link->body_left -= part;
	link->load->bytes += part;
	if (link->has_head && link->body_left == 0) {
		link->is_busy = false;
		finish_request(link->load, link->due_ns, true);
	}
}

static void on_event(struct link *link) {
	if (!link->ssl) {
		receive_plain(link);
		return;
	}
	if (!link->is_open && !shake_hands(link)) {
		return;
	}
	if (link->out_len > 0) {
		flush(link);
	}
	receive_frames(link);
}

/* Waits for what may come until 'until_ns'. */
static void wait_events(struct load *load, int64_t until_ns) {
	struct epoll_event events[EVENTS_AT_ONCE];
	int64_t left = until_ns - now_ns();
	left = left > 0 ? left : 0;
	struct timespec timeout = { left / NS_PER_S, left % NS_PER_S };
	int count = epoll_pwait2(load->poll, events, EVENTS_AT_ONCE, &timeout, NULL);
	load->now_ns = now_ns();
	for (int i = 0; i < count; i++) {
		on_event(events[i].data.ptr);
	}
	if (load->now_ns - load->moved_ns > STALL_MS * NS_PER_MS) {
		die("stalled", "nothing happened for 20 s");
	}
}

static int64_t due_of(const struct load *load, uint64_t number) {
	return load->began_ns + (int64_t)((double)number * (double)NS_PER_S / load->rate);
}

static struct link *idle_link(struct load *load) {
	for (size_t i = 0; i < load->link_count; i++) {
		if (!load->links[i].is_busy) {
			return &load->links[i];
		}
	}
	return NULL;
}

/* Sends request number load->sent. Returns false when that has to wait. */
static bool send_next(struct load *load) {
	int64_t due_ns = due_of(load, load->sent);
	if (load->sent - load->done >= load->in_flight_max) {
		return false;
	}
	if (load->certificates > 0) {
		submit(&load->links[load->sent % load->link_count], due_ns);
		return true;
	}
	struct link *link = idle_link(load);
	if (!link) {
		return false;
	}
	char request[1024];
	int len = snprintf(request, sizeof(request),
		"GET %s HTTP/1.1\r\nHost: " AUTHORITY "\r\n\r\n", load->path);
	link->is_busy = true;
	link->due_ns = due_ns;
	link->has_head = false;
	link->head_len = 0;
	queue(link, request, (size_t)len);
	flush(link);
	return true;
}

/* Sends what is due by now. Returns when the next is. */
static int64_t send_due(struct load *load) {
	int64_t now = now_ns();
	bool is_any = false;
	load->now_ns = now;
	while (load->sent < load->wanted && due_of(load, load->sent) <= now && send_next(load)) {
		uint64_t late = (uint64_t)(now - due_of(load, load->sent));
		load->latest_ns = late > load->latest_ns ? late : load->latest_ns;
		load->sent++;
		is_any = true;
	}
	for (size_t i = 0; is_any && load->certificates > 0 && i < load->link_count; i++) {
		flush(&load->links[i]);
	}
	int64_t due = load->sent < load->wanted ? due_of(load, load->sent) : INT64_MAX;
	return due > now ? due : now + NS_PER_S;
}

static void dial_all(struct load *load) {
	load->moved_ns = now_ns();
	for (size_t i = 0; i < load->link_count; i++) {
		dial(&load->links[i], i);
	}
	for (size_t i = 0; i < load->link_count; i++) {
		while (!load->links[i].is_open) {
			wait_events(load, now_ns() + NS_PER_S);
		}
	}
}

static int compare(const void *a, const void *b) {
	uint64_t first = *(const uint64_t *)a;
	uint64_t second = *(const uint64_t *)b;
	return first < second ? -1 : first > second;
}

static void run_requests(struct load *load) {
	dial_all(load);
	load->latencies = MEMORY_NEW(uint64_t, load->wanted);
	load->began_ns = now_ns();
	load->moved_ns = load->began_ns;
	while (load->done < load->wanted) {
		wait_events(load, send_due(load));
	}
	double seconds = (double)(now_ns() - load->began_ns) / (double)NS_PER_S;
	qsort(load->latencies, load->wanted, sizeof(uint64_t), compare);
	printf("{\"requests\": %llu, \"failed\": %llu, \"bytes\": %llu, \"seconds\": %.6f, "
	       "\"p50_us\": %.1f, \"p99_us\": %.1f, \"max_us\": %.1f, \"late_us\": %.1f}\n",
		(unsigned long long)load->done, (unsigned long long)load->failed,
		(unsigned long long)load->bytes, seconds,
		(double)load->latencies[load->wanted / 2] / 1000,
		(double)load->latencies[load->wanted * 99 / 100] / 1000,
		(double)load->latencies[load->wanted - 1] / 1000, (double)load->latest_ns / 1000);
}

static void run_handshakes(struct load *load) {
	load->began_ns = now_ns();
	load->moved_ns = load->began_ns;
	for (size_t i = 0; i < load->link_count; i++) {
		next_handshake(&load->links[i]);
	}
	while (load->done < load->wanted) {
		wait_events(load, now_ns() + NS_PER_S);
	}
	double seconds = (double)(now_ns() - load->began_ns) / (double)NS_PER_S;
	printf("{\"handshakes\": %llu, \"seconds\": %.6f}\n", (unsigned long long)load->done,
		seconds);
}

static void run_idle(struct load *load) {
	dial_all(load);
	while (load->done < load->link_count) {
		wait_events(load, now_ns() + NS_PER_S);
	}
	printf("{\"idle\": %llu, \"failed\": %llu}\n", (unsigned long long)load->done,
		(unsigned long long)load->failed);
	(void)fflush(stdout);
	while (getchar() != EOF) {
	}
}

static uint64_t number(const char *text) {
	uint64_t value = 0;
	if (!text || !str_to_u64(str_of(text), &value)) {
		die("a number is missing", text ? text : "");
	}
	return value;
}

static bool parse_mode(const char *text, enum mode *out) {
	static const char *const names[] = { "requests", "handshakes", "idle" };
	for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
		if (strcmp(text, names[i]) == 0) {
			*out = (enum mode)i;
			return true;
		}
	}
	return false;
}

static void load_init(struct load *load, char **argv) {
	load->port = (uint16_t)number(argv[2]);
	load->certificates = number(argv[4]);
	load->link_count = number(argv[5]);
	load->path = argv[6];
	load->poll = epoll_create1(EPOLL_CLOEXEC);
	load->callbacks = make_callbacks();
	CHECK(load->poll >= 0 && load->link_count > 0);
	load->contexts = MEMORY_NEW(SSL_CTX *, load->certificates + 1);
	for (size_t i = 0; i < load->certificates; i++) {
		load->contexts[i] = read_context(argv[3], i);
	}
	load->links = MEMORY_NEW(struct link, load->link_count);
	for (size_t i = 0; i < load->link_count; i++) {
		load->links[i] = (struct link){ .load = load, .fd = -1 };
	}
}

int main(int argc, char **argv) {
	struct load load = { 0 };
	static const int arguments[] = { 10, 8, 7 };
	if (argc < 2 || !parse_mode(argv[1], &load.mode) || argc != arguments[load.mode]) {
		die("usage", "see the head of gateway_load.c");
	}
	(void)signal(SIGPIPE, SIG_IGN);
	load_init(&load, argv);
	load.wanted = load.mode == MODE_IDLE ? load.link_count : number(argv[7]);
	switch (load.mode) {
	case MODE_REQUESTS:
		load.rate = (double)number(argv[8]);
		load.in_flight_max = number(argv[9]);
		CHECK(load.rate > 0 && load.in_flight_max > 0);
		run_requests(&load);
		break;
	case MODE_HANDSHAKES:
		run_handshakes(&load);
		break;
	case MODE_IDLE:
		run_idle(&load);
		break;
	}
	return 0;
}
