package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/driftsdk/drift"
	"github.com/driftsdk/drift/examples/archive/fetch"
)

// planReport is the result of plan.
type planReport struct {
	*fetch.Estimate
	PerMinute int                `json:"calls_a_minute"`
	Hours     float64            `json:"hours"`
	Months    map[string]float64 `json:"months"` // by plan
}

// plan is the command plan.
func plan(ctx context.Context, c *invocation) error {
	l := c.limits()
	if err := c.parse(); err != nil {
		return err
	}
	progress := newProgress(c.stderr)
	defer progress.close()
	l.Progress = progress.show
	a, err := l.open(ctx, c.dir)
	if err != nil {
		return err
	}
	var estimate *fetch.Estimate
	err = a.run(ctx, "plan", func() (err error) {
		estimate, err = a.fetcher.Plan(ctx)
		return err
	})
	progress.close()
	if estimate != nil && err == nil {
		report := newPlanReport(estimate, l)
		err = c.print(report, func(w io.Writer) { printPlan(w, report, c.dir) })
		if err == nil && len(estimate.Lacking)+len(estimate.Missing) > 0 {
			err = errListed
		}
	}
	return errors.Join(stopped(err, nil), a.Close())
}

func newPlanReport(e *fetch.Estimate, l *limits) *planReport {
	r := &planReport{Estimate: e, PerMinute: bulkRate(l.rate), Months: map[string]float64{}}
	r.Hours = float64(e.Total) / float64(r.PerMinute) / 60
	plans := map[string]drift.Plan{
		"starter": drift.PlanStarter, "professional": drift.PlanProfessional, "enterprise": drift.PlanEnterprise,
	}
	if l.plan != "" {
		chosen, _ := parsePlan(l.plan) // it was parsed before
		plans = map[string]drift.Plan{l.plan: chosen}
	}
	for name, calls := range plans {
		r.Months[name] = float64(e.Total) / float64(max(int(calls)-l.keepFree, 1))
	}
	return r
}

// bulkRate is how many calls of a minute a command makes: the rest is for other programs.
func bulkRate(perMinute int) int { return max(perMinute-min(perMinute/10, 10), 1) }

func printPlan(w io.Writer, r *planReport, dir string) {
	fmt.Fprintf(w, "%s conversations, %s of them not archived yet. A sample of %s was read and is kept in %s.\n",
		thousands(r.Conversations), thousands(r.Due), thousands(r.Sampled), dir)
	fmt.Fprintf(w, "archive sync takes about %s calls:\n", thousands(r.Total))
	for _, kind := range sortedKeys(r.Calls) {
		fmt.Fprintf(w, "  %s: %s\n", kind, thousands(r.Calls[kind]))
	}
	fmt.Fprintf(w, "At %d calls a minute: %.1f hours.\n", r.PerMinute, r.Hours)
	for _, name := range []string{"starter", "professional", "enterprise"} {
		if months, ok := r.Months[name]; ok {
			fmt.Fprintf(w, "With the plan %s: %.2f months' calls.\n", name, months)
			delete(r.Months, name)
		}
	}
	for name, months := range r.Months {
		fmt.Fprintf(w, "With %s calls a month: %.2f months' calls.\n", name, months)
	}
	for _, scope := range r.Lacking {
		fmt.Fprintf(w, "The token lacks the scope %s.\n", scope)
	}
	for _, missing := range r.Missing {
		fmt.Fprintln(w, missing)
	}
}
