package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/driftsdk/drift/examples/archive/store"
)

// verifyArchive is the command verify. Without a token it checks only what it can check without the service.
func verifyArchive(ctx context.Context, c *invocation) error {
	progress := newProgress(c.stderr)
	defer progress.close()
	l := c.limits(progress)
	deep := c.flags.Int("deep", 300, "read `n` conversations again and compare every message")
	if err := c.parse(); err != nil {
		return err
	}
	if *deep < 0 {
		return fmt.Errorf("-deep %d: must not be negative", *deep)
	}
	reader, err := store.OpenReader(ctx, c.dir) // a folder without an archive stays empty
	if err != nil {
		return err
	}
	if err := reader.Close(); err != nil {
		return err
	}
	if os.Getenv("DRIFT_TOKEN") == "" {
		return verifyOffline(ctx, c)
	}
	a, err := l.open(ctx, c.dir)
	if err != nil {
		return err
	}
	err = a.run(ctx, "verify", func() error {
		checks, err := a.store.Check(ctx)
		if err != nil {
			return err
		}
		online, err := a.fetcher.Verify(ctx, *deep)
		progress.close()
		return errors.Join(err, conclude(ctx, c, a.store, append(checks, online...)))
	})
	return errors.Join(err, a.Close())
}

func verifyOffline(ctx context.Context, c *invocation) error {
	held, err := lock(c.dir)
	if err != nil {
		return err
	}
	s, err := store.Open(ctx, c.dir)
	if err != nil {
		return errors.Join(err, held.Close())
	}
	checks, err := s.Check(ctx)
	if err == nil {
		err = conclude(ctx, c, s, append(checks, store.Check{Name: "service", OK: true,
			Result: "DRIFT_TOKEN is not set, so the archive was not compared with the service."}))
	}
	return errors.Join(err, s.Close(), held.Close())
}

// conclude stores and prints the result, and writes the manifest.
func conclude(ctx context.Context, c *invocation, s *store.Store, checks []store.Check) error {
	v := store.Verification{At: time.Now().UTC(), Checks: checks}
	if err := s.Write(ctx, func(tx *store.Tx) error { return tx.PutVerification(v) }); err != nil {
		return err
	}
	if err := writeManifest(ctx, s, v); err != nil {
		return err
	}
	if err := c.print(v, func(w io.Writer) { printVerification(w, &v) }); err != nil {
		return err
	}
	if !v.OK() {
		return errListed
	}
	return nil
}

func printVerification(w io.Writer, v *store.Verification) {
	fmt.Fprintf(w, "verified %s\n", v.At.Format(time.RFC3339))
	for _, check := range v.Checks {
		mark := "ok"
		if !check.OK {
			mark = "NOT OK"
		}
		fmt.Fprintf(w, "  %s: %s: %s\n", check.Name, mark, check.Result)
	}
}

// manifest says what an archive held when it was verified.
type manifest struct {
	Status       *store.Status      `json:"status"`
	Verification store.Verification `json:"verification"`
	Files        []manifestFile     `json:"files"`
}

type manifestFile struct {
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
}

// writeManifest writes manifest.json. A rename replaces the old one, so that there is always a whole one.
func writeManifest(ctx context.Context, s *store.Store, v store.Verification) error {
	m := manifest{Verification: v, Files: []manifestFile{}}
	var err error
	if m.Status, err = s.Status(ctx); err != nil {
		return err
	}
	stored, err := s.StoredFiles(ctx)
	if err != nil {
		return err
	}
	for _, a := range stored {
		m.Files = append(m.Files, manifestFile{a.SHA256, a.Size})
	}
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(s.Dir(), store.ManifestName)
	if err := os.WriteFile(path+".tmp", append(data, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}
