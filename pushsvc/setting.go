package pushsvc

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"
)

// Limits of settings, in bytes.
const (
	MaxSettingName     = 64
	MaxSettingDocument = 16 << 10
)

// AnyRevision is expected by a write that may replace any revision.
const AnyRevision Revision = -1

// Revision counts the writes of a site's settings. It rises with each and is never reused, not even after a
// deletion; 0 means no row.
type Revision int64

// Setting is one document that an operator has set for a site at run time.
type Setting struct {
	// Site is the canonical name.
	Site string
	// Name is the document's subject, such as "prompt".
	Name string
	// Document is JSON; stores do not read it.
	Document []byte
	Revision Revision
	// Updated is when it was written, in milliseconds.
	Updated time.Time
}

// SettingStore keeps settings by site and name. A site need not have subscribers; a setting alone does not
// make a Site of a SubscriptionStore.
type SettingStore interface {
	// Setting returns a setting; ErrNotFound.
	Setting(ctx context.Context, site, name string) (Setting, error)
	// Settings returns those of all sites with the name, by site. One that can't be read is skipped.
	Settings(ctx context.Context, name string) ([]Setting, error)
	// PutSetting stores s.Document and returns the row. The stored row must have the expected revision
	// (AnyRevision matches all), else it returns ErrRevision. An equal document succeeds without a change,
	// whatever is expected, so that a call may be repeated. s.Revision is ignored.
	PutSetting(ctx context.Context, s Setting, expect Revision) (Setting, error)
	// DeleteSetting removes a setting if it has the expected revision, else it returns ErrRevision;
	// ErrNotFound if it does not exist.
	DeleteSetting(ctx context.Context, site, name string, expect Revision) error
}

// check refuses what no store accepts.
func (s Setting) check() error {
	switch {
	case s.Site == "" || len(s.Site) > MaxSiteName:
		return errors.New("the setting's site has no name, or too long a one")
	case s.Name == "" || len(s.Name) > MaxSettingName:
		return errors.New("the setting has no name, or too long a one")
	case len(s.Document) > MaxSettingDocument:
		return errors.New("the setting's document is too large")
	}
	return nil
}

// Expect returns ErrRevision if a write that expects r must not replace or remove a row with the present
// revision; 0 means no row.
func (r Revision) Expect(present Revision) error {
	if r != AnyRevision && r != present {
		return ErrRevision
	}
	return nil
}

// Remove returns the error of a deletion that expects r: ErrNotFound if there is no row, else that of Expect.
func (r Revision) Remove(present Revision) error {
	if present == 0 {
		return ErrNotFound
	}
	return r.Expect(present)
}

// JoinSettings returns the settings that a site takes over from another one; its own ones stay.
func JoinSettings(have, incoming []Setting) (put []Setting) {
	for _, row := range incoming {
		if !slices.ContainsFunc(have, func(own Setting) bool { return own.Name == row.Name }) {
			put = append(put, row)
		}
	}
	return put
}

// Put returns the row that PutSetting stores for s, without its new revision. known is the present row, zero
// if the store has no readable one. ok is false if known already has the document, and stays.
func (s Setting) Put(known Setting, expect Revision) (row Setting, ok bool, err error) {
	if err := s.check(); err != nil {
		return Setting{}, false, err
	}
	if known.Revision != 0 && bytes.Equal(known.Document, s.Document) {
		return known, false, nil
	}
	if err := expect.Expect(known.Revision); err != nil {
		return Setting{}, false, err
	}
	s.Updated, s.Document = kept(s.Updated, time.Millisecond), bytes.Clone(s.Document)
	return s, true, nil
}
