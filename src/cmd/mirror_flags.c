#include "cmd/mirror_flags.h"

#include "base/log.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#define NAME_BYTES_MAX 256
#define ENTRY_BYTES_MAX 8192

static int read_range(const char *text, struct mirrors_options *options, struct err *err) {
	struct str last = str_of(text);
	struct str first = str_cut(&last, '-');
	uint64_t from = 0;
	uint64_t to = 0;
	bool is_range = last.ptr && str_to_u64(first, &from) && str_to_u64(last, &to) && from > 0 &&
			from <= to && to <= UINT16_MAX;
	if (!is_range) {
		return err_set(err, ERR_INVAL,
			"--mirror.port-range: \"%s\" is not like 19500-19999", text);
	}
	options->port_first = (uint16_t)from;
	options->port_last = (uint16_t)to;
	return 0;
}

static int read_mode(const char *text, uint32_t *mode, struct err *err) {
	char *end = NULL;
	unsigned long value = strtoul(text, &end, 8);
	if (text[0] < '0' || text[0] > '7' || *end != '\0' || value > 0777) {
		return err_set(
			err, ERR_INVAL, "--mirror.socket-mode: \"%s\" is not like 0660", text);
	}
	*mode = (uint32_t)value;
	return 0;
}

/* Copies a name out of the flag. */
static int take_name(struct str name, char *out, struct err *err) {
	if (name.len >= NAME_BYTES_MAX) {
		return err_set(
			err, ERR_INVAL, "--mirror.socket-owner: a name of %zu bytes", name.len);
	}
	memcpy(out, name.ptr, name.len);
	out[name.len] = '\0';
	return 0;
}

static int find_user(struct str text, uid_t *uid, struct err *err) {
	char name[NAME_BYTES_MAX];
	char memory[ENTRY_BYTES_MAX];
	struct passwd entry;
	struct passwd *found = NULL;
	uint64_t number = 0;
	if (text.len == 0 || (str_to_u64(text, &number) && number < UINT32_MAX)) {
		*uid = text.len == 0 ? MIRROR_ID_KEEP : (uid_t)number;
		return 0;
	}
	int rc = take_name(text, name, err);
	if (rc == 0 && (getpwnam_r(name, &entry, memory, sizeof(memory), &found) != 0 || !found)) {
		rc = err_set(
			err, ERR_INVAL, "--mirror.socket-owner: there is no user \"%s\"", name);
	}
	*uid = rc == 0 ? entry.pw_uid : *uid;
	return rc;
}

static int find_group(struct str text, gid_t *gid, struct err *err) {
	char name[NAME_BYTES_MAX];
	char memory[ENTRY_BYTES_MAX];
	struct group entry;
	struct group *found = NULL;
	uint64_t number = 0;
	if (text.len == 0 || (str_to_u64(text, &number) && number < UINT32_MAX)) {
		*gid = text.len == 0 ? MIRROR_ID_KEEP : (gid_t)number;
		return 0;
	}
	int rc = take_name(text, name, err);
	if (rc == 0 && (getgrnam_r(name, &entry, memory, sizeof(memory), &found) != 0 || !found)) {
		rc = err_set(
			err, ERR_INVAL, "--mirror.socket-owner: there is no group \"%s\"", name);
	}
	*gid = rc == 0 ? entry.gr_gid : *gid;
	return rc;
}

static int read_owner(const char *text, struct mirrors_options *options, struct err *err) {
	struct str group = str_of(text ? text : "");
	struct str user = str_cut(&group, ':');
	int rc = find_user(user, &options->socket_uid, err);
	return rc == 0 ? find_group(group, &options->socket_gid, err) : rc;
}

static int read_numbers(
	const struct mirror_flags *flags, struct mirrors_options *options, struct err *err) {
	if (flags->stale_ms < 1 || flags->timeout_ms < 1 || flags->grace_ms < 0 ||
		flags->per_cluster_max < 1) {
		return err_set(err, ERR_INVAL,
			"--mirror.max-stale, --mirror.timeout and --mirror.max-per-cluster must "
			"be "
			"more than 0");
	}
	options->directory = flags->directory;
	options->stale_ms = flags->stale_ms;
	options->grace_ms = flags->grace_ms;
	options->timeout_ms = flags->timeout_ms;
	options->per_cluster_max = (size_t)flags->per_cluster_max;
	return 0;
}

int mirror_flags_read(
	const struct mirror_flags *flags, struct mirrors_options *options, struct err *err) {
	bool is_tcp = strcmp(flags->listen, "tcp") == 0;
	if (!is_tcp && strcmp(flags->listen, "unix") != 0 && strcmp(flags->listen, "off") != 0) {
		return err_set(err, ERR_INVAL, "--mirror.listen: \"%s\" is none of off, tcp, unix",
			flags->listen);
	}
	options->kind = is_tcp ? MIRROR_TCP : MIRROR_UNIX;
	int rc = read_numbers(flags, options, err);
	if (rc == 0) {
		rc = read_range(flags->port_range, options, err);
	}
	if (rc == 0) {
		rc = read_mode(flags->socket_mode, &options->socket_mode, err);
	}
	if (rc == 0) {
		rc = read_owner(flags->socket_owner, options, err);
	}
	return rc == 0 ? strcmp(flags->listen, "off") != 0 : rc;
}
