package boltstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
	bolt "github.com/caddy-webpush/caddy-webpush/pushsvc/store/boltstore/checkedbolt"
)

// bucketPopups is at the top of the file, like bucketSettings: a pop-up creates
// no site. It has a bucket per site, with those below, whose sequence is the
// last revision. Older files have none; older programs ignore it.
const bucketPopups = "popups"

// Buckets of a site in bucket "popups".
const (
	popupRows    = "rows"    // id → JSON
	popupUploads = "uploads" // name → time in milliseconds (8), size (4), bytes
)

// uploadHeader is the length of the header before an image's bytes.
const uploadHeader = 12

// popupRow is a stored pop-up. Popup's variants have everything that they show,
// because programs from before merging show no more; Variants are those that the
// operator wrote. Rows of those programs have none.
type popupRow struct {
	Popup    popup.Popup      `json:"popup"`
	Revision pushsvc.Revision `json:"revision"`
	Created  time.Time        `json:"created"`
	Updated  time.Time        `json:"updated"`
	Variants []popup.Variant  `json:"variants,omitempty"`
}

func packPopup(p popup.Popup, revision pushsvc.Revision, created, updated time.Time) popupRow {
	row := popupRow{p, revision, created.UTC().Truncate(time.Millisecond), updated.UTC().Truncate(time.Millisecond), p.Variants}
	if len(p.Variants) > 0 {
		row.Popup.Variants = p.WholeVariants()
	}
	return row
}

func (r popupRow) unpack(site string) popup.Stored {
	p := popup.Stored{Site: site, Popup: r.Popup, Revision: r.Revision, Created: r.Created, Updated: r.Updated}
	switch {
	case len(r.Variants) > 0:
		p.Popup.Variants = r.Variants
	case len(r.Popup.Variants) > 0:
		p.Popup.Variants = popup.FromWhole(r.Popup.Variants)
	}
	return p
}

// openPopups returns a site's pop-ups; false if it never had any.
func openPopups(tx *bolt.Tx, name string) (site, bool) {
	return openIn(tx, bucketPopups, name)
}

// makePopups returns a site's pop-ups, and makes the bucket if it is missing.
func (w *writeTx) makePopups(name string) (site, error) { return w.makeIn(bucketPopups, name) }

// storedPopup reads a pop-up; pushsvc.ErrNotFound if it does not exist.
func (s site) storedPopup(id string) (popup.Stored, error) {
	var row popupRow
	there, err := s.getJSON(popupRows, []byte(id), &row)
	switch {
	case err != nil:
		return popup.Stored{}, err
	case !there:
		return popup.Stored{}, pushsvc.ErrNotFound
	}
	return row.unpack(s.name), nil
}

// PutPopup implements popup.Store. A damaged row is overwritten if any revision
// is expected.
func (s *Store) PutPopup(ctx context.Context, p popup.Stored, expect pushsvc.Revision) (popup.Stored, error) {
	row, err := write(ctx, s, func(w *writeTx) (popup.Stored, error) { return w.putPopup(p, expect) })
	if err != nil {
		return row, fmt.Errorf("storing pop-up %q of %s: %w", p.Popup.ID, p.Site, err)
	}
	return row, nil
}

func (w *writeTx) putPopup(p popup.Stored, expect pushsvc.Revision) (popup.Stored, error) {
	known, others := popup.Stored{}, 0
	st, has := openPopups(w.tx, p.Site)
	if has {
		var err error
		var damage *DamageError
		known, err = st.storedPopup(p.Popup.ID)
		switch {
		case errors.Is(err, pushsvc.ErrNotFound):
			others = int(st.count(popupRows))
		case err != nil && !(errors.As(err, &damage) && expect == pushsvc.AnyRevision):
			return popup.Stored{}, err
		}
	}
	p, ok, err := p.Put(known, others, expect)
	if err != nil || !ok {
		return p, err
	}
	if st, err = w.makePopups(p.Site); err != nil {
		return popup.Stored{}, err
	}
	w.touched, w.changed = true, w.changed|pushsvc.ChangedPopups
	revision, err := st.b.NextSequence()
	if err != nil {
		return popup.Stored{}, fmt.Errorf("counting the pop-up's revision: %w", err)
	}
	row := packPopup(p.Popup, pushsvc.Revision(revision), p.Created, p.Updated)
	if err := st.putJSON(w, popupRows, []byte(p.Popup.ID), row); err != nil {
		return popup.Stored{}, err
	}
	return st.storedPopup(p.Popup.ID)
}

// Popup implements popup.Store.
func (s *Store) Popup(ctx context.Context, name, id string) (popup.Stored, error) {
	row, err := read(ctx, s, func(tx *bolt.Tx) (popup.Stored, error) {
		st, ok := openPopups(tx, name)
		if !ok || id == "" {
			return popup.Stored{}, pushsvc.ErrNotFound
		}
		return st.storedPopup(id)
	})
	if err != nil {
		return row, fmt.Errorf("reading pop-up %q of %s: %w", id, name, err)
	}
	return row, nil
}

// Popups implements popup.Store. It reports a damaged one to Options.OnDamage.
func (s *Store) Popups(ctx context.Context, name string) ([]popup.Stored, error) {
	rows, err := readable(ctx, s, name, popupRows, site.storedPopup)
	if err != nil {
		return nil, fmt.Errorf("reading the pop-ups of %s: %w", name, err)
	}
	return rows, nil
}

// readable returns all rows of a bucket of a site's pop-ups except damaged ones,
// which it reports.
func readable[T any](ctx context.Context, s *Store, name, bucket string, row func(site, string) (T, error)) ([]T, error) {
	return read(ctx, s, func(tx *bolt.Tx) (rows []T, err error) {
		st, ok := openPopups(tx, name)
		if !ok {
			return nil, nil
		}
		st.each(bucket, func(k []byte) {
			r, err := row(st, string(k))
			if err != nil {
				s.report(err)
				return
			}
			rows = append(rows, r)
		})
		return rows, nil
	})
}

// PopupSites implements popup.Store.
func (s *Store) PopupSites(ctx context.Context) ([]string, error) {
	names, err := read(ctx, s, func(tx *bolt.Tx) (names []string, err error) {
		eachIn(tx, bucketPopups, func(name string) { names = append(names, name) })
		return names, nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing the sites with pop-ups: %w", err)
	}
	return names, nil
}

// DeletePopup implements popup.Store. A damaged row is removed if any revision is
// expected.
func (s *Store) DeletePopup(ctx context.Context, name, id string, expect pushsvc.Revision) error {
	_, err := write(ctx, s, func(w *writeTx) (struct{}, error) {
		st, ok := openPopups(w.tx, name)
		if !ok || id == "" {
			return struct{}{}, pushsvc.ErrNotFound
		}
		row, err := st.storedPopup(id)
		var damage *DamageError
		if errors.As(err, &damage) && expect == pushsvc.AnyRevision {
			err = nil
		}
		if err == nil {
			err = expect.Expect(row.Revision)
		}
		if err != nil {
			return struct{}{}, err
		}
		w.changed |= pushsvc.ChangedPopups
		return struct{}{}, st.removeRow(w, popupRows, []byte(id))
	})
	if err != nil {
		return fmt.Errorf("removing pop-up %q of %s: %w", id, name, err)
	}
	return nil
}

// upload reads an upload; whole includes its bytes.
func (s site) upload(name string, whole bool) (popup.Upload, error) {
	p, err := s.get(popupUploads, []byte(name))
	if err != nil {
		return popup.Upload{}, err
	}
	if p == nil {
		return popup.Upload{}, pushsvc.ErrNotFound
	}
	if len(p) < uploadHeader || int(binary.BigEndian.Uint32(p[8:])) != len(p)-uploadHeader {
		return popup.Upload{}, s.damage(popupUploads, []byte(name), errors.New("the row is malformed"))
	}
	u := popup.Upload{
		Site: s.name, Name: name, Size: len(p) - uploadHeader,
		Created: time.UnixMilli(int64(binary.BigEndian.Uint64(p))).UTC(),
	}
	if whole {
		u.Data = append([]byte{}, p[uploadHeader:]...)
	}
	return u, nil
}

// PutUpload implements popup.Store. A damaged image is overwritten.
func (s *Store) PutUpload(ctx context.Context, u popup.Upload) (popup.Upload, error) {
	row, err := write(ctx, s, func(w *writeTx) (popup.Upload, error) { return w.putUpload(u) })
	if err != nil {
		return row, fmt.Errorf("storing an image of %s: %w", u.Site, err)
	}
	return row, nil
}

func (w *writeTx) putUpload(u popup.Upload) (popup.Upload, error) {
	known, others := popup.Upload{}, 0
	if st, ok := openPopups(w.tx, u.Site); ok {
		var err error
		if known, err = st.upload(u.Name, true); errors.Is(err, pushsvc.ErrNotFound) {
			others = int(st.count(popupUploads))
		}
	}
	u, ok, err := u.Put(known, others)
	if err != nil || !ok {
		return u, err
	}
	st, err := w.makePopups(u.Site)
	if err != nil {
		return popup.Upload{}, err
	}
	p := binary.BigEndian.AppendUint64(make([]byte, 0, uploadHeader+len(u.Data)), uint64(u.Created.UnixMilli()))
	p = binary.BigEndian.AppendUint32(p, uint32(len(u.Data)))
	if err := st.put(w, popupUploads, []byte(u.Name), append(p, u.Data...)); err != nil {
		return popup.Upload{}, err
	}
	return st.upload(u.Name, true)
}

// Upload implements popup.Store.
func (s *Store) Upload(ctx context.Context, site, name string) (popup.Upload, error) {
	u, err := read(ctx, s, func(tx *bolt.Tx) (popup.Upload, error) {
		if name == "" {
			return popup.Upload{}, pushsvc.ErrNotFound
		}
		now := current(tx, site)
		for _, of := range append([]string{now}, s.coming(now)...) {
			st, ok := rawIn(tx, bucketPopups, of)
			if !ok {
				continue
			}
			if u, err := st.upload(name, true); !errors.Is(err, pushsvc.ErrNotFound) {
				u.Site = now
				return u, err
			}
		}
		return popup.Upload{}, pushsvc.ErrNotFound
	})
	if err != nil {
		return u, fmt.Errorf("reading image %q of %s: %w", name, site, err)
	}
	return u, nil
}

// Uploads implements popup.Store. It reports a damaged one to Options.OnDamage.
func (s *Store) Uploads(ctx context.Context, name string) ([]popup.Upload, error) {
	rows, err := readable(ctx, s, name, popupUploads, func(st site, id string) (popup.Upload, error) {
		return st.upload(id, false)
	})
	if err != nil {
		return nil, fmt.Errorf("reading the images of %s: %w", name, err)
	}
	return rows, nil
}

// DeleteUpload implements popup.Store.
func (s *Store) DeleteUpload(ctx context.Context, site, name string) error {
	_, err := write(ctx, s, func(w *writeTx) (struct{}, error) {
		st, ok := openPopups(w.tx, site)
		if !ok || name == "" {
			return struct{}{}, pushsvc.ErrNotFound
		}
		if _, err := st.upload(name, false); errors.Is(err, pushsvc.ErrNotFound) {
			return struct{}{}, err
		}
		return struct{}{}, st.removeRow(w, popupUploads, []byte(name))
	})
	if err != nil {
		return fmt.Errorf("removing image %q of %s: %w", name, site, err)
	}
	return nil
}

// popups reads every pop-up and every image.
func (c *Checked) popups(tx *bolt.Tx) {
	all := tx.Bucket([]byte(bucketPopups))
	if all == nil {
		return
	}
	cur := all.Cursor()
	for name, v := cur.First(); name != nil; name, v = cur.Next() {
		st, ok := rawIn(tx, bucketPopups, string(name))
		if v != nil || !ok {
			continue
		}
		st.each(popupRows, func(k []byte) {
			c.row(&c.Popups, func() error { _, err := st.storedPopup(string(k)); return err })
		})
		st.each(popupUploads, func(k []byte) {
			c.row(&c.Uploads, func() error { _, err := st.upload(string(k), false); return err })
		})
	}
}
