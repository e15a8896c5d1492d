/* A login: the account is read on a reader thread, its password is hashed on a worker, the session hears the result. */
#include "base/mem.h"
#include "crypto/password.h"
#include "service/smtp_in_private.h"

#include <string.h>

struct login {
	struct store_job read; /* first */
	struct worker_job hash;
	struct smtp_in *session; /* NULL: cancelled */
	struct server *server;
	struct net_address peer;
	struct buf user, password;
	struct buf address, password_hash;
	bool matches;
};

static void wipe(struct buf *secret)
{
	if (secret->ptr != NULL)
		explicit_bzero(secret->ptr, secret->cap);
	buf_clear(secret);
}

static void login_free(struct login *login)
{
	wipe(&login->password);
	buf_clear(&login->user);
	buf_clear(&login->address);
	wipe(&login->password_hash);
	server_job_ended(login->server);
	mem_free(login);
}

static enum err read_account(struct store_job *job, struct db *db)
{
	struct login *login = (struct login *)(void *)job;
	buf_reset(&login->address);
	buf_reset(&login->password_hash);
	enum err err = directory_account_login(db, buf_view(&login->user), &login->address, &login->password_hash);
	return err == ERR_NOT_FOUND ? ERR_OK : err; /* an unknown name is hashed like a known one */
}

static void check_password(struct worker_job *job)
{
	struct login *login = LIST_ENTRY(job, struct login, hash);
	login->matches = password_matches(buf_view(&login->password), buf_view(&login->password_hash));
}

static void tell(struct login *login, const struct smtp_reply *reply)
{
	struct smtp_in *session = login->session;
	login_free(login);
	if (session == NULL)
		return;
	session->login = NULL;
	smtp_in_answer(session, reply);
}

static void password_checked(struct worker_job *job)
{
	struct login *login = LIST_ENTRY(job, struct login, hash);
	struct smtp_in *session = login->session;
	struct smtp_reply reply;
	if (session == NULL && login->matches) {
		login_free(login);
		return;
	}
	if (login->matches) {
		buf_reset(&session->account);
		enum err err = buf_append(&session->account, buf_view(&login->address));
		ASSERT(err == ERR_OK);
		LOG(LOG_LEVEL_INFO, "login", LOG_TEXT("client", smtp_in_client(session)),
			LOG_TEXT("account", buf_view(&login->address)));
		reply = smtp_reply_make(235, "2.7.0", "Authentication successful");
	} else {
		reply = smtp_reply_make(535, "5.7.8", "The name or the password is wrong");
		LOG(LOG_LEVEL_WARNING, "login-failed", LOG_CSTR("client", net_address_ip(&login->peer).text),
			LOG_TEXT("user", buf_view(&login->user)));
		/* Also for those who hung up meanwhile: leaving early is no way around the throttle. */
		server_login_failed(login->server, &login->peer);
	}
	tell(login, &reply);
}

static void account_read(struct store_job *job)
{
	struct login *login = (struct login *)(void *)job;
	struct smtp_reply reply;
	if (job->err != ERR_OK) {
		LOG(LOG_LEVEL_ERROR, "directory-failed", LOG_CSTR("reason", job->detail));
		reply = smtp_reply_make(454, "4.7.0", "Logins can't be checked now, please try again later");
		tell(login, &reply);
		return;
	}
	if (login->session == NULL) {
		login_free(login);
		return;
	}
	login->hash.work = check_password;
	login->hash.done = password_checked;
	if (worker_pool_run(login->server->password_workers, login->session->receiver->loop, &login->hash) != ERR_OK) {
		reply = smtp_reply_make(454, "4.7.0", "Too many logins at once, please try again in a minute");
		tell(login, &reply);
	}
}

void smtp_in_on_auth(struct smtp_in *session, const struct smtp_event *event)
{
	struct smtp_reply reply;
	if (!server_login_allowed(session->server, &session->peer)) {
		reply = smtp_reply_make(
			454, "4.7.0", "Too many failed logins from your address, please try again later");
		smtp_in_answer(session, &reply);
		return;
	}
	/* Acting for another account (authzid) is not offered. */
	if (event->auth_identity.len > 0 && !view_eq_nocase(event->auth_identity, event->auth_user)) {
		reply = smtp_reply_make(535, "5.7.8", "This login may not act for another account");
		smtp_in_answer(session, &reply);
		return;
	}
	struct login *login = mem_alloc(sizeof *login);
	login->session = session;
	login->server = session->server;
	login->peer = session->peer;
	enum err err = buf_append(&login->user, event->auth_user);
	if (err == ERR_OK)
		err = buf_append(&login->password, event->auth_password);
	ASSERT(err == ERR_OK); /* the engine bounds both */
	login->read.run = read_account;
	login->read.done = account_read;
	server_job_started(login->server);
	session->login = login;
	store_read(session->server->store, session->receiver->loop, &login->read);
}

void smtp_in_login_cancel(struct smtp_in *session)
{
	if (session->login != NULL)
		session->login->session = NULL;
	session->login = NULL;
}
