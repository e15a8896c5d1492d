/*
 * libcurl's multi interface, driven by the loop: curl says which sockets and which time it waits for, and is told when they come.
 * Owners are called from here only after curl returned, since curl must not be called from inside its own callbacks.
 */
#include "net/https.h"

#include "base/mem.h"
#include "net/address.h"
#include "net/loop_private.h"

#include <curl/curl.h>
#include <pthread.h>
#include <string.h>

#define REDIRECTS_MAX 3L

struct https {
	struct loop *loop;
	CURLM *multi;
	struct loop_timer timer;
	struct list requests;
	struct list sockets;
	bool busy; /* an owner is being called */
	bool dead; /* he freed it; only the memory is left */
};

struct https_request {
	struct list link;
	struct https *https;
	CURL *easy;
	struct curl_slist *headers, *resolve;
	void (*answered)(void *owner, const struct https_answer *answer);
	void *owner;
	struct buf request_body, body;
	struct loop_defer refusal; /* it never began; `failure` says why */
	char failure[CURL_ERROR_SIZE];
	enum err err;
	bool too_long;
};

/* A socket that curl watches. */
struct watched {
	struct list link;
	struct https *https;
	struct event *event;
};

static void free_request(struct https_request *request)
{
	loop_defer_cancel(&request->refusal);
	list_remove(&request->link);
	if (request->easy != NULL) {
		if (!request->https->dead)
			curl_multi_remove_handle(request->https->multi, request->easy);
		curl_easy_cleanup(request->easy);
	}
	curl_slist_free_all(request->headers);
	curl_slist_free_all(request->resolve);
	buf_clear(&request->request_body);
	buf_clear(&request->body);
	mem_free(request);
}

void https_cancel(struct https_request *request)
{
	/* Inside its own answered() it is off the list, and on the way out already. */
	if (request != NULL && !list_is_empty(&request->link))
		free_request(request);
}

/* The owner's turn. He may cancel other requests, start new ones, or free all of it. */
static void deliver(struct https_request *request, struct https_answer *answer)
{
	struct https *https = request->https;
	bool was_busy = https->busy;
	list_remove(&request->link);
	https->busy = true;
	request->answered(request->owner, answer);
	https->busy = was_busy;
	free_request(request);
	if (https->dead && !was_busy)
		mem_free(https);
}

/* What curl's result is to us. */
static enum err err_of(const struct https_request *request, CURLcode code)
{
	if (request->too_long)
		return ERR_LIMIT;
	switch (code) {
	case CURLE_OK:
		return ERR_OK;
	case CURLE_OPERATION_TIMEDOUT:
		return ERR_TIMEOUT;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_INVALIDCERTSTATUS:
		return ERR_TLS;
	case CURLE_FILESIZE_EXCEEDED:
		return ERR_LIMIT;
	case CURLE_TOO_MANY_REDIRECTS:
		return ERR_REFUSED;
	case CURLE_COULDNT_RESOLVE_HOST:
		return ERR_NOT_FOUND;
	case CURLE_GOT_NOTHING:
		return ERR_CLOSED;
	default:
		return ERR_IO;
	}
}

static void finish(struct https_request *request, CURLcode code)
{
	const char *type = NULL;
	struct https_answer answer = { .err = err_of(request, code) };
	if (answer.err == ERR_OK) {
		curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &answer.status);
		curl_easy_getinfo(request->easy, CURLINFO_CONTENT_TYPE, &type);
		answer.content_type = view_from_cstr(type);
		answer.body = buf_view(&request->body);
	} else {
		answer.detail = request->too_long     ? "the answer is too long"
			: request->failure[0] != '\0' ? request->failure
						      : curl_easy_strerror(code);
	}
	curl_multi_remove_handle(request->https->multi, request->easy);
	deliver(request, &answer);
}

/* False: `https` is gone. */
static bool finish_all(struct https *https)
{
	int left;
	CURLMsg *message;
	https->busy = true;
	while (!https->dead && (message = curl_multi_info_read(https->multi, &left)) != NULL) {
		void *request = NULL;
		CURLcode code = message->data.result;
		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &request);
		finish(request, code);
	}
	https->busy = false;
	if (!https->dead)
		return true;
	mem_free(https);
	return false;
}

/* What curl waits for */

static void on_socket_event(evutil_socket_t fd, short what, void *arg)
{
	struct https *https = ((struct watched *)arg)->https;
	int running;
	int mask = ((what & EV_READ) != 0 ? CURL_CSELECT_IN : 0) | ((what & EV_WRITE) != 0 ? CURL_CSELECT_OUT : 0);
	loop_awake(https->loop);
	(void)curl_multi_socket_action(https->multi, fd, mask, &running);
	(void)finish_all(https);
}

static void on_timer(void *owner)
{
	struct https *https = owner;
	int running;
	(void)curl_multi_socket_action(https->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	(void)finish_all(https);
}

static void unwatch(struct watched *watched)
{
	list_remove(&watched->link);
	if (watched->event != NULL)
		event_free(watched->event);
	mem_free(watched);
}

static int watch(CURL *easy, curl_socket_t fd, int what, void *owner, void *socket_owner)
{
	(void)easy;
	struct https *https = owner;
	struct watched *watched = socket_owner;
	if (what == CURL_POLL_REMOVE) {
		if (watched != NULL)
			unwatch(watched);
		curl_multi_assign(https->multi, fd, NULL);
		return 0;
	}
	if (watched == NULL) {
		watched = mem_alloc(sizeof *watched);
		watched->https = https;
		list_append(&https->sockets, &watched->link);
		curl_multi_assign(https->multi, fd, watched);
	}
	if (watched->event != NULL)
		event_free(watched->event);
	short events = (short)(EV_PERSIST | ((what & CURL_POLL_IN) != 0 ? EV_READ : 0) |
		((what & CURL_POLL_OUT) != 0 ? EV_WRITE : 0));
	watched->event = event_new(https->loop->base, fd, events, on_socket_event, watched);
	ASSERT(watched->event != NULL && event_add(watched->event, NULL) == 0);
	return 0;
}

static int set_timer(CURLM *multi, long wait_ms, void *owner)
{
	(void)multi;
	struct https *https = owner;
	loop_timer_set(&https->timer, wait_ms < 0 ? INT64_MAX : loop_now_ms(https->loop) + wait_ms);
	return 0;
}

/* Life and death */

static void init_curl(void)
{
	ASSERT(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
}

struct https *https_new(struct loop *loop)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, init_curl);
	CURLM *multi = curl_multi_init();
	if (multi == NULL) {
		err_set(ERR_IO, "libcurl refuses to start");
		return NULL;
	}
	struct https *https = mem_alloc(sizeof *https);
	https->loop = loop;
	https->multi = multi;
	list_init(&https->requests);
	list_init(&https->sockets);
	loop_timer_init(&https->timer, loop, on_timer, https);
	curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, watch);
	curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, https);
	curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, set_timer);
	curl_multi_setopt(multi, CURLMOPT_TIMERDATA, https);
	return https;
}

void https_free(struct https *https)
{
	if (https == NULL || https->dead)
		return;
	while (!list_is_empty(&https->requests))
		free_request(LIST_ENTRY(https->requests.next, struct https_request, link));
	curl_multi_cleanup(https->multi);
	while (!list_is_empty(&https->sockets))
		unwatch(LIST_ENTRY(https->sockets.next, struct watched, link));
	loop_timer_clear(&https->timer);
	https->dead = true;
	if (!https->busy)
		mem_free(https);
}

/* Requests */

static size_t take_body(char *bytes, size_t size, size_t count, void *owner)
{
	struct https_request *request = owner;
	size_t len = size * count;
	if (buf_append(&request->body, view_of(bytes, len)) == ERR_OK)
		return len;
	request->too_long = true;
	return 0;
}

/* "https", or "http" to this machine; NULL for everything else. */
static const char *allowed_scheme(const char *text)
{
	const char *result = NULL;
	char *scheme = NULL, *host = NULL;
	CURLU *url = curl_url();
	if (url != NULL && curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK &&
		curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
		curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK) {
		struct view ip = view_from_cstr(host);
		struct net_address address;
		if (ip.len > 2 && ip.ptr[0] == '[')
			ip = view_sub(ip, 1, ip.len - 2);
		if (strcmp(scheme, "https") == 0)
			result = "https";
		else if (strcmp(scheme, "http") == 0 && net_address_parse(ip, 0, &address) == ERR_OK &&
			net_address_is_loopback(&address))
			result = "http";
	}
	curl_free(scheme);
	curl_free(host);
	curl_url_cleanup(url);
	return result;
}

static void add_header(struct https_request *request, const char *name, const char *value)
{
	struct buf line = { 0 };
	/* A line end inside would be another header. */
	bool is_clean = view_find(view_from_cstr(value), '\r') == strlen(value) &&
		view_find(view_from_cstr(value), '\n') == strlen(value);
	if (is_clean && buf_append_format(&line, "%s: %s", name, value) == ERR_OK)
		request->headers = curl_slist_append(request->headers, buf_cstr(&line));
	buf_clear(&line);
}

static void set_where(struct https_request *request, const struct https_options *options, const char *scheme)
{
	CURL *easy = request->easy;
	curl_easy_setopt(easy, CURLOPT_URL, options->url);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, scheme);
	curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "https");
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, options->follows_redirects ? 1L : 0L);
	curl_easy_setopt(easy, CURLOPT_MAXREDIRS, REDIRECTS_MAX);
	/* Whoever says where to connect means that, and no proxy of the environment. */
	if (options->resolve != NULL || strcmp(scheme, "http") == 0)
		curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
	if (options->resolve != NULL) {
		/* "+": curl forgets it like any other name. */
		struct buf text = { 0 };
		if (buf_append_format(&text, "+%s", options->resolve) == ERR_OK)
			request->resolve = curl_slist_append(NULL, buf_cstr(&text));
		buf_clear(&text);
		curl_easy_setopt(easy, CURLOPT_RESOLVE, request->resolve);
	}
	if (options->ca_file != NULL) {
		curl_easy_setopt(easy, CURLOPT_CAINFO, options->ca_file);
		curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	}
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	/* Nothing of one request is left for another: neither a connection nor what its peer was found to be. */
	curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
}

static void set_what(struct https_request *request, const struct https_options *options)
{
	CURL *easy = request->easy;
	curl_easy_setopt(easy, CURLOPT_PRIVATE, request);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, request->failure);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "postrider/" POSTRIDER_VERSION);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)options->timeout_ms);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, request);
	if (options->authorization != NULL)
		add_header(request, "Authorization", options->authorization);
	if (options->body.ptr != NULL) {
		add_header(request, "Content-Type",
			options->content_type != NULL ? options->content_type : "application/octet-stream");
		/* Else curl waits a second for a "100 Continue" that many servers never send. */
		add_header(request, "Expect", "");
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->request_body.len);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, buf_cstr(&request->request_body));
	}
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, request->headers);
}

static void refuse(struct loop_defer *defer)
{
	struct https_request *request = LIST_ENTRY(defer, struct https_request, refusal);
	deliver(request, &(struct https_answer){ .err = request->err, .detail = request->failure });
}

static void refuse_soon(struct https_request *request, enum err err, const char *why)
{
	request->err = err;
	snprintf(request->failure, sizeof request->failure, "%s", why);
	loop_defer(request->https->loop, &request->refusal);
}

struct https_request *https_start(struct https *https, const struct https_options *options,
	void (*answered)(void *owner, const struct https_answer *answer), void *owner)
{
	struct https_request *request = mem_alloc(sizeof *request);
	request->https = https;
	request->answered = answered;
	request->owner = owner;
	request->refusal.run = refuse;
	list_append(&https->requests, &request->link);
	buf_init(&request->body, options->body_max_bytes > 0 ? options->body_max_bytes : 1);
	const char *scheme = allowed_scheme(options->url);
	if (scheme == NULL) {
		refuse_soon(request, ERR_SYNTAX, "the URL is not one that begins with https://");
		return request;
	}
	if (buf_append(&request->request_body, options->body) != ERR_OK) {
		refuse_soon(request, ERR_LIMIT, "the body is too long");
		return request;
	}
	request->easy = curl_easy_init();
	ASSERT(request->easy != NULL);
	set_where(request, options, scheme);
	set_what(request, options);
	if (curl_multi_add_handle(https->multi, request->easy) != CURLM_OK) {
		curl_easy_cleanup(request->easy);
		request->easy = NULL;
		refuse_soon(request, ERR_IO, "libcurl does not take the request");
	}
	return request;
}
