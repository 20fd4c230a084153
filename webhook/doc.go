// Package webhook receives the events that Drift sends. Its [http.Handler] checks the verification token, decodes
// each delivery to a typed event, recognizes duplicates where it can, and answers so that the sender can retry after
// a failure.
//
//	handler, err := webhook.NewHandler(
//		[]string{os.Getenv("DRIFT_VERIFICATION_TOKEN")},
//		webhook.WithOnError(logFailure),
//	)
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
// A delivery carries a fixed verification token and no signature. The right token proves that the sender knows it,
// and nothing else: the delivery may have been changed or sent before, and anyone who has seen one delivery can send
// another. Serve it over TLS only, and treat an event as a hint: before a sensitive action, read the object through a
// [drift.Client] and act on the answer.
//
// # Answers
//
//   - 200: handled, handled before, queued, or of a type that no function takes.
//   - 400, 408: the body is broken, or did not come in time.
//   - 401: the token is missing or wrong; both get the same body.
//   - 405, 413, 415: not a POST, too long, not JSON.
//   - 409 with Retry-After: an equal delivery is being handled.
//   - 500: a function failed or panicked, or the data do not fit, no function takes the [UnknownEvent], and there is no
//     [WithOnError].
//   - 503 with Retry-After: the queue is full, too many bodies are being read, the [Dedup] store failed, or the handler
//     is shutting down.
//
// A delivery that carries the right token and is refused, or fails after it was accepted, goes to the function of
// [WithOnError]. Other refusals are counted, and the logger of [WithLogger] warns of them at most once a minute.
//
// Functions run before the answer unless there is a queue ([WithQueue]). Deliveries can come twice and in any order:
// make functions idempotent, and use [Newest] where only the latest state counts.
package webhook
