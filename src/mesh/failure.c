#include "mesh/failure.h"

#include "base/check.h"
#include "base/memory.h"
#include "base/time.h"
#include "mesh/refusal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the system says of connections, in the words of its sentences. */
static const struct {
	const char *part;
	const char *reason;
} system_reasons[] = {
	{ "Connection refused", "refused" },
	{ "No route to host", "unreachable" },
	{ "Network is unreachable", "unreachable" },
	{ "Connection reset", "reset" },
	{ "Broken pipe", "reset" },
};

/* The alerts by which a peer tells why it does not like our certificate. */
static const struct {
	const char *part;
	const char *reason;
} alert_reasons[] = {
	{ "unknown ca", "refused_anchor" },
	{ "certificate expired", "refused_expired" },
	{ "application protocol", "protocol" },
};

static const struct {
	const char *reason;
	const char *advice;
} advices[] = {
	{ "dns",
		"The name of the address cannot be resolved on this machine: check its spelling in "
		"the link file and the machine's DNS (getent hosts NAME)." },
	{ "refused", "The machine answers, but nothing listens on that port: start atoll gateway "
		     "there, or correct the port in the link file "
		     "(--gateway.listen-address there)." },
	{ "unreachable", "There is no route to the address: check the network and the address; a "
			 "cluster that nobody can dial into should dial itself (dials: gateway)." },
	{ "timeout", "No answer came in time: a firewall that drops packets, a wrong address, or a "
		     "gateway that hangs. Check with nc -vz HOST PORT from this machine." },
	{ "reset", "The connection was cut from outside: the other process ended, or something "
		   "between the two (a load balancer, a firewall) cuts it." },
	{ "wrong_anchor",
		"The other side's certificate descends from a trust anchor that is not believed "
		"here. Compare both sides' digests with atoll trust bundle TLSDIR; if the other "
		"anchor is right, add it here with atoll trust bundle CA.CRT --install DIR, else "
		"give the other side a certificate of this mesh." },
	{ "refused_anchor",
		"The other side does not believe the trust anchor that our certificate descends "
		"from. Compare both sides' digests with atoll trust bundle TLSDIR, and add our "
		"anchor there with atoll trust bundle CA.CRT --install DIR." },
	{ "expired",
		"A certificate has expired: renew it (atoll trust keep must run where it comes "
		"from), and compare the clocks of both machines." },
	{ "refused_expired",
		"The other side says that our certificate has expired: renew it (atoll trust "
		"keep), "
		"or the other side's clock is ahead; compare the clocks of both machines." },
	{ "not_yet_valid",
		"A certificate is not valid yet, by the clock of this machine: certificates are "
		"made five minutes into the past, so one of the clocks is off by more. Set both by "
		"NTP." },
	{ "name_constraint",
		"An issuer has signed a name that is not of its cluster: use the issuer "
		"of that cluster (atoll trust issuer --cluster NAME)." },
	{ "identity",
		"The certificate is good but is somebody else's: the address leads to another "
		"process, or \"identity\" in the link file is wrong." },
	{ "certificate",
		"The certificate breaks a rule of docs/trust.md: atoll trust inspect DIR on "
		"the other side says which." },
	{ "no_certificate", "The other side shows no certificate: it is no program of this mesh." },
	{ "revoked", "The certificate is on a deny-list: if that is a mistake, atoll trust revoke "
		     "--forgive takes it off; else make a new one." },
	{ "by_peer", "The other side refused our certificate: its log (peer refused) and "
		     "GET /atoll/v1/refusals there say why." },
	{ "protocol", "What listens there does not speak TLS 1.3 with our protocol: check that the "
		      "port is that of atoll gateway, and that nothing in between ends TLS." },
	{ "limit",
		"A limit was reached, which the sentence names: raise it, or find out who uses it "
		"up." },
	{ "unexpected", "No link file here names that gateway: add one with \"dials: gateway\" "
			"(atoll link create --hub), or take this hub out of its \"hubs\"." },
	{ "denied", "The gateway let us in but does not serve us: see what it exports to our "
		    "identity (\"allow\" in its configuration)." },
	{ "closed", "The other side ended the connection: it stopped or was restarted, or refuses "
		    "us (its GET /atoll/v1/refusals tells)." },
};

const char *failure_reason(const struct err *err) {
	if (err->code == ERR_IO) {
		if (strncmp(err->text, "host \"", 6) == 0) {
			return "dns";
		}
		for (size_t i = 0; i < ARRAY_COUNT(system_reasons); i++) {
			if (strstr(err->text, system_reasons[i].part)) {
				return system_reasons[i].reason;
			}
		}
	}
	if (err->code == ERR_CLOSED) {
		return "closed";
	}
	if (err->code == ERR_CORRUPT) {
		return "protocol";
	}
	const char *reason = refusal_reason(err);
	for (size_t i = 0; strcmp(reason, "by_peer") == 0 && i < ARRAY_COUNT(alert_reasons); i++) {
		if (strstr(err->text, alert_reasons[i].part)) {
			return alert_reasons[i].reason;
		}
	}
	return strcmp(reason, "other") == 0 && err->code == ERR_DENIED ? "denied" : reason;
}

enum failure_stage failure_stage_of(const struct err *err) {
	if (strncmp(err->text, "host \"", 6) == 0) {
		return STAGE_DNS;
	}
	return strncmp(err->text, "connect to ", 11) == 0 ? STAGE_CONNECT : STAGE_TLS;
}

const char *failure_stage_name(enum failure_stage stage) {
	static const char *const names[] = { "dns", "connect", "tls", "catalogue", "session" };
	return names[stage];
}

const char *failure_advice(const char *reason) {
	for (size_t i = 0; i < ARRAY_COUNT(advices); i++) {
		if (strcmp(advices[i].reason, reason) == 0) {
			return advices[i].advice;
		}
	}
	return "The sentence is all that is known; the logs of both sides may say more.";
}

static char *copy(const char *text) {
	char *made = strdup(text);
	CHECK(made);
	return made;
}

static void failure_deinit(struct failure *failure) {
	free(failure->address);
	free(failure->text);
}

/* Takes out the one that repeats itself, or makes room. */
static struct failure take(struct failures *failures, const char *address, enum failure_stage stage,
	const char *text) {
	size_t at = 0;
	while (at < failures->count && (failures->items[at].stage != stage ||
					       strcmp(failures->items[at].address, address) != 0 ||
					       strcmp(failures->items[at].text, text) != 0)) {
		at++;
	}
	bool is_new = at == failures->count;
	if (is_new && failures->count < failures->max) {
		return (struct failure){ 0 };
	}
	at = is_new ? 0 : at;
	struct failure taken = failures->items[at];
	failures->count--;
	memmove(&failures->items[at], &failures->items[at + 1],
		(failures->count - at) * sizeof(failures->items[0]));
	if (is_new) {
		failure_deinit(&taken);
		return (struct failure){ 0 };
	}
	return taken;
}

void failures_note(struct failures *failures, int64_t now_ms, const char *address,
	enum failure_stage stage, const struct err *err) {
	if (!failures->items) {
		failures->items = MEMORY_NEW(struct failure, failures->max);
	}
	struct failure failure = take(failures, address, stage, err->text);
	if (failure.count == 0) {
		failure = (struct failure){
			.first_ms = now_ms,
			.stage = stage,
			.reason = failure_reason(err),
			.address = copy(address),
			.text = copy(err->text),
		};
	}
	failure.count++;
	failure.last_ms = now_ms;
	failures->items[failures->count++] = failure;
	failures->total++;
}

void failures_note_refusal(struct failures *failures, int64_t now_ms, const char *peer_address,
	const struct err *err) {
	char host[128];
	(void)snprintf(host, sizeof(host), "%s", peer_address);
	char *colon = strrchr(host, ':');
	if (colon) {
		*colon = '\0';
	}
	failures_note(failures, now_ms, host, STAGE_TLS, err);
}

static void put_time(struct json_writer *writer, const char *name, int64_t ms) {
	AUTO(buf_deinit) struct buf text = { 0 };
	time_format_rfc3339(ms, &text);
	json_key(writer, str_of(name));
	json_put_str(writer, buf_str(&text));
}

static void write_failure(const struct failure *failure, struct json_writer *writer) {
	json_begin_object(writer);
	put_time(writer, "time", failure->last_ms);
	put_time(writer, "first_time", failure->first_ms);
	json_key(writer, STR("count"));
	json_put_int(writer, (int64_t)failure->count);
	json_key(writer, STR("address"));
	json_put_text(writer, failure->address);
	json_key(writer, STR("stage"));
	json_put_text(writer, failure_stage_name(failure->stage));
	json_key(writer, STR("reason"));
	json_put_text(writer, failure->reason);
	json_key(writer, STR("text"));
	json_put_text(writer, failure->text);
	json_key(writer, STR("advice"));
	json_put_text(writer, failure_advice(failure->reason));
	json_end_object(writer);
}

void failures_write(const struct failures *failures, struct json_writer *writer) {
	json_begin_array(writer);
	for (size_t i = failures->count; i > 0; i--) {
		write_failure(&failures->items[i - 1], writer);
	}
	json_end_array(writer);
}

void failures_deinit(struct failures *failures) {
	for (size_t i = 0; i < failures->count; i++) {
		failure_deinit(&failures->items[i]);
	}
	free(failures->items);
	*failures = (struct failures){ 0 };
}
