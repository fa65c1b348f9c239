package memstore

import (
	"context"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
	"github.com/caddy-webpush/caddy-webpush/pushsvc/popup"
)

func (s *Store) Setting(ctx context.Context, name, setting string) (pushsvc.Setting, error) {
	return on(ctx, s, name, func(st *site) (pushsvc.Setting, error) { return find(st.settings, setting) })
}

func (s *Store) Settings(ctx context.Context, name string) ([]pushsvc.Setting, error) {
	return list(ctx, s, func(st *site) (pushsvc.Setting, bool) {
		row, there := st.settings[name]
		return row, there
	})
}

func (s *Store) PutSetting(ctx context.Context, row pushsvc.Setting, expect pushsvc.Revision) (pushsvc.Setting, error) {
	return on(ctx, s, row.Site, func(st *site) (pushsvc.Setting, error) {
		row, ok, err := row.Put(st.settings[row.Name], expect)
		if ok {
			row = st.putSetting(row)
		}
		return row, err
	})
}

// putSetting stores a row with the next revision.
func (st *site) putSetting(row pushsvc.Setting) pushsvc.Setting {
	st.s.lastRevision++
	row.Site, row.Revision = st.name, st.s.lastRevision
	set(&st.settings, row.Name, row)
	st.hasSettings, st.s.changed = true, st.s.changed|pushsvc.ChangedSettings
	return row
}

func (s *Store) DeleteSetting(ctx context.Context, name, setting string, expect pushsvc.Revision) error {
	return s.do(ctx, name, func(st *site) error {
		err := expect.Remove(st.settings[setting].Revision)
		if err == nil {
			delete(st.settings, setting)
			s.changed |= pushsvc.ChangedSettings
		}
		return err
	})
}

func (s *Store) PutPopup(ctx context.Context, row popup.Stored, expect pushsvc.Revision) (popup.Stored, error) {
	return on(ctx, s, row.Site, func(st *site) (popup.Stored, error) {
		row, ok, err := copyOf(row).Put(st.popups[row.Popup.ID], len(st.popups), expect)
		if ok {
			row = st.putPopup(row)
		}
		return row, err
	})
}

// putPopup stores a row with the next revision.
func (st *site) putPopup(row popup.Stored) popup.Stored {
	st.s.lastRevision++
	row.Site, row.Revision = st.name, st.s.lastRevision
	set(&st.popups, row.Popup.ID, row)
	st.hasPopups, st.s.changed = true, st.s.changed|pushsvc.ChangedPopups
	return row
}

func (s *Store) Popup(ctx context.Context, name, id string) (popup.Stored, error) {
	return on(ctx, s, name, func(st *site) (popup.Stored, error) { return find(st.popups, id) })
}

func (s *Store) Popups(ctx context.Context, name string) ([]popup.Stored, error) {
	return on(ctx, s, name, func(st *site) ([]popup.Stored, error) { return rows(st.popups, all), nil })
}

func (s *Store) PopupSites(ctx context.Context) ([]string, error) {
	return list(ctx, s, func(st *site) (string, bool) { return st.name, st.hasPopups })
}

func (s *Store) DeletePopup(ctx context.Context, name, id string, expect pushsvc.Revision) error {
	return s.do(ctx, name, func(st *site) error {
		err := expect.Remove(st.popups[id].Revision)
		if err == nil {
			delete(st.popups, id)
			s.changed |= pushsvc.ChangedPopups
		}
		return err
	})
}

func (s *Store) PutUpload(ctx context.Context, u popup.Upload) (popup.Upload, error) {
	return on(ctx, s, u.Site, func(st *site) (popup.Upload, error) {
		row, ok, err := u.Put(st.uploads[u.Name], len(st.uploads))
		if ok {
			st.putUpload(row)
		}
		return st.uploads[u.Name], err
	})
}

func (st *site) putUpload(row popup.Upload) {
	row.Site, st.hasPopups = st.name, true
	set(&st.uploads, row.Name, row)
}

func (s *Store) Upload(ctx context.Context, name, upload string) (popup.Upload, error) {
	return on(ctx, s, name, func(st *site) (popup.Upload, error) { return find(st.uploads, upload) })
}

func (s *Store) Uploads(ctx context.Context, name string) ([]popup.Upload, error) {
	return on(ctx, s, name, func(st *site) ([]popup.Upload, error) {
		return rows(st.uploads, func(_ string, u popup.Upload) (popup.Upload, bool) {
			u.Data = nil
			return u, true
		}), nil
	})
}

func (s *Store) DeleteUpload(ctx context.Context, name, upload string) error {
	return s.do(ctx, name, func(st *site) error {
		_, err := find(st.uploads, upload)
		delete(st.uploads, upload)
		return err
	})
}
