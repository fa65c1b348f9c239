package pushsvc

import (
	"bytes"
	"context"
	"errors"
	"time"
)

// Limits of settings, in bytes.
const (
	MaxSettingName     = 64
	MaxSettingDocument = 16 << 10
)

// AnyRevision is what a write expects that does not mind what it replaces.
const AnyRevision Revision = -1

// Revision counts the writes of a site's settings. It rises with each and is
// never used again, not even after a deletion; 0 is that of what is not there.
type Revision int64

// Setting is one document that an operator has set for a site at run time.
type Setting struct {
	// Site is the canonical name.
	Site string
	// Name says what the document is about, such as "prompt".
	Name string
	// Document is JSON; stores do not look into it.
	Document []byte
	Revision Revision
	// Updated is when it was written, to the millisecond.
	Updated time.Time
}

// SettingStore keeps settings by site and name. A site need not have
// subscribers, and is no Site of a SubscriptionStore by a setting alone.
type SettingStore interface {
	// Setting gives one; ErrNotFound.
	Setting(ctx context.Context, site, name string) (Setting, error)
	// Settings gives those of all sites with the name, by site. One that can't
	// be read is passed over.
	Settings(ctx context.Context, name string) ([]Setting, error)
	// PutSetting stores s.Document if the present revision is the expected one
	// (AnyRevision is always), else it gives ErrRevision; the row is returned.
	// Where the very same document is there already it changes nothing and
	// succeeds, whatever is expected, so that a call may be repeated.
	// s.Revision is ignored.
	PutSetting(ctx context.Context, s Setting, expect Revision) (Setting, error)
	// DeleteSetting removes one if its revision is the expected one, else it
	// gives ErrRevision; ErrNotFound where there is none.
	DeleteSetting(ctx context.Context, site, name string, expect Revision) error
}

// CheckSetting refuses what no store takes: it is for stores.
func CheckSetting(s Setting) error {
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

// Expect returns ErrRevision where a write that expects r must not replace, or remove,
// what has the present revision; 0 is what is not there.
func (r Revision) Expect(present Revision) error {
	if r != AnyRevision && r != present {
		return ErrRevision
	}
	return nil
}

// Put returns the row that PutSetting stores for s, without its new revision. known is
// the present row, zero where there is none that can be read. ok is false where known
// has the document already, and stays.
func (s Setting) Put(known Setting, expect Revision) (row Setting, ok bool, err error) {
	if known.Revision != 0 && bytes.Equal(known.Document, s.Document) {
		return known, false, nil
	}
	if err := expect.Expect(known.Revision); err != nil {
		return Setting{}, false, err
	}
	s.Updated, s.Document = kept(s.Updated, time.Millisecond), bytes.Clone(s.Document)
	return s, true, nil
}
