#include "cmd/commands.h"

#include "cmd/demo.h"
#include "cmd/gateway.h"
#include "cmd/hub.h"
#include "cmd/link.h"
#include "cmd/matrix.h"
#include "cmd/mirror.h"
#include "cmd/monitor.h"
#include "cmd/promqltest.h"
#include "cmd/query.h"
#include "cmd/trust.h"
#include "cmd/tsdb.h"

static const struct command *const commands[] = {
	&gateway_command,
	&hub_command,
	&mirror_command,
	&monitor_command,
	&query_instant_command,
	&query_range_command,
	&query_series_command,
	&query_labels_command,
	&query_format_command,
	&query_explain_command,
	&promqltest_command,
	&matrix_dump_command,
	&tsdb_load_command,
	&link_create_command,
	&link_add_command,
	&link_list_command,
	&link_check_command,
	&link_explain_command,
	&link_remove_command,
	&trust_init_command,
	&trust_issuer_command,
	&trust_sign_command,
	&trust_keep_command,
	&trust_inspect_command,
	&trust_bundle_command,
	&trust_rotate_issuer_command,
	&trust_rotate_anchor_command,
	&trust_revoke_command,
	&trust_serve_command,
	&trust_token_command,
	&trust_join_command,
	&demo_command,
	&demo_status_command,
	&demo_restart_command,
	&demo_add_command,
	&demo_remove_command,
	NULL,
};

const struct command *const *commands_get(size_t *count) {
	*count = sizeof(commands) / sizeof(commands[0]) - 1;
	return commands;
}
