#include "surroundings.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "path.h"

/* The next space-separated word, its octal escapes decoded in place. */
static char *next_word(char **at)
{
	char *word = *at + strspn(*at, " "), *to = word, *from = word;

	for (; *from != '\0' && *from != ' ' && *from != '\n'; to++) {
		if (*from == '\\' && strspn(from + 1, "01234567") >= 3) {
			*to = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*at = from + (*from != '\0');
	*to = '\0';
	return word;
}

/* The fifth word of a line of mountinfo is the mount point. */
static bool is_mount_point(const char *path)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	char *line = NULL;
	size_t size = 0;
	bool found = false;

	while (file != NULL && !found && getline(&line, &size, file) > 0) {
		char *at = line, *word = line;

		for (int i = 0; i < 5; i++)
			word = next_word(&at);
		found = strcmp(word, path) == 0;
	}
	free(line);
	if (file != NULL)
		(void)fclose(file);
	return found;
}

/* Devices do not tell: an overlay, such as a container's root, may give each file another one. */
static bool is_mounted_alone(const char *path, const char *above)
{
	struct statx file, folder;

	if (statx(AT_FDCWD, path, 0, STATX_MNT_ID, &file) == 0 &&
		statx(AT_FDCWD, above, 0, STATX_MNT_ID, &folder) == 0 &&
		(file.stx_mask & folder.stx_mask & STATX_MNT_ID) != 0)
		return file.stx_mnt_id != folder.stx_mnt_id;
	return is_mount_point(path);
}

static const char *network_name(const char *path)
{
	static const struct {
		unsigned type;
		const char *name;
	} known[] = {
		{0x6969, "NFS"},
		{0x517B, "SMB"},
		{0xFF534D42, "CIFS (SMB)"},
		{0xFE534D42, "SMB"},
		{0x01021997, "9p"},
		{0x65735546, "FUSE or virtiofs"},
		{0x5346414F, "AFS"},
		{0x00C36400, "Ceph"},
		{0x47504653, "GPFS"},
		{0x786F4256, "a VirtualBox share"},
		{0xBACBACBC, "a VMware share"},
		{0x7C7C6673, "a Parallels share"},
		{0x6B414653, "AFS"},
		{0x73757245, "Coda"},
		{0x20030528, "OrangeFS"},
		{0xAAD7AAEA, "PanFS"},
		{0xBEEFDEAD, "StorNext"},
		{0x61636673, "ACFS"},
		{0x0BD00BD0, "Lustre"},
		{0x19830326, "BeeGFS"},
		{0x01161970, "GFS2"},
		{0x7461636F, "OCFS2"},
	};
	struct statfs system;

	if (statfs(path, &system) != 0)
		return NULL;
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (known[i].type == ((unsigned)system.f_type & 0xFFFFFFFF))
			return known[i].name;
	return NULL;
}

bool surroundings_warning(const char *path, char *out, size_t size)
{
	struct stat file;
	char *above = path_folder(path);
	const char *network = above != NULL ? network_name(above) : NULL;

	*out = '\0';
	if (above != NULL && is_mounted_alone(path, above))
		(void)snprintf(out, size,
			"only the file %s is mounted here: its write-ahead log is outside the "
			"mount and may be lost: mount the folder",
			path);
	else if (network != NULL)
		(void)snprintf(out, size,
			"%s is on a network file system (%s), whose locks and syncs SQLite "
			"cannot rely on: use a local disk",
			path, network);
	else if (stat(path, &file) == 0 && file.st_nlink > 1)
		(void)snprintf(out, size,
			"%s has %lu names (hard links): its write-ahead log is found under this "
			"one only: remove the others",
			path, (unsigned long)file.st_nlink);
	free(above);
	return *out != '\0';
}
