#include "key.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <sysexits.h>
#include <unistd.h>

#include "../../backends/secrets/seal_key.h"

enum { KEY_FILE_MAX = 256 };

static bool key_in_group(gid_t group)
{
	gid_t groups[256];
	int count = getgroups(sizeof groups / sizeof *groups, groups);

	for (int i = 0; i < count; i++)
		if (groups[i] == group)
			return true;
	return group == getegid();
}

/* Secrets of docker and Kubernetes belong to root and are not writable. Mode 0440 requires the
 * daemon's group. World-readable ones are accepted only where containers mount secrets, on a mount
 * in memory or a read-only one. */
static bool is_secret(int fd, const char *path, const struct stat *st)
{
	static const char place[] = "/run/secrets/";
	struct statvfs mount;
	struct statfs kind;

	if (st->st_uid != 0 || (st->st_mode & 0333) != 0)
		return false;
	if ((st->st_mode & 04) == 0)
		return key_in_group(st->st_gid);
	if (strncmp(path, place, strlen(place)) != 0 || strstr(path, "/../") != NULL ||
		fstatvfs(fd, &mount) != 0 || fstatfs(fd, &kind) != 0)
		return false;
	return (mount.f_flag & ST_RDONLY) != 0 || kind.f_type == TMPFS_MAGIC ||
		kind.f_type == RAMFS_MAGIC;
}

static int check_file(int fd, const char *path, bool credential, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return err_exit(err, EX_CONFIG, "the key file %s is not a regular file", path);
	/* systemd protects its credentials by the folder; with an access list, the mode shows that
	 * list's mask. */
	if (credential)
		return 0;
	if (is_secret(fd, path, &st))
		return 0;
	if ((st.st_mode & 077) != 0)
		return err_exit(err, EX_CONFIG,
			"the key file %s has mode %04o: group and others must have no access. "
			"chmod 600 it; root's own may be 0440 for the daemon's group, and a "
			"container's secret 0444 below /run/secrets",
			path, (unsigned)st.st_mode & 07777);
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return err_exit(err, EX_CONFIG,
			"the key file %s must belong to the daemon's user or to root", path);
	return 0;
}

/* where: the origin, for messages. */
static int parse(const char *where, const char *text, size_t length,
	unsigned char key[SEAL_KEY_BYTES], struct err *err)
{
	struct err inner;

	return seal_key_parse(text, length, key, &inner) == 0
		? 0
		: err_exit(err, inner.exit_code, "%.100s: %s", where, inner.message);
}

static int key_read_file(
	const char *path, bool credential, unsigned char key[SEAL_KEY_BYTES], struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	char text[KEY_FILE_MAX];
	ssize_t length;
	size_t start = 0, end;
	int result = -1;

	if (fd < 0)
		return err_exit(
			err, EX_CONFIG, "cannot read the key file %s: %s", path, strerror(errno));
	if (check_file(fd, path, credential, err) < 0)
		goto out;
	length = read(fd, text, sizeof text);
	if (length < 0) {
		(void)err_exit(
			err, EX_CONFIG, "cannot read the key file %s: %s", path, strerror(errno));
		goto out;
	}
	end = (size_t)length;
	while (start < end && strchr(" \t\r\n", text[start]) != NULL)
		start++;
	while (end > start && strchr(" \t\r\n", text[end - 1]) != NULL)
		end--;
	result = parse(path, text + start, end - start, key, err);
out:
	explicit_bzero(text, sizeof text);
	(void)close(fd);
	return result;
}

/* One key and its possible sources, of which exactly one may be set. */
struct source {
	enum setting_id id;
	char *text; /* the setting's */
	const char *variable, *file, *credential;
};

static void forget(struct settings *settings, const struct source *source)
{
	char *given = settings->given[source->id];

	explicit_bzero(source->text, strlen(source->text));
	if (given != NULL)
		explicit_bzero(given, strlen(given));
	free(given);
	settings->given[source->id] = NULL;
}

/* 1: no source has it. */
static int read_source(struct settings *settings, const struct source *source,
	const char *credentials, unsigned char key[SEAL_KEY_BYTES], struct err *err)
{
	bool variable = *source->text != '\0';
	char *credential = NULL;
	int result = 1;

	if (*source->file != '\0')
		return key_read_file(source->file, false, key, err);
	if (credentials != NULL &&
		asprintf(&credential, "%s/%s", credentials, source->credential) < 0)
		return err_exit(err, EX_OSERR, "out of memory");
	if (credential != NULL && access(credential, F_OK) == 0) {
		if (variable)
			result = err_exit(err, EX_CONFIG,
				"both %s and the credential %s are set: use only one of them",
				source->variable, credential);
		else
			result = key_read_file(credential, true, key, err);
	} else if (variable) {
		result = parse(source->variable, source->text, strlen(source->text), key, err);
	}
	free(credential);
	forget(settings, source);
	return result;
}

int key_read(struct settings *settings, const char *credentials, unsigned char key[SEAL_KEY_BYTES],
	struct err *err)
{
	const struct source source = {SETTING_ID_encryption_key, settings->encryption_key,
		"ENCRYPTION_KEY", settings->encryption_key_file, "encryption_key"};
	int result = read_source(settings, &source, credentials, key, err);

	if (result != 1)
		return result;
	if (credentials != NULL)
		return err_exit(err, EX_CONFIG,
			"there is no encryption key: the credentials folder %.80s holds no "
			"encryption_key: check LoadCredential= of the unit and the file it names "
			"(/etc/pierre-dbd/encryption.key; `pierre-dbd --generate-key` prints a new "
			"key)",
			credentials);
	return err_exit(err, EX_CONFIG,
		"there is no encryption key: set ENCRYPTION_KEY or --encryption-key-file; "
		"`pierre-dbd --generate-key` prints a new one");
}

int key_read_previous(struct settings *settings, const char *credentials,
	unsigned char key[SEAL_KEY_BYTES], struct err *err)
{
	const struct source source = {SETTING_ID_previous_encryption_key,
		settings->previous_encryption_key, "PREVIOUS_ENCRYPTION_KEY",
		settings->previous_encryption_key_file, "previous_encryption_key"};

	return read_source(settings, &source, credentials, key, err);
}

int key_load(
	struct settings *settings, const char *credentials, struct seal **seal, struct err *err)
{
	bool must_lock = settings->lock_key_memory != 0;
	unsigned char key[SEAL_KEY_BYTES];
	struct seal *previous;
	int found;

	if (key_read(settings, credentials, key, err) < 0 ||
		seal_new(seal, key, must_lock, err) < 0)
		return -1;
	found = key_read_previous(settings, credentials, key, err);
	if (found != 0)
		return found < 0 ? -1 : 0;
	return seal_new(&previous, key, must_lock, err) < 0
		? -1
		: seal_add_previous(*seal, previous, err);
}
