#include "key.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

enum { KEY_FILE_MAX = 256 };

static int check_file(int fd, const char *path, bool credential, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return err_exit(err, EX_CONFIG, "the key file %s is not a regular file", path);
	/* systemd guards its credentials by the folder, and where it uses an access list the mode shows that list's mask. */
	if (credential)
		return 0;
	if ((st.st_mode & 077) != 0)
		return err_exit(err, EX_CONFIG, "the key file %s has mode %04o: group and others must have no access (chmod 600)", path,
		                (unsigned)st.st_mode & 07777);
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return err_exit(err, EX_CONFIG, "the key file %s must belong to the daemon's user or to root", path);
	return 0;
}

static int read_file(const char *path, bool credential, unsigned char key[SEAL_KEY_BYTES], struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	char text[KEY_FILE_MAX];
	ssize_t length;
	size_t start = 0, end;
	int result = -1;

	if (fd < 0)
		return err_exit(err, EX_CONFIG, "cannot read the key file %s: %s", path, strerror(errno));
	if (check_file(fd, path, credential, err) < 0)
		goto out;
	length = read(fd, text, sizeof text);
	if (length < 0) {
		(void)err_exit(err, EX_CONFIG, "cannot read the key file %s: %s", path, strerror(errno));
		goto out;
	}
	end = (size_t)length;
	while (start < end && strchr(" \t\r\n", text[start]) != NULL)
		start++;
	while (end > start && strchr(" \t\r\n", text[end - 1]) != NULL)
		end--;
	result = seal_key_parse(text + start, end - start, key, err);
out:
	explicit_bzero(text, sizeof text);
	(void)close(fd);
	return result;
}

static void forget(struct settings *settings)
{
	char *given = settings->given[SETTING_ID_encryption_key];

	explicit_bzero(settings->encryption_key, strlen(settings->encryption_key));
	if (given != NULL)
		explicit_bzero(given, strlen(given));
	free(given);
	settings->given[SETTING_ID_encryption_key] = NULL;
}

int key_read(struct settings *settings, const char *credentials, unsigned char key[SEAL_KEY_BYTES], struct err *err)
{
	bool variable = *settings->encryption_key != '\0';
	char *credential = NULL;
	int result;

	if (*settings->encryption_key_file != '\0')
		return read_file(settings->encryption_key_file, false, key, err);
	if (credentials != NULL && asprintf(&credential, "%s/encryption_key", credentials) < 0)
		return err_exit(err, EX_OSERR, "memory is out");
	if (credential != NULL && access(credential, F_OK) == 0) {
		if (variable)
			result = err_exit(err, EX_CONFIG, "both ENCRYPTION_KEY and the credential %s are set: give one of them", credential);
		else
			result = read_file(credential, true, key, err);
	} else if (variable) {
		result = seal_key_parse(settings->encryption_key, strlen(settings->encryption_key), key, err);
	} else {
		result = err_exit(err, EX_CONFIG, "there is no encryption key: set ENCRYPTION_KEY or --encryption-key-file; "
		                  "`pierre-dbd --generate-key` prints a new one");
	}
	free(credential);
	forget(settings);
	return result;
}
