/* PostgreSQL as one end of a transfer. */
#ifndef PIERRE_TRANSFER_POSTGRES_END_H
#define PIERRE_TRANSFER_POSTGRES_END_H

#include "end.h"

end_open postgres_end_open;

#endif
