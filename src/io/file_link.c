#include "io/file.h"

#include "base/rand.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

int file_link(const char *target, const char *path, struct err *err) {
	AUTO(buf_deinit) struct buf beside = { 0 };
	uint64_t number = 0;
	rand_secure(&number, sizeof(number));
	buf_printf(&beside, "%s.%016llx", path, (unsigned long long)number);
	if (symlink(target, buf_text(&beside)) != 0) {
		return err_errno(err, errno, "link %s", buf_text(&beside));
	}
	if (rename(buf_text(&beside), path) != 0) {
		int reason = errno;
		(void)unlink(buf_text(&beside));
		return err_errno(err, reason, "link %s", path);
	}
	return 0;
}
