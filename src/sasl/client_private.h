/* What the files of the client's mechanisms share; the contract is client.h. */
#ifndef SASL_CLIENT_PRIVATE_H
#define SASL_CLIENT_PRIVATE_H

#include "sasl/client.h"

/* A mechanism's next response, from the decoded challenge; bare bytes. client->step counts the responses given before. */
typedef enum err sasl_client_response(struct sasl_client *client, struct view challenge, struct buf *out);

/* client_scram.c */
sasl_client_response sasl_client_scram_first, sasl_client_scram_final, sasl_client_scram_end;
/* saslname (RFC 5802 §5.1): "=" and "," are written as =3D and =2C. */
enum err sasl_client_append_name(struct view name, struct buf *out) MUST_CHECK;

/* client_bearer.c */
sasl_client_response sasl_client_xoauth2_first, sasl_client_xoauth2_error;
sasl_client_response sasl_client_oauthbearer_first, sasl_client_oauthbearer_error;

/* Keeps what a server explains. */
void sasl_client_keep_said(struct sasl_client *client, struct view text);

#endif
