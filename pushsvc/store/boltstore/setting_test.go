package boltstore

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	bolt "github.com/caddy-webpush/caddy-webpush/pushsvc/store/boltstore/checkedbolt"
)

// TestSettingsSurvive: after compaction, backup, a check and a restart, the rows
// have their revisions, and no revision is used again.
func TestSettingsSurvive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "webpush.db")
	s := open(t, path)
	put := func(s *Store, site, document string) pushsvc.Setting {
		t.Helper()
		row, err := s.PutSetting(t.Context(), pushsvc.Setting{Site: site, Name: "prompt", Document: []byte(document)}, pushsvc.AnyRevision)
		if err != nil {
			t.Fatal(err)
		}
		return row
	}
	has := func(s *Store, want pushsvc.Setting) {
		t.Helper()
		got, err := s.Setting(t.Context(), want.Site, want.Name)
		if err != nil || got.Revision != want.Revision || string(got.Document) != string(want.Document) {
			t.Errorf("%+v, %v; want %+v", got, err, want)
		}
	}
	put(s, "a.example", "1")
	a, gone := put(s, "a.example", "2"), put(s, "b.example", "3")
	if err := s.DeleteSetting(t.Context(), "b.example", "prompt", gone.Revision); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	has(s, a)
	copied := filepath.Join(t.TempDir(), "backup.db")
	f, err := os.Create(copied)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Backup(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{path, copied} {
		c, err := CheckFile(t.Context(), file)
		if err != nil || c.Settings != 1 || c.Damaged != 0 || c.Sites != 0 {
			t.Errorf("%+v, %v", c, err)
		}
		s := open(t, file)
		has(s, a)
		if again := put(s, "b.example", "4"); again.Revision <= gone.Revision {
			t.Errorf("revision %d after %d", again.Revision, gone.Revision)
		}
	}
}

// TestSettingDamaged: a damaged row is an error in Setting, is skipped in the
// list, and can be overwritten and deleted.
func TestSettingDamaged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "webpush.db")
	s := open(t, path)
	for _, site := range []string{"a.example", "b.example", "c.example"} {
		if _, err := s.PutSetting(t.Context(), pushsvc.Setting{Site: site, Name: "prompt", Document: []byte(site)}, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	edit(t, path, func(tx *bolt.Tx) error {
		all := tx.Bucket([]byte(bucketSettings))
		other := append([]byte(nil), all.Bucket([]byte("b.example")).Get([]byte("prompt"))...)
		return errors.Join(
			all.Bucket([]byte("a.example")).Put([]byte("prompt"), other), // valid, but another site's
			all.Bucket([]byte("c.example")).Put([]byte("prompt"), []byte{1, 2}))
	})
	if c, err := CheckFile(t.Context(), path); err != nil || c.Settings != 1 || c.Damaged != 2 {
		t.Errorf("%+v, %v", c, err)
	}
	var reported int
	s, err := Open(t.Context(), path, Options{OnDamage: func(error) { reported++ }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	rows, err := s.Settings(t.Context(), "prompt")
	if err != nil || len(rows) != 1 || rows[0].Site != "b.example" || reported != 2 {
		t.Errorf("%+v, %v, %d reported", rows, err, reported)
	}
	var damage *DamageError
	if _, err := s.Setting(t.Context(), "a.example", "prompt"); !errors.As(err, &damage) {
		t.Errorf("reading: %v", err)
	}
	if _, err := s.PutSetting(t.Context(), pushsvc.Setting{Site: "a.example", Name: "prompt"}, 1); !errors.As(err, &damage) {
		t.Errorf("writing over a revision that can't be read: %v", err)
	}
	if _, err := s.PutSetting(t.Context(), pushsvc.Setting{Site: "a.example", Name: "prompt"}, pushsvc.AnyRevision); err != nil {
		t.Errorf("writing over it: %v", err)
	}
	if err := s.DeleteSetting(t.Context(), "c.example", "prompt", pushsvc.AnyRevision); err != nil {
		t.Errorf("deleting it: %v", err)
	}
}
