/* SQLite as one end of a transfer. */
#ifndef PIERRE_TRANSFER_SQLITE_END_H
#define PIERRE_TRANSFER_SQLITE_END_H

#include "end.h"

end_open sqlite_end_open;

#endif
