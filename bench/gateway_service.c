/*
 * The service behind the gateways of ./dev bench gateway: HTTP/1.1 with keep-alive, as little work
 * per request as can be, so that what is measured is the gateway.
 *
 *   bench_gateway_service PORT
 *
 * Any GET is answered with 200 and as many bytes as the "bytes=N" of its query says (16 MiB at
 * most). One thread, 127.0.0.1 only.
 */
#include "base/check.h"
#include "base/memory.h"
#include "base/str.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define BODY_BYTES_MAX ((size_t)16 * 1024 * 1024)
#define REQUEST_BYTES_MAX 8192
#define EVENTS_AT_ONCE 64

struct client {
	int fd;
	bool is_blocked; /* Waiting to go on with an answer. */
	size_t len;      /* Of 'request'. */
	char head[160];
	size_t head_len;
	size_t body_len;
	size_t sent; /* Of head and body together. */
	char request[REQUEST_BYTES_MAX];
};

static char *body;

static void hang_up(struct client *client) {
	(void)close(client->fd);
	free(client);
}

static void watch(int poll, int command, struct client *client) {
	struct epoll_event event = { .events = client->is_blocked ? EPOLLOUT : EPOLLIN,
		.data.ptr = client };
	CHECK(epoll_ctl(poll, command, client->fd, &event) == 0);
}

/* Sends what is left of the answer. Returns 1 when it is out, 0 to wait, -1 when the peer left. */
static int send_answer(struct client *client) {
	while (client->sent < client->head_len + client->body_len) {
		size_t of_head = client->sent < client->head_len ? client->sent : client->head_len;
		size_t of_body = client->sent - of_head;
		struct iovec parts[] = {
			{ client->head + of_head, client->head_len - of_head },
			{ body + of_body, client->body_len - of_body },
		};
		ssize_t put = writev(client->fd, parts, 2);
		if (put < 0) {
			return errno == EAGAIN ? 0 : -1;
		}
		client->sent += (size_t)put;
	}
	return 1;
}

static size_t wanted_bytes(struct str request) {
	struct str line = str_first(request, 2048);
	const char *at = memmem(line.ptr, line.len, "bytes=", 6);
	size_t wanted = 0;
	for (at = at ? at + 6 : NULL; at && at < line.ptr + line.len && *at >= '0' && *at <= '9';
		at++) {
		wanted = wanted * 10 + (size_t)(*at - '0');
		if (wanted > BODY_BYTES_MAX) {
			return BODY_BYTES_MAX;
		}
	}
	return wanted;
}

/* Begins the answer to the first request that is whole. Returns whether there is one. */
static bool take_request(struct client *client) {
	const char *end = memmem(client->request, client->len, "\r\n\r\n", 4);
	if (!end) {
		return false;
	}
	size_t len = (size_t)(end - client->request) + 4;
	client->body_len = wanted_bytes((struct str){ client->request, len });
	client->head_len = (size_t)snprintf(client->head, sizeof(client->head),
		"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
		client->body_len);
	client->sent = 0;
	memmove(client->request, client->request + len, client->len - len);
	client->len -= len;
	return true;
}

/* Answers until nothing is there to answer. Returns false when the client is gone. */
static bool serve(struct client *client) {
	int rc = client->is_blocked ? send_answer(client) : 1;
	while (rc > 0 && take_request(client)) {
		rc = send_answer(client);
	}
	client->is_blocked = rc == 0;
	return rc >= 0;
}

/* Returns false when the client is gone. */
static bool receive(struct client *client) {
	ssize_t got =
		recv(client->fd, client->request + client->len, REQUEST_BYTES_MAX - client->len, 0);
	if (got < 0 && errno == EAGAIN) {
		return true;
	}
	if (got <= 0) {
		return false;
	}
	client->len += (size_t)got;
	return true;
}

static void accept_client(int poll, int listener) {
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0) {
		return;
	}
	int one = 1;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	struct client *client = MEMORY_NEW(struct client, 1);
	client->fd = fd;
	watch(poll, EPOLL_CTL_ADD, client);
}

static void on_event(int poll, struct client *client) {
	bool was_blocked = client->is_blocked;
	bool is_there = (was_blocked || receive(client)) && serve(client);
	if (!is_there) {
		hang_up(client);
	} else if (was_blocked != client->is_blocked) {
		watch(poll, EPOLL_CTL_MOD, client);
	}
}

static int listen_on(uint16_t port) {
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	int one = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	CHECK(fd >= 0);
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 1024) < 0) {
		(void)fprintf(
			stderr, "bench_gateway_service: port %u: %s\n", port, strerror(errno));
		exit(EXIT_FAILURE);
	}
	return fd;
}

int main(int argc, char **argv) {
	uint64_t port = 0;
	if (argc != 2 || !str_to_u64(str_of(argv[1]), &port) || port > UINT16_MAX) {
		(void)fprintf(stderr, "usage: bench_gateway_service PORT\n");
		return 2;
	}
	body = MEMORY_NEW(char, BODY_BYTES_MAX);
	memset(body, 'x', BODY_BYTES_MAX);
	int listener = listen_on((uint16_t)port);
	int poll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event own = { .events = EPOLLIN };
	CHECK(poll >= 0 && epoll_ctl(poll, EPOLL_CTL_ADD, listener, &own) == 0);
	for (;;) {
		struct epoll_event events[EVENTS_AT_ONCE];
		int count = epoll_wait(poll, events, EVENTS_AT_ONCE, -1);
		for (int i = 0; i < count; i++) {
			if (events[i].data.ptr) {
				on_event(poll, events[i].data.ptr);
			} else {
				accept_client(poll, listener);
			}
		}
	}
}
