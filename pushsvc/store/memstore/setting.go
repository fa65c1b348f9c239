package memstore

import (
	"bytes"
	"context"
	"fmt"

	"github.com/caddy-webpush/caddy-webpush/pushsvc"
)

// settings is what belongs to one site; a site without subscribers may have it.
type settings struct {
	last pushsvc.Revision
	rows map[string]pushsvc.Setting // by name
}

// Setting implements pushsvc.SettingStore.
func (s *Store) Setting(ctx context.Context, site, name string) (pushsvc.Setting, error) {
	if err := s.enter(ctx); err != nil {
		return pushsvc.Setting{}, err
	}
	defer s.mu.Unlock()
	site = s.current(site)
	return s.setting(site, name)
}

func (s *Store) setting(site, name string) (pushsvc.Setting, error) {
	st := s.settings[site]
	if st == nil {
		return pushsvc.Setting{}, pushsvc.ErrNotFound
	}
	row, ok := st.rows[name]
	if !ok {
		return pushsvc.Setting{}, pushsvc.ErrNotFound
	}
	row.Document = bytes.Clone(row.Document)
	return row, nil
}

// Settings implements pushsvc.SettingStore.
func (s *Store) Settings(ctx context.Context, name string) ([]pushsvc.Setting, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	var out []pushsvc.Setting
	for _, site := range sortedKeys(s.settings) {
		if s.current(site) != site {
			continue
		}
		if row, err := s.setting(site, name); err == nil {
			out = append(out, row)
		}
	}
	return out, nil
}

// PutSetting implements pushsvc.SettingStore.
func (s *Store) PutSetting(ctx context.Context, row pushsvc.Setting, expect pushsvc.Revision) (pushsvc.Setting, error) {
	if err := pushsvc.CheckSetting(row); err != nil {
		return pushsvc.Setting{}, fmt.Errorf("storing setting %q of %s: %w", row.Name, row.Site, err)
	}
	if err := s.enter(ctx); err != nil {
		return pushsvc.Setting{}, err
	}
	defer s.mu.Unlock()
	row.Site = s.current(row.Site)
	known, _ := s.setting(row.Site, row.Name)
	row, ok, err := row.Put(known, expect)
	if err != nil || !ok {
		return row, err
	}
	if s.settings == nil {
		s.settings = map[string]*settings{}
	}
	st := s.settings[row.Site]
	if st == nil {
		st = &settings{last: s.lastSetting, rows: map[string]pushsvc.Setting{}}
		s.settings[row.Site] = st
	}
	st.last++
	row.Revision = st.last
	st.rows[row.Name] = row
	s.changes.Note(pushsvc.ChangedSettings)
	return s.setting(row.Site, row.Name)
}

// DeleteSetting implements pushsvc.SettingStore.
func (s *Store) DeleteSetting(ctx context.Context, site, name string, expect pushsvc.Revision) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	site = s.current(site)
	known, err := s.setting(site, name)
	if err == nil {
		err = expect.Expect(known.Revision)
	}
	if err != nil {
		return err
	}
	delete(s.settings[site].rows, name)
	s.changes.Note(pushsvc.ChangedSettings)
	return nil
}
