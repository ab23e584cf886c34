/* systemd's readiness and watchdog protocol, written straight to $NOTIFY_SOCKET. Without that
 * variable every function does nothing. Thread: the loop thread (and before the loop runs).
 *
 * The protocol is one datagram of text, stable and documented (sd_notify(3)). libsystemd would
 * bring a library with dependencies of its own into a process that holds the key, for that. */
#ifndef PIERRE_NOTIFY_H
#define PIERRE_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

void notify_init(void); /* reads and forgets NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID */
void notify_close(void);
void notify_send(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* RELOADING=1 with the time it began, as the protocol asks. */
void notify_reloading(void);
/* How long systemd waits for a WATCHDOG=1, in ms; 0 = no watchdog. */
uint64_t notify_watchdog_ms(void);
/* Started as a service of systemd itself, not just somewhere below one. */
bool notify_is_service(void);

#endif
