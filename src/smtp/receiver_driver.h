/*
 * For tests: an owner of the receiver engine that does what a service would, without a network. It feeds, pulls events, answers by a
 * policy that looks at the event alone (so that a dialogue reads the same however its bytes are cut), and writes down everything.
 */
#ifndef SMTP_RECEIVER_DRIVER_H
#define SMTP_RECEIVER_DRIVER_H

#include "smtp/receiver.h"

struct receiver_driver {
	struct smtp_receiver *receiver;
	int64_t now_ms;
	bool closed; /* CLOSE was told */
	bool tls_waits; /* STARTTLS was told */
	bool hold; /* questions stay open; receiver_driver_answer() */
	struct smtp_event open; /* the held question; token 0: none */
	struct buf out; /* all that the engine wrote */
	struct buf events; /* a line for each event; the bytes of a message are one line however they came */
	struct buf body; /* of the present message */
	struct buf message; /* of the last complete one */
	struct buf sender; /* the transaction's, for the policy */
	bool in_message; /* BODY may come: DATA was answered with yes, and no MESSAGE or ABORT came */
	bool in_envelope; /* MAIL was answered with yes */
	struct smtp_reply (*decide)(struct receiver_driver *driver, const struct smtp_event *event);
};

/* Laws are checked on the way, with ASSERT: questions only one at a time, BODY only in a message, nothing after CLOSE. */
void receiver_driver_init(struct receiver_driver *driver, const struct smtp_receiver_options *options);
void receiver_driver_clear(struct receiver_driver *driver);
/* Gives all bytes in pieces of at most `piece` bytes; stops at CLOSE. False if a held question keeps some from being taken. */
bool receiver_driver_feed(struct receiver_driver *driver, struct view in, size_t piece);
/* Answers the held question. */
void receiver_driver_answer(struct receiver_driver *driver);
/* Pulls and handles what waits. */
void receiver_driver_pump(struct receiver_driver *driver);
void receiver_driver_tick(struct receiver_driver *driver, int64_t now_ms);
void receiver_driver_start_tls(struct receiver_driver *driver);

/* The usual policy. By name: nobody@ 550, later@ 451, bye@ 421 (MAIL and RCPT); senders nodata@, latermsg@, nomsg@, byedata@, byemsg@ are refused at DATA or
 * at the message's end; EHLO refused.example 550, bye.example 421; the password "secret" is right, "slow" 454, "bye" 421, others wrong. */
struct smtp_reply receiver_driver_decide(struct receiver_driver *driver, const struct smtp_event *event);

#endif
