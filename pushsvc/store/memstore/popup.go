package memstore

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
)

func (st *site) popup(id string) (row popup.Stored, err error) {
	text, ok := st.popups[id]
	if !ok {
		return row, pushsvc.ErrNotFound
	}
	return row, json.Unmarshal(text, &row)
}

// allPopups returns a site's pop-ups, by id.
func (st *site) allPopups() (all []popup.Stored, err error) {
	for _, id := range sortedKeys(st.popups) {
		row, err := st.popup(id)
		if err != nil {
			return nil, err
		}
		all = append(all, row)
	}
	return all, nil
}

// putPopup stores a row with the next revision.
func (st *site) putPopup(row popup.Stored) error {
	st.lastPopup++
	row.Site, row.Revision, st.hasPopups = st.name, st.lastPopup, true
	text, err := json.Marshal(row)
	if err != nil {
		return fmt.Errorf("encoding pop-up %q: %w", row.Popup.ID, err)
	}
	set(&st.popups, row.Popup.ID, text)
	return nil
}

// PutPopup implements popup.Store.
func (s *Store) PutPopup(ctx context.Context, row popup.Stored, expect pushsvc.Revision) (popup.Stored, error) {
	return on(ctx, s, row.Site, func(st *site) (popup.Stored, error) {
		known, _ := st.popup(row.Popup.ID)
		row, ok, err := row.Put(known, len(st.popups), expect)
		if err != nil || !ok {
			return row, err
		}
		if err := st.putPopup(row); err != nil {
			return popup.Stored{}, err
		}
		s.changes.Note(pushsvc.ChangedPopups)
		return st.popup(row.Popup.ID)
	})
}

// Popup implements popup.Store.
func (s *Store) Popup(ctx context.Context, name, id string) (popup.Stored, error) {
	return on(ctx, s, name, func(st *site) (popup.Stored, error) { return st.popup(id) })
}

// Popups implements popup.Store.
func (s *Store) Popups(ctx context.Context, name string) ([]popup.Stored, error) {
	return on(ctx, s, name, (*site).allPopups)
}

// PopupSites implements popup.Store.
func (s *Store) PopupSites(ctx context.Context) ([]string, error) {
	return list(ctx, s, func(st *site) bool { return st.hasPopups }, func(st *site) string { return st.name })
}

// DeletePopup implements popup.Store.
func (s *Store) DeletePopup(ctx context.Context, name, id string, expect pushsvc.Revision) error {
	return s.do(ctx, name, func(st *site) error {
		known, err := st.popup(id)
		if err == nil {
			err = expect.Expect(known.Revision)
		}
		if err == nil {
			delete(st.popups, id)
			s.changes.Note(pushsvc.ChangedPopups)
		}
		return err
	})
}

// PutUpload implements popup.Store.
func (s *Store) PutUpload(ctx context.Context, u popup.Upload) (popup.Upload, error) {
	return on(ctx, s, u.Site, func(st *site) (popup.Upload, error) {
		row, ok, err := u.Put(st.uploads[u.Name], len(st.uploads))
		if err != nil {
			return row, err
		}
		if ok {
			row.Site, st.hasPopups = st.name, true
			set(&st.uploads, u.Name, row)
		}
		return st.upload(u.Name)
	})
}

func (st *site) upload(name string) (popup.Upload, error) {
	u, ok := st.uploads[name]
	if !ok {
		return popup.Upload{}, pushsvc.ErrNotFound
	}
	u.Data = slices.Clone(u.Data)
	return u, nil
}

// Upload implements popup.Store.
func (s *Store) Upload(ctx context.Context, name, upload string) (popup.Upload, error) {
	return on(ctx, s, name, func(st *site) (popup.Upload, error) { return st.upload(upload) })
}

// Uploads implements popup.Store.
func (s *Store) Uploads(ctx context.Context, name string) ([]popup.Upload, error) {
	return on(ctx, s, name, func(st *site) (all []popup.Upload, _ error) {
		for _, id := range sortedKeys(st.uploads) {
			u := st.uploads[id]
			u.Data = nil
			all = append(all, u)
		}
		return all, nil
	})
}

// DeleteUpload implements popup.Store.
func (s *Store) DeleteUpload(ctx context.Context, name, upload string) error {
	return s.do(ctx, name, func(st *site) error {
		if _, ok := st.uploads[upload]; !ok {
			return pushsvc.ErrNotFound
		}
		delete(st.uploads, upload)
		return nil
	})
}
