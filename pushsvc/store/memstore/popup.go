package memstore

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
)

// popups is what belongs to one site. Rows are kept as text, so that nobody
// changes what is stored.
type popups struct {
	last    pushsvc.Revision
	rows    map[string][]byte // by id
	uploads map[string]popup.Upload
}

// popupsOf gives a site's, which may be empty; make keeps it.
func (s *Store) popupsOf(site string, make bool) *popups {
	p := s.popups[site]
	if p == nil {
		p = &popups{last: s.lastPopup, rows: map[string][]byte{}, uploads: map[string]popup.Upload{}}
		if make {
			if s.popups == nil {
				s.popups = map[string]*popups{}
			}
			s.popups[site] = p
		}
	}
	return p
}

func (p *popups) row(id string) (row popup.Stored, err error) {
	text, ok := p.rows[id]
	if !ok {
		return row, pushsvc.ErrNotFound
	}
	return row, json.Unmarshal(text, &row)
}

// PutPopup implements popup.Store.
func (s *Store) PutPopup(ctx context.Context, row popup.Stored, expect pushsvc.Revision) (popup.Stored, error) {
	none := popup.Stored{}
	if err := popup.CheckID(row.Site, row.Popup.ID); err != nil {
		return none, fmt.Errorf("storing pop-up %q of %s: %w", row.Popup.ID, row.Site, err)
	}
	if err := s.enter(ctx); err != nil {
		return none, err
	}
	defer s.mu.Unlock()
	row.Site = s.current(row.Site)
	all := s.popupsOf(row.Site, false)
	there, err := all.row(row.Popup.ID)
	row.Created, row.Updated = utc(row.Created).Truncate(time.Millisecond), utc(row.Updated).Truncate(time.Millisecond)
	if err == nil {
		row.Created = there.Created
		old, _ := json.Marshal(there.Popup)
		if text, err := json.Marshal(row.Popup); err == nil && string(text) == string(old) {
			return there, nil
		}
	}
	switch {
	case expect != pushsvc.AnyRevision && expect != there.Revision:
		return none, pushsvc.ErrRevision
	case err != nil && len(all.rows) >= popup.MaxPopups:
		return none, popup.ErrFull
	}
	all = s.popupsOf(row.Site, true)
	all.last++
	row.Revision = all.last
	if all.rows[row.Popup.ID], err = json.Marshal(row); err != nil {
		return none, fmt.Errorf("encoding pop-up %q: %w", row.Popup.ID, err)
	}
	s.changes.Note(pushsvc.ChangedPopups)
	return all.row(row.Popup.ID)
}

// Popup implements popup.Store.
func (s *Store) Popup(ctx context.Context, site, id string) (popup.Stored, error) {
	if err := s.enter(ctx); err != nil {
		return popup.Stored{}, err
	}
	defer s.mu.Unlock()
	site = s.current(site)
	return s.popupsOf(site, false).row(id)
}

// Popups implements popup.Store.
func (s *Store) Popups(ctx context.Context, site string) (out []popup.Stored, err error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	site = s.current(site)
	all := s.popupsOf(site, false)
	for _, id := range sortedKeys(all.rows) {
		row, err := all.row(id)
		if err != nil {
			return nil, err
		}
		out = append(out, row)
	}
	return out, nil
}

// PopupSites implements popup.Store.
func (s *Store) PopupSites(ctx context.Context) ([]string, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	return slices.DeleteFunc(sortedKeys(s.popups), func(name string) bool { return s.current(name) != name }), nil
}

// DeletePopup implements popup.Store.
func (s *Store) DeletePopup(ctx context.Context, site, id string, expect pushsvc.Revision) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	site = s.current(site)
	all := s.popupsOf(site, false)
	there, err := all.row(id)
	switch {
	case err != nil:
		return err
	case expect != pushsvc.AnyRevision && expect != there.Revision:
		return pushsvc.ErrRevision
	}
	delete(all.rows, id)
	s.changes.Note(pushsvc.ChangedPopups)
	return nil
}

// PutUpload implements popup.Store.
func (s *Store) PutUpload(ctx context.Context, u popup.Upload) (popup.Upload, error) {
	if err := popup.CheckUpload(u); err != nil {
		return popup.Upload{}, fmt.Errorf("storing an image of %s: %w", u.Site, err)
	}
	if err := s.enter(ctx); err != nil {
		return popup.Upload{}, err
	}
	defer s.mu.Unlock()
	u.Site = s.current(u.Site)
	all := s.popupsOf(u.Site, true)
	if _, ok := all.uploads[u.Name]; !ok {
		if len(all.uploads) >= popup.MaxUploads {
			return popup.Upload{}, popup.ErrFull
		}
		u.Created, u.Size, u.Data = utc(u.Created).Truncate(time.Millisecond), len(u.Data), slices.Clone(u.Data)
		all.uploads[u.Name] = u
	}
	return all.upload(u.Name)
}

func (p *popups) upload(name string) (popup.Upload, error) {
	u, ok := p.uploads[name]
	if !ok {
		return popup.Upload{}, pushsvc.ErrNotFound
	}
	u.Data = slices.Clone(u.Data)
	return u, nil
}

// Upload implements popup.Store.
func (s *Store) Upload(ctx context.Context, site, name string) (popup.Upload, error) {
	if err := s.enter(ctx); err != nil {
		return popup.Upload{}, err
	}
	defer s.mu.Unlock()
	site = s.current(site)
	return s.popupsOf(site, false).upload(name)
}

// Uploads implements popup.Store.
func (s *Store) Uploads(ctx context.Context, site string) (out []popup.Upload, err error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	site = s.current(site)
	all := s.popupsOf(site, false)
	for _, name := range sortedKeys(all.uploads) {
		u := all.uploads[name]
		u.Data = nil
		out = append(out, u)
	}
	return out, nil
}

// DeleteUpload implements popup.Store.
func (s *Store) DeleteUpload(ctx context.Context, site, name string) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	site = s.current(site)
	all := s.popupsOf(site, false)
	if _, ok := all.uploads[name]; !ok {
		return pushsvc.ErrNotFound
	}
	delete(all.uploads, name)
	return nil
}
