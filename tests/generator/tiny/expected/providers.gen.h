/* Made by protocol/generate.py from the catalog and the SQL files. Do not edit. */
/* X(name, title): the services whose tokens are stored, as catalog_providers has them. */
#ifndef PIERRE_PROVIDERS_GEN_H
#define PIERRE_PROVIDERS_GEN_H

#define TOKEN_PROVIDERS(X) X("acme", "Acme")

#endif
