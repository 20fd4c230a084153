// Package webhook receives the events that Drift sends: an [http.Handler] that checks the verification token, decodes each
// delivery to a typed event, keeps duplicates away where they can be told from new events, and answers in a way that lets the
// sender try again after a failure.
//
//	handler, err := webhook.NewHandler([]string{os.Getenv("DRIFT_VERIFICATION_TOKEN")}, webhook.WithOnError(logFailure))
//	if err != nil {
//		return err
//	}
//	webhook.On(handler, func(ctx context.Context, e *webhook.NewMessage) error {
//		return store(ctx, e.Data.ConversationID, e.Data.Body)
//	})
//	http.Handle("POST /webhooks/drift", handler)
//
// The package needs no client.
//
// # What the token proves
//
// A delivery carries a fixed verification token, and no signature. The right token proves that the sender knows it, and
// nothing else: not that the delivery is unchanged, nor that it is new. Anybody who has seen one delivery can send another.
// So serve it through TLS only, and take an event for a hint: before a sensitive action read the object through the client
// ([drift.Client]) and act on what that says.
//
// # Answers
//
//   - 200: handled, handled before, put into the queue, or of a type for which there is no handler.
//   - 400, 408: the body is broken, or did not come in time.
//   - 401: the token is missing or wrong, with the same body for both.
//   - 405, 413, 415: not a POST, too long, not JSON.
//   - 409 with Retry-After: the same delivery is being handled at this moment.
//   - 500: the handler failed or panicked, or the data do not fit, nothing handles the [UnknownEvent], and there is no [WithOnError].
//   - 503 with Retry-After: the queue is full, the [Dedup] store failed, or the handler is shutting down.
//
// Handlers run before the answer, unless there is [WithQueue]. Deliveries can come twice and in any order: handlers should be
// idempotent, and [Newest] helps against going back in time.
package webhook
