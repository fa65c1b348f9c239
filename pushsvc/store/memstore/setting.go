package memstore

import (
	"bytes"
	"context"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// Setting implements pushsvc.SettingStore.
func (s *Store) Setting(ctx context.Context, name, setting string) (pushsvc.Setting, error) {
	return on(ctx, s, name, func(st *site) (pushsvc.Setting, error) { return st.setting(setting) })
}

func (st *site) setting(name string) (pushsvc.Setting, error) {
	row, ok := st.settings[name]
	if !ok {
		return pushsvc.Setting{}, pushsvc.ErrNotFound
	}
	row.Document = bytes.Clone(row.Document)
	return row, nil
}

// Settings implements pushsvc.SettingStore.
func (s *Store) Settings(ctx context.Context, name string) ([]pushsvc.Setting, error) {
	has := func(st *site) bool { _, err := st.setting(name); return err == nil }
	return list(ctx, s, has, func(st *site) pushsvc.Setting { row, _ := st.setting(name); return row })
}

// PutSetting implements pushsvc.SettingStore.
func (s *Store) PutSetting(ctx context.Context, row pushsvc.Setting, expect pushsvc.Revision) (pushsvc.Setting, error) {
	return on(ctx, s, row.Site, func(st *site) (pushsvc.Setting, error) {
		known, _ := st.setting(row.Name)
		row, ok, err := row.Put(known, expect)
		if err != nil || !ok {
			return row, err
		}
		st.putSetting(row)
		s.changes.Note(pushsvc.ChangedSettings)
		return st.setting(row.Name)
	})
}

// putSetting stores a row with the next revision.
func (st *site) putSetting(row pushsvc.Setting) {
	st.lastSetting++
	row.Site, row.Revision, st.hasSettings = st.name, st.lastSetting, true
	set(&st.settings, row.Name, row)
}

// DeleteSetting implements pushsvc.SettingStore.
func (s *Store) DeleteSetting(ctx context.Context, name, setting string, expect pushsvc.Revision) error {
	return s.do(ctx, name, func(st *site) error {
		known, err := st.setting(setting)
		if err == nil {
			err = expect.Expect(known.Revision)
		}
		if err == nil {
			delete(st.settings, setting)
			s.changes.Note(pushsvc.ChangedSettings)
		}
		return err
	})
}
