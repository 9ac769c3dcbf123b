#include "http/h1_answer.h"

#include "base/check.h"
#include "http/h1.h"
#include "http/h1_parts.h"

void h1_answer_init(struct h1_answer_reader *reader, struct arena *arena, bool is_to_head,
	size_t header_bytes_max) {
	*reader = (struct h1_answer_reader){
		.arena = arena,
		.is_to_head = is_to_head,
		.header_bytes_max = header_bytes_max,
	};
}

static int bad(struct err *err, const char *what) {
	return err_set(err, ERR_CORRUPT, "malformed answer: %s", what);
}

/* Lines between chunks have a bound each; those of the header and the trailers one together. */
static bool is_between_chunks(const struct h1_answer_reader *reader) {
	return reader->state == H1_ANSWER_CHUNK_SIZE || reader->state == H1_ANSWER_CHUNK_END;
}

static int charge_line(const struct h1_answer_reader *reader, size_t len, struct err *err) {
	if (is_between_chunks(reader)) {
		return len <= H1_CHUNK_LINE_MAX ? 0 : bad(err, "a chunk's size line is too long");
	}
	if (len <= reader->header_bytes_max - reader->header_bytes) {
		return 0;
	}
	return err_set(err, ERR_LIMIT, "header of an answer longer than %zu bytes",
		reader->header_bytes_max);
}

/* Takes one line off 'rest', without its CR LF. Returns 1, 0 when its end is not there yet, or an
 * error. */
static int take_line(
	struct h1_answer_reader *reader, struct str *rest, struct str *line, struct err *err) {
	size_t end = str_find(str_from(*rest, reader->scanned), '\n');
	size_t len = end == SIZE_MAX ? rest->len : reader->scanned + end + 1;
	int rc = charge_line(reader, len, err);
	if (rc < 0) {
		return rc;
	}
	if (end == SIZE_MAX) {
		reader->scanned = rest->len;
		return 0;
	}
	if (len < 2 || rest->ptr[len - 2] != '\r') {
		return bad(err, "a line ends without CR");
	}
	*line = str_first(*rest, len - 2);
	if (str_find(*line, '\r') != SIZE_MAX) {
		return bad(err, "CR inside a line");
	}
	*rest = str_from(*rest, len);
	reader->scanned = 0;
	reader->header_bytes += is_between_chunks(reader) ? 0 : len;
	return 1;
}

static bool is_digit(char byte) {
	return byte >= '0' && byte <= '9';
}

/* "HTTP/1.1 200 OK"; the reason may be empty or missing. */
static int read_status_line(struct h1_answer_reader *reader, struct str line, struct err *err) {
	const char *at = line.ptr;
	bool is_form = line.len >= 12 && str_starts(line, STR("HTTP/1.")) && is_digit(at[7]) &&
		       at[8] == ' ' && at[9] >= '1' && at[9] <= '5' && is_digit(at[10]) &&
		       is_digit(at[11]) && (line.len == 12 || at[12] == ' ');
	if (!is_form || !http_value_is_safe(line)) {
		return bad(err, "its first line is not HTTP/1.1's");
	}
	reader->status = (at[9] - '0') * 100 + (at[10] - '0') * 10 + (at[11] - '0');
	reader->is_http10 = at[7] == '0';
	reader->keep_alive = !reader->is_http10;
	reader->state = H1_ANSWER_HEADERS;
	return H1_ANSWER_MORE;
}

static int read_framing(
	struct h1_answer_reader *reader, struct str name, struct str value, struct err *err) {
	if (str_equal(name, STR("content-length"))) {
		if (reader->has_length) {
			return bad(err, "Content-Length is given twice");
		}
		const char *problem = h1_parse_length(value, &reader->length);
		reader->has_length = true;
		return problem ? bad(err, problem) : 0;
	}
	if (str_equal(name, STR("transfer-encoding"))) {
		if (reader->is_chunked) {
			return bad(err, "Transfer-Encoding is given twice");
		}
		if (reader->is_http10) {
			return bad(err, "Transfer-Encoding in HTTP/1.0");
		}
		reader->is_chunked = true;
		return str_equal_nocase(value, STR("chunked"))
			       ? 0
			       : bad(err, "the only transfer coding understood is chunked");
	}
	if (str_equal(name, STR("connection"))) {
		if (http_value_has_token(value, STR("close"))) {
			reader->keep_alive = false;
		} else if (reader->is_http10 && http_value_has_token(value, STR("keep-alive"))) {
			reader->keep_alive = true;
		}
	}
	return 0;
}

static int read_header(struct h1_answer_reader *reader, struct str line, struct err *err) {
	struct http_headers *headers = &reader->headers;
	struct str name = STR_EMPTY;
	struct str value = STR_EMPTY;
	const char *problem = h1_split_header(line, &name, &value);
	if (problem) {
		return bad(err, problem);
	}
	if (headers->count >= H1_HEADERS_MAX) {
		return err_set(err, ERR_LIMIT, "an answer of more than %d headers", H1_HEADERS_MAX);
	}
	http_headers_add(headers, reader->arena, name, value);
	return read_framing(reader, headers->items[headers->count - 1].name,
		headers->items[headers->count - 1].value, err);
}

/* The empty line after an answer that only says that another will come. */
static int finish_interim(struct h1_answer_reader *reader, struct err *err) {
	if (reader->status == 101) {
		return bad(err, "it changes the protocol, which was not asked for");
	}
	if (reader->has_length || reader->is_chunked) {
		return bad(err, "an interim answer with a body");
	}
	/* Its bytes go on counting: there may be any number of them. */
	reader->headers.count = 0;
	reader->state = H1_ANSWER_STATUS_LINE;
	return H1_ANSWER_MORE;
}

/* The empty line: decides what follows (RFC 9112 6.3). */
static int finish_head(struct h1_answer_reader *reader, struct err *err) {
	if (reader->status < 200) {
		return finish_interim(reader, err);
	}
	if (reader->is_chunked && reader->has_length) {
		return bad(err, "both Content-Length and Transfer-Encoding");
	}
	bool is_bodiless = reader->is_to_head || reader->status == 204 || reader->status == 304;
	if (is_bodiless || (reader->has_length && reader->length == 0)) {
		reader->state = H1_ANSWER_COMPLETE;
	} else if (reader->is_chunked) {
		reader->state = H1_ANSWER_CHUNK_SIZE;
	} else if (reader->has_length) {
		reader->left = reader->length;
		reader->state = H1_ANSWER_LENGTH_BODY;
	} else {
		reader->keep_alive = false;
		reader->state = H1_ANSWER_OPEN_BODY;
	}
	return H1_ANSWER_HEAD;
}

static int read_size(struct h1_answer_reader *reader, struct str line, struct err *err) {
	const char *problem = h1_parse_chunk_size(line, &reader->left);
	if (problem) {
		return bad(err, problem);
	}
	reader->state = reader->left > 0 ? H1_ANSWER_CHUNK_DATA : H1_ANSWER_TRAILERS;
	return H1_ANSWER_MORE;
}

/* Trailers mean nothing to us; only their form is looked at. */
static int read_trailer(struct h1_answer_reader *reader, struct str line, struct err *err) {
	struct str name;
	struct str value;
	if (line.len == 0) {
		reader->state = H1_ANSWER_COMPLETE;
		return H1_ANSWER_END;
	}
	const char *problem = h1_split_header(line, &name, &value);
	return problem ? bad(err, problem) : H1_ANSWER_MORE;
}

/* What a line means in this state: an event, or an error. */
static int read_line(struct h1_answer_reader *reader, struct str line, struct err *err) {
	switch (reader->state) {
	case H1_ANSWER_STATUS_LINE:
		return read_status_line(reader, line, err);
	case H1_ANSWER_HEADERS:
		return line.len > 0 ? read_header(reader, line, err) : finish_head(reader, err);
	case H1_ANSWER_CHUNK_SIZE:
		return read_size(reader, line, err);
	case H1_ANSWER_CHUNK_END:
		reader->state = H1_ANSWER_CHUNK_SIZE;
		return line.len == 0 ? H1_ANSWER_MORE : bad(err, "a chunk is longer than its size");
	case H1_ANSWER_TRAILERS:
		return read_trailer(reader, line, err);
	case H1_ANSWER_LENGTH_BODY:
	case H1_ANSWER_OPEN_BODY:
	case H1_ANSWER_CHUNK_DATA:
	case H1_ANSWER_COMPLETE:
	case H1_ANSWER_BROKEN:
		break;
	}
	CHECK(false);
}

static bool is_in_body(const struct h1_answer_reader *reader) {
	return reader->state == H1_ANSWER_LENGTH_BODY || reader->state == H1_ANSWER_OPEN_BODY ||
	       reader->state == H1_ANSWER_CHUNK_DATA;
}

static void take_body(struct h1_answer_reader *reader, struct str *rest, struct str *piece) {
	if (reader->state == H1_ANSWER_OPEN_BODY) {
		*piece = *rest;
	} else {
		*piece = reader->left < rest->len ? str_first(*rest, (size_t)reader->left) : *rest;
		reader->left -= piece->len;
	}
	*rest = str_from(*rest, piece->len);
	if (reader->state == H1_ANSWER_CHUNK_DATA && reader->left == 0) {
		reader->state = H1_ANSWER_CHUNK_END;
	}
}

/* One step. Returns an event; H1_ANSWER_MORE with '*is_done' set if more bytes are needed. */
static int step(struct h1_answer_reader *reader, struct str *rest, struct str *piece, bool *is_done,
	struct err *err) {
	struct str line = STR_EMPTY;
	if (reader->state == H1_ANSWER_COMPLETE) {
		return H1_ANSWER_END;
	}
	if (is_in_body(reader)) {
		if (reader->state == H1_ANSWER_LENGTH_BODY && reader->left == 0) {
			reader->state = H1_ANSWER_COMPLETE;
			return H1_ANSWER_END;
		}
		*is_done = rest->len == 0;
		if (*is_done) {
			return H1_ANSWER_MORE;
		}
		take_body(reader, rest, piece);
		return H1_ANSWER_BODY;
	}
	int rc = take_line(reader, rest, &line, err);
	*is_done = rc == 0;
	return rc <= 0 ? rc : read_line(reader, line, err);
}

int h1_answer_read(struct h1_answer_reader *reader, struct str bytes, size_t *used,
	struct str *piece, struct err *err) {
	struct str rest = bytes;
	bool is_done = false;
	int event = H1_ANSWER_MORE;
	CHECK(reader->state != H1_ANSWER_BROKEN);
	while (event == H1_ANSWER_MORE && !is_done) {
		event = step(reader, &rest, piece, &is_done, err);
	}
	*used = bytes.len - rest.len;
	if (event < 0) {
		reader->state = H1_ANSWER_BROKEN;
	}
	return event;
}

int h1_answer_close(struct h1_answer_reader *reader, struct err *err) {
	if (reader->state == H1_ANSWER_OPEN_BODY || reader->state == H1_ANSWER_COMPLETE ||
		(reader->state == H1_ANSWER_LENGTH_BODY && reader->left == 0)) {
		reader->state = H1_ANSWER_COMPLETE;
		return 0;
	}
	bool has_begun = reader->state != H1_ANSWER_STATUS_LINE || reader->header_bytes > 0;
	return err_set(err, ERR_CLOSED, "the connection ended %s",
		has_begun ? "before the answer did" : "without an answer");
}
