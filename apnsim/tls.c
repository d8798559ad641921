/*
 * tls.c
 *		The TLS context of all connections.
 *
 * It owns what is offered in a handshake: TLS 1.2 or later, one protocol by
 * ALPN, and whose client certificates are taken.  It never falls back to another
 * protocol.
 */
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "complain.h"
#include "options.h"
#include "server.h"
#include "tls.h"

enum
{
	PATH_SIZE = 4096,
	READ_AHEAD = 65536			/* one system call for many small records */
};

/*
 * Picks what the simulator plays at the moment.  A client that does not
 * offer it is sent away with an alert, as Apple does.
 */
static int
select_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_length,
				const unsigned char *offered, unsigned int length, void *data)
{
	const struct server *server = data;
	const char *wanted = server->play.http1 ? "http/1.1" : "h2";
	unsigned int i;

	(void) ssl;
	for (i = 0; i < length; i += 1u + offered[i])
	{
		if (offered[i] == strlen(wanted) && i + 1 + offered[i] <= length &&
			memcmp(offered + i + 1, wanted, offered[i]) == 0)
		{
			*out = offered + i + 1;
			*out_length = offered[i];
			return SSL_TLSEXT_ERR_OK;
		}
	}
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static bool
load_certificate(SSL_CTX *tls, const char *dir)
{
	char		certificate[PATH_SIZE];
	char		key[PATH_SIZE];

	snprintf(certificate, sizeof(certificate), "%s/server.pem", dir);
	snprintf(key, sizeof(key), "%s/server.key", dir);
	return SSL_CTX_use_certificate_chain_file(tls, certificate) == 1 &&
		SSL_CTX_use_PrivateKey_file(tls, key, SSL_FILETYPE_PEM) == 1 &&
		SSL_CTX_check_private_key(tls) == 1;
}

/* A client may show a certificate, and if it does it must be a good one. */
static bool
ask_for_certificate(SSL_CTX *tls, const char *file)
{
	if (SSL_CTX_load_verify_file(tls, file) != 1)
		return false;
	SSL_CTX_set_client_CA_list(tls, SSL_load_client_CA_file(file));
	SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
	/* Needed to resume sessions of clients with certificates. */
	SSL_CTX_set_session_id_context(tls, (const unsigned char *) "apnsim", 6);
	return true;
}

bool
tls_set_up(struct server *server)
{
	SSL_CTX    *tls = SSL_CTX_new(TLS_server_method());
	const char *client_ca = server->options->client_ca;

	if (tls == NULL ||
		SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION) != 1 ||
		!load_certificate(tls, server->options->dir) ||
		(client_ca != NULL && !ask_for_certificate(tls, client_ca)))
	{
		complain("could not set up TLS; OpenSSL says:");
		ERR_print_errors_fp(stderr);
		SSL_CTX_free(tls);
		return false;
	}
	SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE |
					 SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
					 SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_options(tls, SSL_OP_NO_RENEGOTIATION |
						SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_read_ahead(tls, 1);
	SSL_CTX_set_default_read_buffer_len(tls, READ_AHEAD);
	SSL_CTX_set_alpn_select_cb(tls, select_protocol, server);
	server->tls = tls;
	return true;
}
