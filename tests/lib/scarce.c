/* Memory that runs out on request: preloaded into the daemon, it fails allocations of the whole
 * process, including those of libraries. The file $TEST_SCARCE holds the words shared by both
 * sides. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SMALL = 4000 }; /* bytes: a larger block may be a page that SQLite keeps */

struct words {
	atomic_int_fast64_t left; /* allocations until the first that fails; negative: none fails */
	atomic_int_fast64_t times;  /* how many fail from that one on */
	atomic_int_fast64_t failed; /* how many have failed */
	atomic_int_fast64_t live;   /* small blocks in use */
	atomic_int_fast64_t
		every; /* more than 0: the interval, in allocations, of further failures */
};

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *block);

static struct words none = {.left = -1}, *words = &none;

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("TEST_SCARCE");
	int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *shared;

	if (fd < 0)
		return;
	shared = mmap(NULL, sizeof *words, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (shared == MAP_FAILED)
		return;
	atomic_fetch_add(&((struct words *)shared)->live, atomic_load(&none.live));
	words = shared;
}

static int fails(void)
{
	if (atomic_load_explicit(&words->left, memory_order_relaxed) < 0)
		return 0;
	if (atomic_fetch_sub(&words->left, 1) > 0)
		return 0;
	if (atomic_fetch_sub(&words->times, 1) > 1)
		atomic_store(&words->left, 0); /* the next one, too */
	else if (atomic_load(&words->every) > 0)
		atomic_store(&words->left, atomic_load(&words->every) - 1);
	atomic_fetch_add(&words->failed, 1);
	errno = ENOMEM;
	return 1;
}

static void *counted(void *block)
{
	if (block != NULL && malloc_usable_size(block) < SMALL)
		atomic_fetch_add_explicit(&words->live, 1, memory_order_relaxed);
	return block;
}

void free(void *block)
{
	if (block != NULL && malloc_usable_size(block) < SMALL)
		atomic_fetch_sub_explicit(&words->live, 1, memory_order_relaxed);
	__libc_free(block);
}

void *malloc(size_t size)
{
	return fails() ? NULL : counted(__libc_malloc(size));
}

void *calloc(size_t count, size_t size)
{
	return fails() ? NULL : counted(__libc_calloc(count, size));
}

void *realloc(void *old, size_t size)
{
	int was = old != NULL && malloc_usable_size(old) < SMALL;
	void *block;

	if (fails())
		return NULL;
	block = __libc_realloc(old, size);
	if ((block != NULL || size == 0) && was)
		atomic_fetch_sub_explicit(&words->live, 1, memory_order_relaxed);
	return counted(block);
}

void *memalign(size_t alignment, size_t size)
{
	return fails() ? NULL : counted(__libc_memalign(alignment, size));
}

void *aligned_alloc(size_t alignment, size_t size)
{
	return memalign(alignment, size);
}

int posix_memalign(void **block, size_t alignment, size_t size)
{
	void *found = memalign(alignment, size);

	if (found == NULL)
		return ENOMEM;
	*block = found;
	return 0;
}
