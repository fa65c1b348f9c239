package boltstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	bolt "github.com/caddy-webpush/caddy-webpush/pushsvc/store/boltstore/checkedbolt"
)

// bucketSettings is at the top of the file, not in the sites' own buckets: a
// setting makes no site. It has a bucket per site, whose sequence is the last
// revision, and which therefore stays when it is empty. Files from before have
// none; programs from before leave it alone.
const bucketSettings = "settings" // site name → bucket of setting name → row

// settingHeader is the length of the header before the document: revision (8),
// time in milliseconds (8).
const settingHeader = 16

// settings returns the bucket of a site's settings; nil if the site has no settings.
func settings(tx *bolt.Tx, site string) *bolt.Bucket {
	st, _ := openIn(tx, bucketSettings, site)
	return st.b
}

// Setting implements pushsvc.SettingStore.
func (s *Store) Setting(ctx context.Context, site, name string) (pushsvc.Setting, error) {
	row, err := read(ctx, s, func(tx *bolt.Tx) (pushsvc.Setting, error) { return readSetting(tx, site, name) })
	if err != nil {
		return pushsvc.Setting{}, fmt.Errorf("reading setting %q of %s: %w", name, site, err)
	}
	return row, nil
}

// Settings implements pushsvc.SettingStore. It reports a damaged one to
// Options.OnDamage.
func (s *Store) Settings(ctx context.Context, name string) ([]pushsvc.Setting, error) {
	rows, err := read(ctx, s, func(tx *bolt.Tx) (rows []pushsvc.Setting, err error) {
		eachIn(tx, bucketSettings, func(site string) {
			row, err := readSetting(tx, site, name)
			switch {
			case err == nil:
				rows = append(rows, row)
			case !errors.Is(err, pushsvc.ErrNotFound):
				s.report(err)
			}
		})
		return rows, ctx.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("reading all settings %q: %w", name, err)
	}
	return rows, nil
}

// PutSetting implements pushsvc.SettingStore. A damaged row is overwritten if any
// revision is expected.
func (s *Store) PutSetting(ctx context.Context, row pushsvc.Setting, expect pushsvc.Revision) (pushsvc.Setting, error) {
	stored, err := write(ctx, s, func(w *writeTx) (pushsvc.Setting, error) { return w.putSetting(row, expect) })
	if err != nil {
		return pushsvc.Setting{}, fmt.Errorf("storing setting %q of %s: %w", row.Name, row.Site, err)
	}
	return stored, nil
}

func (w *writeTx) putSetting(row pushsvc.Setting, expect pushsvc.Revision) (pushsvc.Setting, error) {
	row.Site = current(w.tx, row.Site)
	known, err := knownSetting(w.tx, row.Site, row.Name, expect)
	if err != nil {
		return pushsvc.Setting{}, err
	}
	row, ok, err := row.Put(known, expect)
	if err != nil || !ok {
		return row, err
	}
	st, err := w.makeIn(bucketSettings, row.Site)
	if err != nil {
		return pushsvc.Setting{}, err
	}
	w.touched, w.changed = true, w.changed|pushsvc.ChangedSettings
	revision, err := st.b.NextSequence()
	if err != nil {
		return pushsvc.Setting{}, fmt.Errorf("counting the setting's revision: %w", err)
	}
	payload := binary.BigEndian.AppendUint64(make([]byte, 0, settingHeader+len(row.Document)), revision)
	payload = binary.BigEndian.AppendUint64(payload, uint64(row.Updated.UnixMilli()))
	payload = append(payload, row.Document...)
	if err := w.put(st.b, []byte(row.Name), newSeed(bucketSettings, row.Site).seal([]byte(row.Name), payload)); err != nil {
		return pushsvc.Setting{}, err
	}
	return readSetting(w.tx, row.Site, row.Name)
}

// knownSetting reads a row for a write; the zero value without a row. A
// damaged row counts as missing if any revision is expected.
func knownSetting(tx *bolt.Tx, site, name string, expect pushsvc.Revision) (pushsvc.Setting, error) {
	known, err := readSetting(tx, site, name)
	var damage *DamageError
	if errors.Is(err, pushsvc.ErrNotFound) || errors.As(err, &damage) && expect == pushsvc.AnyRevision {
		return pushsvc.Setting{}, nil
	}
	return known, err
}

// DeleteSetting implements pushsvc.SettingStore.
func (s *Store) DeleteSetting(ctx context.Context, site, name string, expect pushsvc.Revision) error {
	_, err := write(ctx, s, func(w *writeTx) (struct{}, error) {
		known, err := readSetting(w.tx, site, name)
		var damage *DamageError
		if errors.As(err, &damage) && expect == pushsvc.AnyRevision {
			err = nil
		}
		if err == nil {
			err = expect.Expect(known.Revision)
		}
		if err != nil {
			return struct{}{}, err
		}
		w.changed |= pushsvc.ChangedSettings
		return struct{}{}, w.delete(settings(w.tx, site), []byte(name))
	})
	if err != nil {
		return fmt.Errorf("removing setting %q of %s: %w", name, site, err)
	}
	return nil
}

func readSetting(tx *bolt.Tx, siteName, name string) (pushsvc.Setting, error) {
	siteName = current(tx, siteName)
	b := settings(tx, siteName)
	if b == nil || name == "" {
		return pushsvc.Setting{}, pushsvc.ErrNotFound
	}
	v := b.Get([]byte(name))
	if v == nil {
		return pushsvc.Setting{}, pushsvc.ErrNotFound
	}
	p, err := newSeed(bucketSettings, siteName).unseal([]byte(name), v)
	if err == nil && len(p) < settingHeader {
		err = errors.New("the row is malformed")
	}
	if err != nil {
		return pushsvc.Setting{}, (site{name: siteName}).damage(bucketSettings, []byte(name), err)
	}
	return pushsvc.Setting{
		Site: siteName, Name: name, Document: bytes.Clone(p[settingHeader:]),
		Revision: pushsvc.Revision(binary.BigEndian.Uint64(p)),
		Updated:  time.UnixMilli(int64(binary.BigEndian.Uint64(p[8:]))).UTC(),
	}, nil
}

// settings reads every row of every site's settings.
func (c *Checked) settings(tx *bolt.Tx) {
	eachIn(tx, bucketSettings, func(name string) {
		cur := settings(tx, name).Cursor()
		for k, _ := cur.First(); k != nil; k, _ = cur.Next() {
			c.row(&c.Settings, func() error { _, err := readSetting(tx, name, string(k)); return err })
		}
	})
}
