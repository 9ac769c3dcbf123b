#include "demo/control.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/memory.h"
#include "demo/state_folder.h"
#include "io/stream.h"

#include <stdio.h>
#include <stdlib.h>

#define LINE_MAX_BYTES 512
#define REQUEST_TIMEOUT_MS 5000
/* A demo at work says so every few seconds. */
#define SILENCE_MAX_MS 15000
#define ANSWER_BYTES_MAX ((size_t)1024 * 1024)

struct control {
	struct listener *listener;
	control_fn *run;
	void *context;
};

struct control_call {
	struct control *control; /* Until the command's line is complete. */
	struct stream *stream;   /* NULL: the client is gone. */
	struct buf line;
	bool is_running; /* Given to 'run', and not ended yet. */
};

static void free_call(struct control_call *call) {
	buf_deinit(&call->line);
	free(call);
}

static void on_request_closed(struct stream *stream, const struct err *reason) {
	struct control_call *call = stream_context(stream);
	(void)reason;
	call->stream = NULL;
	if (!call->is_running) {
		free_call(call);
	}
}

static void on_request_data(struct stream *stream, struct str bytes) {
	struct control_call *call = stream_context(stream);
	if (call->is_running) {
		return;
	}
	buf_add_str(&call->line, bytes);
	size_t end = str_find(buf_str(&call->line), '\n');
	if (end == SIZE_MAX) {
		if (call->line.len > LINE_MAX_BYTES) {
			stream_abort(stream, NULL);
		}
		return;
	}
	stream_set_idle_timeout(stream, 0);
	call->is_running = true;
	call->control->run(call->control->context, call, str_first(buf_str(&call->line), end));
}

static const struct stream_ops request_ops = {
	.on_data = on_request_data,
	.on_close = on_request_closed,
};

static void on_accept(struct listener *listener, struct stream *stream) {
	struct control_call *call = MEMORY_NEW(struct control_call, 1);
	call->control = listener_context(listener);
	call->stream = stream;
	stream_set_ops(stream, &request_ops, call);
	stream_set_idle_timeout(stream, REQUEST_TIMEOUT_MS);
}

static const struct listener_ops listener_ops = { .on_accept = on_accept };

int control_open(struct loop *loop, const char *folder, control_fn *run, void *context,
	struct control **out, struct err *err) {
	AUTO(buf_deinit) struct buf path = { 0 };
	struct control *control = MEMORY_NEW(struct control, 1);
	const struct listener_options options = {
		.ops = &listener_ops,
		.context = control,
		.connections_max = 16,
	};
	control->run = run;
	control->context = context;
	state_folder_socket(folder, &path);
	int rc = listener_open(loop, buf_text(&path), 0, &options, &control->listener, err);
	if (rc < 0) {
		free(control);
		return rc;
	}
	*out = control;
	return 0;
}

void control_close(struct control *control) {
	if (control) {
		listener_close(control->listener);
		free(control);
	}
}

static void send_line(struct control_call *call, char kind, struct str text) {
	if (!call->stream) {
		return;
	}
	stream_write(call->stream, &kind, 1);
	stream_write(call->stream, text.ptr, text.len);
	stream_write(call->stream, "\n", 1);
}

void control_say(struct control_call *call, struct str text) {
	struct str rest = text;
	do {
		send_line(call, ' ', str_cut(&rest, '\n'));
	} while (rest.ptr && rest.len > 0);
}

void control_end(struct control_call *call, const struct err *failure) {
	if (failure) {
		struct str rest = str_of(failure->text);
		struct str first = str_cut(&rest, '\n');
		send_line(call, '!', first);
	} else {
		send_line(call, '+', STR_EMPTY);
	}
	call->is_running = false;
	if (call->stream) {
		stream_close(call->stream); /* Freed when that is through. */
	} else {
		free_call(call);
	}
}

/* The other side: one call, waited for. */
struct client {
	struct loop *loop;
	struct str line;
	struct buf received;
	bool is_connected;
	bool is_answered;
	struct err failure; /* Code 0: none. */
};

static void take_line(struct client *client, struct str line) {
	if (line.len == 0) {
		return;
	}
	struct str text = str_from(line, 1);
	if (line.ptr[0] == ' ' && text.len > 0) {
		(void)printf("%.*s\n", STR_ARG(text));
		(void)fflush(stdout);
	} else if (line.ptr[0] == '+') {
		client->is_answered = true;
	} else if (line.ptr[0] == '!') {
		client->is_answered = true;
		(void)err_set(&client->failure, ERR_EXEC, "%.*s", STR_ARG(text));
	}
}

static void on_open(struct stream *stream) {
	struct client *client = stream_context(stream);
	client->is_connected = true;
	stream_write(stream, client->line.ptr, client->line.len);
	stream_write(stream, "\n", 1);
}

static void on_answer_data(struct stream *stream, struct str bytes) {
	struct client *client = stream_context(stream);
	size_t end;
	if (client->received.len + bytes.len > ANSWER_BYTES_MAX) {
		stream_abort(stream, NULL);
		return;
	}
	buf_add_str(&client->received, bytes);
	while ((end = str_find(buf_str(&client->received), '\n')) != SIZE_MAX) {
		take_line(client, str_first(buf_str(&client->received), end));
		buf_consume(&client->received, end + 1);
	}
}

static void on_answer_closed(struct stream *stream, const struct err *reason) {
	struct client *client = stream_context(stream);
	if (!client->is_answered && reason) {
		client->failure = *reason;
	} else if (!client->is_answered) {
		(void)err_set(&client->failure, ERR_CLOSED, "the demo ended meanwhile");
	}
	loop_stop(client->loop);
}

static const struct stream_ops answer_ops = {
	.on_open = on_open,
	.on_data = on_answer_data,
	.on_close = on_answer_closed,
};

int control_send(const char *folder, struct str line, struct err *err) {
	AUTO(buf_deinit) struct buf path = { 0 };
	struct client client = { .loop = loop_new(clock_system()), .line = line };
	const struct stream_options options = {
		.ops = &answer_ops,
		.context = &client,
		.idle_timeout_ms = SILENCE_MAX_MS,
	};
	CHECK(line.len < LINE_MAX_BYTES && str_find(line, '\n') == SIZE_MAX);
	state_folder_socket(folder, &path);
	(void)stream_connect(client.loop, buf_text(&path), 0, &options);
	loop_run(client.loop);
	loop_free(client.loop);
	buf_deinit(&client.received);
	if (!client.is_connected) {
		return err_set(err, ERR_CLOSED,
			"no demo runs on %s; start one with: atoll demo (or name its folder with "
			"--state)",
			folder);
	}
	if (client.failure.code < 0) {
		return err_set(err, client.failure.code, "%s", client.failure.text);
	}
	return 0;
}
